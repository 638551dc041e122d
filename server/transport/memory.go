package transport

import (
	"context"

	"github.com/vektah/gqlparser/v2/ast"
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

// weigh takes what a long answer needs of the budget of answers beside what its resolvers have taken. Where there is no
// room, queries are refused; the answer of a mutation is not lost for that.
func (x *exchange) weigh(out outcome) outcome {
	if out.resp == nil {
		return out
	}
	more := int64(len(out.resp.Data)) - x.sending.bytes.Load()
	if more <= grant {
		return out
	}
	least := more
	if out.operation == nil || out.operation.Operation != ast.Query {
		least = 0
	}
	if _, ok := x.sending.take(least, more); !ok {
		return outcome{err: errTooManyBytes, operation: out.operation}
	}
	return out
}
