package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	stock "github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/vektah/gqlparser/v2/ast"

	"sibyl/graph"
	"sibyl/persistence/persistencetest"
)

// Compared are two handlers of /graphql on one database and one engine: that of the server, and one of what gqlgen comes
// with, where its transports read and write, and its executor resolves each field on its own.
type Compared struct {
	Ours, Stock http.Handler
}

// NewCompared opens them; the end of the test closes them.
func NewCompared(t testing.TB) *Compared {
	t.Helper()
	keepHeadroom() // for both, as the server has it
	c := DefaultConfig()
	c.Address, c.Data, c.DatabaseURL = "127.0.0.1:0", t.TempDir(), DatabaseURL(persistencetest.Migrated(t))
	s, err := New(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Compared{s.graphQL(), newStock(graph.New(s.engine, s.store, graph.Options{EveryField: true}))}
}

// newStock is what gqlgen's guide makes: JSON and uploads, and the documents that it has seen kept.
func newStock(r *graph.Resolver) http.Handler {
	h := handler.New(r.Schema())
	h.AddTransport(stock.POST{})
	h.AddTransport(stock.MultipartForm{})
	h.SetQueryCache(lru.New[*ast.QueryDocument](1000))
	h.Use(extension.FixedComplexityLimit(1000))
	h.AroundOperations(readUploads)
	h.AroundOperations(r.AroundOperation)
	return h
}

// readUploads reads stock uploads as a resolver would, which has to have the bytes.
func readUploads(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	variables := graphql.GetOperationContext(ctx).Variables
	for name, value := range variables {
		if upload, ok := value.(graphql.Upload); ok {
			data, err := io.ReadAll(upload.File)
			variables[name] = graph.Upload{Filename: upload.Filename, Data: data, Err: err}
		}
	}
	return next(ctx)
}
