package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
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
	exec := executor.New(s.resolver.Schema())
	exec.SetErrorPresenter(presenter)
	exec.SetRecoverFunc(recoverer)
	cache := documentCache{lru.New[*ast.QueryDocument](maxCachedDocuments)}
	exec.SetQueryCache(cache)
	exec.SetParserTokenLimit(s.config.MaxTokens)
	exec.SetDefaultRulesFn(graph.Rules)
	if s.config.Production { // gqlgen's own switch knows two of the rules that suggest
		exec.SetDefaultRulesFn(graph.RulesWithoutSuggestions)
	}
	exec.Use(documentGuard{s.config.DocumentLimits, cache})
	exec.Use(graph.StrictVariables{})
	if s.access.ring != nil {
		exec.Use(graph.Authorization{})
	}
	exec.Use(newCostLimit(s.config.MaxComplexity))
	if s.config.Introspection && !s.config.Production {
		exec.Use(extension.Introspection{})
	} else {
		exec.Use(closedSchema{})
	}
	if s.tracing != nil {
		exec.AroundOperations(s.tracing.AroundOperation)
	}
	exec.AroundOperations(s.resolver.AroundOperation)
	return transport.Handler(graph.ExplainVariables(exec), transport.Options{
		Authenticate:     s.access.authenticate,
		Renew:            s.access.renew,
		Admit:            s.access.limit.take,
		Gate:             s.gate,
		Answers:          transport.NewGate(0, int64(s.config.MaxInFlightBytes)),
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
	})
}

// documentCache keeps parsed documents, unless they are long.
type documentCache struct{ *lru.LRU[*ast.QueryDocument] }

// Get returns the document that documentGuard has found for the operation: to look for it again would take as long.
func (documentCache) Get(ctx context.Context, _ string) (document *ast.QueryDocument, known bool) {
	document = graphql.GetOperationContext(ctx).Doc
	return document, document != nil
}

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
