package transport

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
)

type exchangeKey struct{}

// into gives the resolvers of an operation their exchange.
func (x *exchange) into(ctx context.Context) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

// exchangeOf returns that of the operation of ctx, or nil where there is none.
func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// TakeMemory takes bytes of the budget of answers for that to the operation of ctx, and of a subscription for the one that
// is being made, until it has been sent. It reports whether there was room for them, which there is none for what nobody
// waits for any more.
func TakeMemory(ctx context.Context, bytes int64) bool {
	x := exchangeOf(ctx)
	if x == nil {
		return true
	}
	if ctx.Err() != nil {
		return false
	}
	_, ok := x.sending.take(bytes, bytes)
	return ok
}

// sent gives back the memory of an answer.
func (x *exchange) sent() { x.sending.giveBack() }

const (
	// freeAnswer is how long an answer may be that takes nothing of the budget: nearly all are shorter.
	freeAnswer = 4 << 10
	// errorBytes is about what an error takes, with its path and extensions.
	errorBytes = 512
)

// weigh takes what a long answer needs of the budget of answers, beside what its resolvers have taken. It reports whether
// there was room for all of it; where it need not have all, it takes what there is.
func (x *exchange) weigh(resp *graphql.Response, all bool) bool {
	more := int64(len(resp.Data)+errorBytes*len(resp.Errors)) - x.sending.bytes.Load()
	if more <= freeAnswer {
		return true
	}
	least := int64(0)
	if all {
		least = more
	}
	_, ok := x.sending.take(least, more)
	return ok
}
