package transport

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"sibyl/graph"
	"sibyl/persistence"
)

// stuckMargin is how much longer an operation is waited for after its deadline than rows of its files may take to have an
// outcome that were handed to a writer before it. What takes longer is stuck, and its client is answered without it.
const stuckMargin = time.Second

// outcome is what became of an operation: one of the first three.
type outcome struct {
	resp *graphql.Response
	err  error
	// more gives the answers of a subscription, and nil when there are no more. One without data is the last.
	more func() *graphql.Response
	// operation is nil where none was found in the document.
	operation *ast.OperationDefinition
}

// runSized is run for what has been read already, within the gate.
func (x *exchange) runSized(ctx context.Context, op *operation, bytes int64) outcome {
	if err := x.options.Gate.enter(&x.permit); err != nil {
		return outcome{err: err}
	}
	defer x.permit.release()
	if _, ok := x.permit.take(bytes, bytes); !ok {
		return outcome{err: errTooManyBytes}
	}
	if err := x.permit.start(); err != nil {
		return outcome{err: err}
	}
	return x.run(ctx, x.began.Add(x.options.Timeout), op)
}

// run runs the operation until the deadline, or until ctx ends; of a subscription only the beginning. An operation that
// heeds neither is left behind with its place in the gate, and its client answered.
func (x *exchange) run(ctx context.Context, deadline time.Time, op *operation) outcome {
	defer func() { x.gone = ctx.Err() != nil && context.Cause(ctx) == context.Canceled }()
	bounded, cancel := context.WithDeadline(x.into(graphql.StartOperationTrace(ctx)), deadline)
	defer cancel()
	done := make(chan outcome, 1)
	x.permit.hold()
	x.options.Gate.run(func() {
		out := x.execute(bounded, ctx, op)
		x.permit.release() // first: who has the answer may ask again at once, and need the place
		done <- out
	})
	select {
	case out := <-done:
		return x.see(out)
	case <-bounded.Done():
	}
	stuck := time.NewTimer(persistence.OutcomeTimeout(x.permit.bytes.Load()) + stuckMargin)
	defer stuck.Stop()
	select {
	case out := <-done:
		return x.see(out)
	case <-stuck.C:
		return outcome{err: unanswered(bounded)}
	}
}

// see remembers which operation it was, and what became of it. A query whose answer there is no room for is refused; that
// of a mutation is not lost for that.
func (x *exchange) see(out outcome) outcome {
	if out.operation != nil {
		x.seen.Type, x.seen.Name = string(out.operation.Operation), out.operation.Name
	}
	if out.resp != nil && len(out.resp.Errors) > 0 {
		x.seen.Code = codeOf(out.resp.Errors[0])
	}
	if out.resp != nil && !x.weigh(out.resp, out.operation != nil && out.operation.Operation == ast.Query) {
		return outcome{err: errTooManyBytes, operation: out.operation}
	}
	return out
}

// execute runs the operation, or begins a subscription that lives in lasting; it never panics.
func (x *exchange) execute(ctx, lasting context.Context, op *operation) (out outcome) {
	var opCtx *graphql.OperationContext
	defer func() {
		if v := recover(); v != nil {
			out = outcome{resp: x.panicked(ctx, cmp.Or(opCtx, &graphql.OperationContext{}), v)}
		}
	}()
	keepAs, unresolved := x.options.Documents.resolve(op)
	if unresolved != nil {
		return outcome{err: unresolved}
	}
	opCtx, errs := x.exec.CreateOperationContext(ctx, &op.params)
	defer func() { out.operation = opCtx.Operation }()
	if opCtx.Doc != nil { // it is valid, whatever the variables are
		x.options.Documents.keep(keepAs, op.params.Query)
	}
	if op.params.OperationName == "" && opCtx.Doc != nil && len(opCtx.Doc.Operations) > 1 {
		return outcome{err: errNoOperationName}
	}
	if len(errs) > 0 {
		return outcome{resp: x.exec.DispatchError(graphql.WithOperationContext(ctx, opCtx), documentErrors(errs))}
	}
	if refused := x.admits(op, opCtx); refused != nil {
		return outcome{err: refused}
	}
	if refused := op.placeFiles(opCtx); refused != nil {
		return outcome{err: refused}
	}
	if opCtx.Operation.Operation == ast.Subscription {
		return x.begin(lasting, opCtx)
	}
	next, ctx := x.exec.DispatchOperation(ctx, opCtx)
	if resp := next(ctx); resp != nil {
		return outcome{resp: resp}
	}
	return outcome{err: unanswered(ctx)}
}

// admits returns the refusal of an operation of a kind that cannot be answered here.
func (x *exchange) admits(op *operation, opCtx *graphql.OperationContext) error {
	switch kind := opCtx.Operation.Operation; {
	case kind == ast.Mutation && op.byURL:
		return methodNotAllowed("POST", "GET takes no mutations.")
	case kind == ast.Subscription && x.admit == nil:
		return errNeedsStream
	case kind == ast.Subscription:
		return x.admit(opCtx)
	}
	return nil
}

// begin begins a subscription. One that fails has an answer, which says why.
func (x *exchange) begin(ctx context.Context, opCtx *graphql.OperationContext) outcome {
	ctx, stream := graph.WithStream(x.into(ctx))
	next, ctx := x.exec.DispatchOperation(ctx, opCtx)
	more := func() (resp *graphql.Response) {
		defer func() {
			if v := recover(); v != nil {
				resp = x.panicked(ctx, opCtx, v)
			}
		}()
		x.sent() // the one before
		if resp = next(ctx); resp != nil && !x.weigh(resp, true) {
			return &graphql.Response{Errors: errTooManyBytes.list()}
		}
		if ended := endedFor(ctx); ended != nil {
			return &graphql.Response{Errors: ended.list()}
		}
		return resp
	}
	if stream.Opened() {
		return outcome{more: more}
	}
	resp := more()
	if ended := endedFor(ctx); ended != nil {
		return outcome{err: ended}
	}
	if resp != nil {
		return outcome{resp: resp}
	}
	return outcome{err: unanswered(ctx)}
}

func (x *exchange) panicked(ctx context.Context, opCtx *graphql.OperationContext, v any) *graphql.Response {
	err := gqlerror.Wrap(x.options.Recover(ctx, v))
	return x.exec.DispatchError(graphql.WithOperationContext(ctx, opCtx), gqlerror.List{err})
}

// unanswered is the refusal of an operation that its context ended.
func unanswered(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errDeadline
	}
	// The client went away, and nobody reads this; or the server gave up waiting while shutting down.
	return errShuttingDown
}
