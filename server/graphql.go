package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"sibyl/graph"
	"sibyl/server/transport"
)

const (
	// maxCachedDocuments and maxCachedDocumentBytes bound the parsed documents that are kept: their trees take some
	// twenty times their text.
	maxCachedDocuments     = 512
	maxCachedDocumentBytes = 8 << 10
)

// graphQL is the handler of /graphql.
func (s *Server) graphQL() http.Handler {
	presenter := withTokenCode(graph.PresentError(s.logger))
	recoverer := graph.Recover(s.logger)
	h := handler.New(s.resolver.Schema())
	h.SetErrorPresenter(presenter)
	h.SetRecoverFunc(recoverer)
	cache := documentCache{lru.New[*ast.QueryDocument](maxCachedDocuments)}
	h.SetQueryCache(cache)
	h.SetParserTokenLimit(s.config.MaxTokens)
	h.SetDisableSuggestion(s.config.Production)
	h.SetValidationRulesFn(graph.Rules)
	h.Use(documentGuard{s.config.DocumentLimits, cache})
	h.Use(graph.StrictVariables{})
	if s.access.ring != nil {
		h.Use(graph.Authorization{})
	}
	h.Use(newCostLimit(s.config.MaxComplexity))
	if s.config.Introspection && !s.config.Production {
		h.Use(extension.Introspection{})
	} else {
		h.Use(closedSchema{})
	}
	if s.tracing != nil {
		h.AroundOperations(s.tracing.AroundOperation)
	}
	h.AroundOperations(s.resolver.AroundOperation)
	for _, t := range transport.New(transport.Options{
		Authenticate:     s.access.authenticate,
		Renew:            s.access.renew,
		Admit:            s.access.limit.take,
		Gate:             s.gate,
		Streams:          s.streams,
		Documents:        s.documents,
		AllowedOrigins:   s.config.CORSOrigins,
		InitTimeout:      initTimeout,
		SendTimeout:      sendTimeout,
		Timeout:          s.config.Timeout,
		MaxDocumentBytes: int64(s.config.MaxDocumentBytes),
		MaxRequestBytes:  int64(s.config.MaxRequestBytes),
		MaxUploadBytes:   int64(s.config.MaxUploadBytes),
		MaxUploadFiles:   s.config.MaxUploadFiles,
		Observe:          s.metrics.Operation,
		Recover:          recoverer,
	}) {
		h.AddTransport(t)
	}
	return h
}

// documentCache keeps parsed documents, unless they are long.
type documentCache struct{ *lru.LRU[*ast.QueryDocument] }

// Add keeps a document.
func (c documentCache) Add(ctx context.Context, text string, document *ast.QueryDocument) {
	if len(text) <= maxCachedDocumentBytes {
		c.LRU.Add(ctx, text, document)
	}
}

// withTokenCode gives gqlparser's limit a code of its own, which it does not have.
func withTokenCode(next graphql.ErrorPresenterFunc) graphql.ErrorPresenterFunc {
	return func(ctx context.Context, err error) *gqlerror.Error {
		presented := next(ctx, err)
		if strings.HasPrefix(presented.Message, "exceeded token limit") {
			presented.Extensions["code"] = graph.CodeTokenLimit
		}
		return presented
	}
}
