package inference

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// breakerThreshold is how many calls in a row must fail before the next ones are not made.
const breakerThreshold = 3

// breaker keeps calls from a server that is away, so that their callers learn it at once instead of at their deadline:
//
//	closed ── breakerThreshold calls in a row are ErrUnavailable ──► open ── a probe succeeds ──► closed
//
// A server that has another model opens it at once.
//
// It is safe for concurrent use.
type breaker struct {
	// trouble has a value when a call has failed, for who probes.
	trouble chan struct{}

	// mu guards what follows.
	mu       sync.Mutex
	failures int
	// cause is why the breaker is open; nil while it is closed.
	cause error
}

func newBreaker() *breaker { return &breaker{trouble: make(chan struct{}, 1)} }

// allow is nil, or an ErrUnavailable where no call is to be made.
func (b *breaker) allow() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cause != nil {
		return fmt.Errorf("not asked again yet: %w", b.cause)
	}
	return nil
}

// replaced is nil, or the anotherModel that opened the breaker.
func (b *breaker) replaced() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.As(b.cause, new(anotherModel)) {
		return b.cause
	}
	return nil
}

// healthy tells that the last call was answered.
func (b *breaker) healthy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cause == nil && b.failures == 0
}

// record counts the outcome of a call. An answer does not close the breaker: the call was made before that opened.
func (b *breaker) record(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.cause != nil:
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded): // says nothing of the server
	case !errors.Is(err, ErrUnavailable):
		b.failures = 0
	default:
		b.fail(err)
		select {
		case b.trouble <- struct{}{}:
		default:
		}
	}
}

// probed counts the outcome of a probe; its error must be ErrUnavailable. One that only took too long does not open the
// breaker: a server that is busy is slow to say so.
func (b *breaker) probed(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil:
		b.failures, b.cause = 0, nil
	case errors.As(b.cause, new(anotherModel)): // until it is seen that the server has the right one
	case b.cause != nil:
		b.cause = err
	case !errors.Is(err, context.DeadlineExceeded):
		b.fail(err)
	}
}

// fail counts an ErrUnavailable, which may open the breaker. mu is held.
func (b *breaker) fail(err error) {
	if b.failures++; b.failures >= breakerThreshold || errors.As(err, new(anotherModel)) {
		b.cause = err
	}
}
