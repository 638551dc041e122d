package inference

import (
	"context"
	"sync/atomic"
)

// maxWaiting bounds those who wait for a permit; whoever comes then is refused at once.
const maxWaiting = 1024

// permits hands out a fixed set of T, first come first served. It is safe for concurrent use.
type permits[T any] struct {
	free    chan T
	closed  chan struct{}
	waiting atomic.Int64
}

func newPermits[T any](all []T) *permits[T] {
	p := &permits[T]{free: make(chan T, len(all)), closed: make(chan struct{})}
	for _, permit := range all {
		p.free <- permit
	}
	return p
}

// acquire waits for a permit, which its holder gives back with release. It returns ErrOverloaded at once when too many
// wait, ErrClosed after close, and ctx's error when ctx ends first.
func (p *permits[T]) acquire(ctx context.Context) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	select {
	case <-p.closed:
		return none, ErrClosed
	default:
	}
	select {
	case permit := <-p.free:
		return permit, nil
	default:
	}
	if p.waiting.Add(1) > maxWaiting {
		p.waiting.Add(-1)
		return none, ErrOverloaded
	}
	defer p.waiting.Add(-1)
	select {
	case permit := <-p.free:
		return permit, nil
	case <-p.closed:
		return none, ErrClosed
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

func (p *permits[T]) release(permit T) { p.free <- permit }

// close refuses those who wait and those who come, waits until every permit is back, and returns them all. It may be
// called once.
func (p *permits[T]) close() []T {
	close(p.closed)
	all := make([]T, cap(p.free))
	for i := range all {
		all[i] = <-p.free
	}
	return all
}
