package persistence

import (
	"context"
	"sync/atomic"
)

// lanes bound how many do something at a time; others wait, and too many are refused. Safe for concurrent use.
type lanes struct {
	taken   chan struct{}
	waiting *atomic.Int64
}

func newLanes(n int) lanes { return lanes{make(chan struct{}, n), new(atomic.Int64)} }

// enter waits for a lane, which must be left. It returns ErrOverloaded at once where too many wait, or ctx's error.
func (l lanes) enter(ctx context.Context) error {
	select {
	case l.taken <- struct{}{}:
		return nil
	default:
	}
	defer l.waiting.Add(-1)
	if l.waiting.Add(1) > queueRows {
		return ErrOverloaded
	}
	select {
	case l.taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l lanes) leave() { <-l.taken }
