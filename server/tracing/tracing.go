// Package tracing sends OpenTelemetry traces by OTLP over HTTP: a request, its GraphQL operation, each statement, and
// the stages of each prediction. Its settings beside the endpoint are OpenTelemetry's own variables, such as
// OTEL_EXPORTER_OTLP_HEADERS and OTEL_TRACES_SAMPLER.
package tracing

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/vektah/gqlparser/v2/ast"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	api "go.opentelemetry.io/otel/trace"

	"sibyl/persistence"
)

// Tracing makes spans and sends them in the background. A nil Tracing makes none, and costs nothing. Both are safe for
// concurrent use.
type Tracing struct {
	provider *trace.TracerProvider
	tracer   api.Tracer
}

// Open returns a Tracing that sends to the collector at endpoint, such as http://localhost:4318; nil where it is empty.
// Nothing is sent yet: a collector that cannot be reached costs spans, nothing else.
func Open(ctx context.Context, endpoint string) (*Tracing, error) {
	if endpoint == "" {
		return nil, nil
	}
	base, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("not a URL: %w", err)
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(base.JoinPath("v1/traces").String()))
	if err != nil {
		return nil, err
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("sibyl")), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, err
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(about))
	return &Tracing{provider: provider, tracer: provider.Tracer("sibyl")}, nil
}

// Close sends what is left, until ctx ends.
func (t *Tracing) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Middleware makes a span of each request that is for spans, and takes the caller's trace on.
func (t *Tracing) Middleware(spans func(*http.Request) bool, next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return otelhttp.NewHandler(next, "http", otelhttp.WithTracerProvider(t.provider), otelhttp.WithFilter(spans),
		otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method + " " + r.Pattern }))
}

// Statements makes spans of SQL statements, without their parameters: these may hold images.
func (t *Tracing) Statements() pgx.QueryTracer {
	if t == nil {
		return nil
	}
	return otelpgx.NewTracer(otelpgx.WithTracerProvider(t.provider))
}

// maxNameSize bounds the names of operations, which clients choose.
const maxNameSize = 64

// AroundOperation makes a span of each query and mutation. It is a graphql.OperationMiddleware.
func (t *Tracing) AroundOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	operation := graphql.GetOperationContext(ctx).Operation
	if operation.Operation == ast.Subscription {
		return next(ctx)
	}
	kind, name := string(operation.Operation), operation.Name
	ctx, span := t.tracer.Start(ctx, "graphql "+kind, api.WithAttributes(
		attribute.String("graphql.operation.type", kind), attribute.String("graphql.operation.name", name[:min(len(name), maxNameSize)])))
	respond := next(ctx)
	return func(ctx context.Context) *graphql.Response {
		defer span.End()
		return respond(ctx)
	}
}

// Prediction makes spans of the stages of a prediction that has just been stored, which ended one after another.
func (t *Tracing) Prediction(ctx context.Context, p *persistence.Prediction, commit time.Duration) {
	if t == nil || !api.SpanFromContext(ctx).IsRecording() {
		return
	}
	began := time.Now().Add(-commit)
	for _, took := range p.Stages() {
		began = began.Add(-took)
	}
	about := api.WithAttributes(attribute.String("prediction.id", p.ID.String()),
		attribute.String("model.name", p.ModelName), attribute.Int("model.version", p.ModelVersion))
	span := func(name string, took time.Duration) {
		_, span := t.tracer.Start(ctx, name, api.WithTimestamp(began), about)
		began = began.Add(took)
		span.End(api.WithTimestamp(began))
	}
	for name, took := range p.Stages() {
		span(name, took)
	}
	span("commit", commit)
}
