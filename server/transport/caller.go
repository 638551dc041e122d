package transport

import (
	"context"
	"errors"

	"github.com/99designs/gqlgen/graphql"

	"sibyl/graph"
)

// What lasts, lasts for as long as its caller may have it. Streams.Recheck tells every stream that the keys have changed;
// each looks for itself once more when it is among those that are told, so that no change falls between.

// ErrKeyGone ends what its caller may not have any more, for nobody has the key.
var ErrKeyGone = &graph.Error{
	Code: graph.CodeUnauthenticated, Message: "The API key has been taken away while this went on.",
}

// renew returns who a caller is now; nil where that is nobody.
func (o *Options) renew(caller *graph.Caller) *graph.Caller {
	if o.Renew == nil {
		return caller
	}
	return o.Renew(caller)
}

// stillMay returns the error of an operation whose caller may not have it any more. Where nobody is known to ask,
// everybody may.
func (o *Options) stillMay(caller *graph.Caller, op *graphql.OperationContext) error {
	if caller == nil {
		return nil
	}
	if caller = o.renew(caller); caller == nil {
		return ErrKeyGone
	}
	return graph.AuthorizeOperation(caller, op)
}

// enter lets the event stream of the operation be open.
func (x *exchange) enter(op *graphql.OperationContext) error {
	caller := graph.CallerOf(x.r.Context())
	x.events.stillMay = func() error { return x.options.stillMay(caller, op) }
	if err := x.options.Streams.enter(x.events); err != nil {
		return err
	}
	return x.events.stillMay() // the keys may have changed before the stream was among those that are told
}

// recheck ends the stream where its caller may not have it any more.
func (s *eventStream) recheck() {
	if err := s.stillMay(); err != nil {
		s.cancel(err)
	}
}

// endedFor is why a subscription has been ended that its caller may not have any more, or an event stream whose server
// stops; nil where its client is to be told no reason.
func endedFor(ctx context.Context) *refusal {
	cause := context.Cause(ctx)
	if refused := (*refusal)(nil); errors.As(cause, &refused) {
		return refused
	}
	if revoked := (*graph.Error)(nil); errors.As(cause, &revoked) {
		return refusalOf(revoked, errBodyTooLarge)
	}
	return nil
}

// acknowledge lets the caller begin operations, unless the key is gone again: the connection is told of changes from now
// on.
func (c *connection) acknowledge(caller *graph.Caller) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acknowledged, c.caller = true, caller
	return c.renew()
}

// renew reports whether the caller's key is still there, and takes the roles of now; mu must be held.
func (c *connection) renew() bool {
	if c.caller == nil {
		return true
	}
	caller := c.options.renew(c.caller)
	if caller == nil {
		c.revoked = true
		return false
	}
	c.caller = caller
	return true
}

// recheck ends the subscriptions that the caller may not have any more; where the key is gone, it closes the connection.
func (c *connection) recheck() {
	if c.recheckOperations() {
		return
	}
	if ws := c.socket(); ws != nil {
		ws.close(errForbidden.code, errForbidden.reason)
	}
}

// recheckOperations reports whether the caller's key is still there. Without it the client is told nothing more of any
// operation.
func (c *connection) recheckOperations() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.renew() {
		for _, r := range c.operations {
			r.cancel(nil)
		}
		clear(c.operations)
		return false
	}
	for _, r := range c.operations {
		if r.subscription == nil {
			continue
		}
		if err := c.options.stillMay(c.caller, r.subscription); err != nil {
			r.cancel(err)
		}
	}
	return true
}
