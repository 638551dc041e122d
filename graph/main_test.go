package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"sibyl/graph"
	"sibyl/inference"
	"sibyl/persistence"
	"sibyl/persistence/persistencetest"
)

func TestMain(m *testing.M) { persistencetest.Main(m) }

// bundle is a service of its own: the embedded model, and a fresh database.
type bundle struct {
	resolver *graph.Resolver
	executor *executor.Executor
	store    *persistence.Store
	// admin connects to the same database, past the store.
	admin *pgxpool.Pool
	// caller is who asks; nil: nobody is known to.
	caller *graph.Caller
}

// as is the bundle of which a caller asks.
func (b *bundle) as(caller *graph.Caller) *bundle {
	theirs := *b
	theirs.caller = caller
	return &theirs
}

func setup(t testing.TB, o graph.Options) *bundle {
	t.Helper()
	return replica(t, persistencetest.Migrated(t), "", o)
}

// replica is one of several services on a database, with a model repository of its own or, where that is empty, the
// embedded one.
func replica(t testing.TB, url, repository string, o graph.Options) *bundle {
	t.Helper()
	return replicaWith(t, url, repository, persistence.Options{}, o)
}

// replicaWith is replica with a store that is opened with its own options.
func replicaWith(t testing.TB, url, repository string, stored persistence.Options, o graph.Options) *bundle {
	t.Helper()
	store, err := persistence.Open(t.Context(), url, stored)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	engine, err := inference.Open(t.Context(), inference.Options{
		Repository: repository, Admit: graph.Admit(store, logger),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	admin, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	resolver := graph.New(engine, store, o)
	if err := resolver.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Close)
	exec := executor.New(resolver.Schema())
	exec.SetQueryCache(lru.New[*ast.QueryDocument](100)) // as plans are kept by documents
	exec.SetDefaultRulesFn(graph.Rules)
	exec.Use(graph.StrictVariables{})
	exec.AroundOperations(resolver.AroundOperation)
	exec.SetErrorPresenter(graph.PresentError(logger))
	exec.SetRecoverFunc(graph.Recover(logger))
	return &bundle{resolver: resolver, executor: exec, store: store, admin: admin}
}

// answer is what a client gets.
type answer struct {
	Data   map[string]any
	Errors gqlerror.List
}

// do runs an operation.
func (b *bundle) do(t testing.TB, query string, variables map[string]any) answer {
	t.Helper()
	response := b.respond(t, query, variables)
	a := answer{Errors: response.Errors}
	if response.Data == nil {
		return a
	}
	if err := json.Unmarshal(response.Data, &a.Data); err != nil {
		t.Fatalf("%s: %v", response.Data, err)
	}
	return a
}

// respond runs an operation and returns its answer as it was written.
func (b *bundle) respond(t testing.TB, query string, variables map[string]any) *graphql.Response {
	t.Helper()
	return b.respondTo(t, query, "", variables)
}

// respondTo runs one operation of a document.
func (b *bundle) respondTo(t testing.TB, query, name string, variables map[string]any) *graphql.Response {
	t.Helper()
	ctx, end := context.WithCancel(graphql.StartOperationTrace(t.Context()))
	defer end()
	if b.caller != nil {
		ctx = graph.WithCaller(ctx, b.caller)
	}
	now := time.Now()
	operation, errs := graph.ExplainVariables(b.executor).CreateOperationContext(ctx, &graphql.RawParams{
		Query: query, OperationName: name, Variables: variables, ReadTime: graphql.TraceTiming{Start: now, End: now},
	})
	if errs != nil {
		return b.executor.DispatchError(graphql.WithOperationContext(ctx, operation), errs)
	}
	next, ctx := b.executor.DispatchOperation(ctx, operation)
	return next(ctx)
}

// must runs an operation that must succeed.
func (b *bundle) must(t testing.TB, query string, variables map[string]any) answer {
	t.Helper()
	a := b.do(t, query, variables)
	if len(a.Errors) > 0 {
		t.Fatal(a.Errors)
	}
	return a
}

// at walks into the answer by keys and indices.
func (a answer) at(t testing.TB, path ...any) any {
	t.Helper()
	var value any = a.Data
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[step]
		case int:
			list, _ := value.([]any)
			if step >= len(list) {
				t.Fatalf("%v: only %d in %v", path, len(list), a)
			}
			value = list[step]
		}
	}
	return value
}

func (a answer) text(t testing.TB, path ...any) string {
	t.Helper()
	text, ok := a.at(t, path...).(string)
	if !ok {
		t.Fatalf("%v is no string in %v", path, a)
	}
	return text
}

// codes are the extensions.code of all errors.
func (a answer) codes() string {
	codes := make([]string, len(a.Errors))
	for i, err := range a.Errors {
		if code, ok := err.Extensions["code"].(graph.Code); ok {
			codes[i] = string(code)
		}
	}
	return strings.Join(codes, " ")
}

// predict stores a prediction for a picture of a one and returns its ID.
func (b *bundle) predict(t testing.TB) string {
	t.Helper()
	const mutation = `mutation ($image: Upload!) { predict(image: $image) { id } }`
	return b.must(t, mutation, map[string]any{"image": one()}).text(t, "predict", "id")
}

// one is a PNG of a one: a dark bar on white paper.
func one() graph.Upload {
	picture := image.NewGray(image.Rect(0, 0, 40, 40))
	for y := range 40 {
		for x := range 40 {
			shade := color.Gray{Y: 255}
			if x >= 18 && x < 22 && y >= 6 && y < 34 {
				shade.Y = 0
			}
			picture.SetGray(x, y, shade)
		}
	}
	var buffer bytes.Buffer
	if err := png.Encode(&buffer, picture); err != nil {
		panic(err)
	}
	return graph.Upload{Filename: "one.png", Data: buffer.Bytes()}
}

// statements runs f and returns the SQL that the store sent meanwhile.
func (b *bundle) statements(t *testing.T, f func()) []string {
	t.Helper()
	ctx := context.Background()
	for _, sql := range []string{
		`CREATE EXTENSION IF NOT EXISTS pg_stat_statements`, `SELECT pg_stat_statements_reset()`,
	} {
		if _, err := b.admin.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	f()
	rows, err := b.admin.Query(ctx, `
SELECT query, calls
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND query NOT LIKE '%pg_stat_statements%'
  AND query NOT LIKE 'show %' -- what a new connection asks
  AND query NOT LIKE '%model_routes%'`) // which is asked for in the background
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var statements []string
	for rows.Next() {
		var query string
		var calls int
		if err := rows.Scan(&query, &calls); err != nil {
			t.Fatal(err)
		}
		for range calls {
			statements = append(statements, query)
		}
	}
	return statements
}
