package transport

import (
	"context"
	"sync"
	"time"
)

// Streams bounds how many WebSockets and event streams are open, keeps them alive and ends them. Safe for concurrent
// use.
type Streams struct {
	max       int
	keepAlive time.Duration
	running   sync.WaitGroup

	mu     sync.Mutex // guards what follows
	open   map[stream]struct{}
	closed bool
	idle   chan struct{} // is closed when Streams is closed and none is left
	// quiet ends the goroutine that keeps them alive; nil where none is open.
	quiet chan struct{}
}

// stream is a connection that stays open. Its methods may be called after it has ended.
type stream interface {
	// ping sends something that has no meaning, so that nobody takes the connection for dead, unless it is.
	ping()
	// end finishes it in order.
	end()
	// abort ends it at once.
	abort()
	// recheck ends it, or what of it its caller may not have any more: the keys have changed.
	recheck()
}

// NewStreams returns one for so many connections, on each of which something is sent at least every keepAlive.
func NewStreams(most int, keepAlive time.Duration) *Streams {
	return &Streams{max: most, keepAlive: keepAlive, open: map[stream]struct{}{}, idle: make(chan struct{})}
}

// Count is how many are open.
func (s *Streams) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// Close lets no further one be opened, and tells those that are open to end.
func (s *Streams) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for st := range s.open {
		s.running.Go(st.end)
	}
	s.signalIdle()
}

// Wait returns when Streams is closed and every stream has ended, or with the context's error.
func (s *Streams) Wait(ctx context.Context) error {
	select {
	case <-s.idle:
		s.running.Wait()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Abort is Close, for those that did not end in time.
func (s *Streams) Abort() {
	s.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for st := range s.open {
		s.running.Go(st.abort)
	}
}

// Recheck ends the subscriptions, and closes the WebSockets, whose callers may not have them any more. It is to be
// called when the keys have changed, and does not wait.
func (s *Streams) Recheck() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for st := range s.open {
		s.running.Go(st.recheck)
	}
}

// enter lets one more be open until it leaves, or refuses it as OVERLOADED.
func (s *Streams) enter(st stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errShuttingDown
	case len(s.open) >= s.max:
		return errTooManyStreams
	}
	s.open[st] = struct{}{}
	if s.quiet == nil {
		quiet := make(chan struct{})
		s.quiet = quiet
		s.running.Go(func() { s.pingAll(quiet) })
	}
	return nil
}

func (s *Streams) leave(st stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, st)
	if len(s.open) == 0 && s.quiet != nil {
		close(s.quiet)
		s.quiet = nil
		s.signalIdle()
	}
}

// signalIdle wakes Wait; mu must be held.
func (s *Streams) signalIdle() {
	if s.closed && len(s.open) == 0 {
		close(s.idle)
	}
}

// pingAll pings every stream now and then, until quiet is closed. Each has a time of its own to take it.
func (s *Streams) pingAll(quiet <-chan struct{}) {
	tick := time.NewTicker(s.keepAlive)
	defer tick.Stop()
	for {
		select {
		case <-quiet:
			return
		case <-tick.C:
		}
		var pings sync.WaitGroup
		s.mu.Lock()
		for st := range s.open {
			pings.Go(st.ping)
		}
		s.mu.Unlock()
		pings.Wait()
	}
}
