package graph

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/core"

	"sibyl/persistence"
)

// Stream is a subscription's, for the transport that carries it.
type Stream struct {
	opened atomic.Bool
	// field is the subscription's own, under which the errors of what it gives lie; set when it is opened.
	field *graphql.FieldContext
	// ended is why it gives no more, where that is no wish of the client's.
	ended atomic.Pointer[error]
}

type streamKey struct{}

// WithStream gives an operation a Stream, which its subscription opens.
func WithStream(ctx context.Context) (context.Context, *Stream) {
	s := new(Stream)
	return context.WithValue(ctx, streamKey{}, s), s
}

// OpenStream tells the operation's Stream that the field of ctx will give something, at some time.
func OpenStream(ctx context.Context) *Stream {
	s, ok := ctx.Value(streamKey{}).(*Stream)
	if !ok {
		s = new(Stream)
	}
	s.field = graphql.GetFieldContext(ctx)
	s.opened.Store(true)
	return s
}

// Opened reports whether the subscription has begun; else it has failed, and its one response says why.
func (s *Stream) Opened() bool { return s.opened.Load() }

// predictionAdded subscribes, until ctx ends.
func (r *Resolver) predictionAdded(
	ctx context.Context, f persistence.PredictionFilter,
) (<-chan *persistence.Prediction, error) {
	sub, err := r.store.Subscribe(ctx, f)
	if err != nil {
		return nil, err
	}
	stream, added := OpenStream(ctx), make(chan *persistence.Prediction)
	go func() {
		defer close(added)
		defer sub.Close()
		if err := r.forward(ctx, sub, added); err != nil {
			stream.ended.Store(&err)
		}
	}()
	return added, nil
}

// forward gives what a subscription has, until ctx ends, or it returns why there is no more. It never panics.
func (r *Resolver) forward(
	ctx context.Context, sub *persistence.Subscription, added chan<- *persistence.Prediction,
) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = Recover(r.options.Logger)(ctx, v)
		}
	}()
	for {
		p, err := sub.Next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case added <- p:
		case <-ctx.Done():
			return nil
		}
	}
}

// subscribe makes the responses of a subscription, each with loaders of its own: nothing is kept from one to the next.
func (r *Resolver) subscribe(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	// Validation leaves through a field that is there twice, and one that is skipped.
	if len(graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Subscription"})) != 1 {
		return graphql.OneShot(refusal(op.Operation, CodeValidationFailed, "A subscription must select exactly one field."))
	}
	stream, ok := ctx.Value(streamKey{}).(*Stream)
	if !ok {
		ctx, stream = WithStream(ctx)
	}
	respond := next(ctx)
	return func(ctx context.Context) *graphql.Response {
		one := withLoaders(ctx, r)
		if stream.field != nil {
			one = graphql.WithFieldContext(one, stream.field)
		}
		response := respond(one)
		if response == nil {
			return r.end(ctx, stream)
		}
		// The field cannot be null: then there are no data at all, which gqlgen does not see here.
		if stream.field != nil && slices.Equal(response.Data, []byte(`{"`+stream.field.Field.Alias+`":null}`)) {
			response.Data = []byte("null")
		}
		return response
	}
}

// end is the last response, which says why there are no more; nil where that has been said, or is as the client wished.
func (r *Resolver) end(ctx context.Context, s *Stream) *graphql.Response {
	err := s.ended.Swap(nil)
	if err == nil {
		return nil
	}
	return &graphql.Response{Errors: gqlerror.List{PresentError(r.options.Logger)(ctx, *err)}}
}

// refusal is an answer without data to an operation.
func refusal(operation *ast.OperationDefinition, code Code, message string) *graphql.Response {
	err := &gqlerror.Error{Message: message, Extensions: map[string]any{"code": code}}
	core.At(operation.Position)(err)
	return &graphql.Response{Errors: gqlerror.List{err}}
}
