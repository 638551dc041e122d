package graph

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"sibyl/inference"
	"sibyl/persistence"
)

// Options configure a Resolver; the zero value of each field has a meaning.
type Options struct {
	// MaxResponseBytes bounds the image bytes in one answer; 0: 64 MiB.
	MaxResponseBytes int64
	// TakeMemory takes memory for image bytes of the answer to the operation of ctx, until it has been sent, and reports
	// whether there was any; nil: there always is. It is safe for concurrent use.
	TakeMemory func(ctx context.Context, bytes int64) bool
	// EveryField lets gqlgen resolve each field on its own, so that middleware around fields sees all of them; lists are
	// several times slower then.
	EveryField bool
	// Authorize has fields answer only callers (WithCaller) with the role that the schema says; else everybody may do
	// everything.
	Authorize bool
	// Logger is told of internal errors; nil: slog.Default().
	Logger *slog.Logger
	// Stored is told of each prediction once it is durable, and how long its commit took with the wait for it; nil: none
	// is told. It is called by many goroutines, and the caller waits for it.
	Stored func(ctx context.Context, p *persistence.Prediction, commit time.Duration)
}

// Resolver answers operations. It is safe for concurrent use.
type Resolver struct {
	engine  *inference.Engine
	store   *persistence.Store
	options Options
	// versions are those that only the store knows.
	versions versionCache
	// keys are the idempotency keys that are at work.
	keys    keyLocks
	router  *router
	shadows *shadows
	// made are thumbnails.
	made  *thumbnailCache
	plans *planCache
	// following is the router's work, and stop ends it and the shadows'; stop is nil before Start.
	following sync.WaitGroup
	stop      context.CancelFunc
}

// New returns a Resolver that predicts with engine and remembers in store.
func New(engine *inference.Engine, store *persistence.Store, o Options) *Resolver {
	if o.MaxResponseBytes <= 0 {
		o.MaxResponseBytes = 64 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Stored == nil {
		o.Stored = func(context.Context, *persistence.Prediction, time.Duration) {}
	}
	return &Resolver{
		engine: engine, store: store, options: o,
		router:  &router{engine: engine, store: store, logger: o.Logger},
		shadows: newShadows(engine, store, o),
		made:    newThumbnailCache(maxThumbnailBytes),
		plans:   newPlanCache(),
	}
}

// Start begins what a Resolver does beside answering: it follows the routes of models, which it reads once before it
// returns, and runs the versions that shadow others. The error is that of reading them. It may be called once.
func (r *Resolver) Start(ctx context.Context) error {
	if err := r.router.refresh(ctx); err != nil {
		return err
	}
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	r.following.Go(func() { r.router.follow(ctx) })
	r.shadows.start(ctx)
	return nil
}

// Close ends what Start began, and returns when it has ended. It may be called several times, and without Start.
func (r *Resolver) Close() {
	if r.stop != nil {
		r.stop()
	}
	r.following.Wait()
	r.shadows.close()
}

// Schema returns the schema with r behind it.
func (r *Resolver) Schema() graphql.ExecutableSchema {
	prepareSchema()
	schema := NewExecutableSchema(Config{
		Resolvers: r, Directives: DirectiveRoot{Requires: r.requires}, Complexity: complexityRoot(),
	})
	if r.options.EveryField {
		return schema
	}
	return executable{schema.(*executableSchema)}
}

// prepareSchema takes away the directive that gqlparser gives every schema, for no transport here answers in parts, and
// that of ours which clients cannot see the use of: the descriptions tell them instead.
var prepareSchema = sync.OnceFunc(func() {
	delete(parsedSchema.Directives, "defer")
	for _, definition := range parsedSchema.Types {
		for _, field := range definition.Fields {
			if requires := field.Directives.ForName("requires"); requires != nil {
				field.Description += "\n\nWhere the server has API keys, the role " + requires.Arguments[0].Value.Raw + " is needed."
			}
		}
	}
	delete(parsedSchema.Directives, "requires")
	delete(parsedSchema.Types, "Role")
})

// AroundOperation gives each operation its loaders. It is a graphql.OperationMiddleware, and has to be installed.
func (r *Resolver) AroundOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	if graphql.GetOperationContext(ctx).Operation.Operation == ast.Subscription {
		return r.subscribe(ctx, next)
	}
	return next(withLoaders(ctx, r))
}
