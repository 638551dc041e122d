package transport

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Streams bounds how many WebSockets and event streams are open, keeps them alive and ends them. Safe for concurrent
// use.
type Streams struct {
	max       int
	keepAlive time.Duration
	running   sync.WaitGroup

	mu   sync.Mutex      // guards what follows
	open map[stream]bool // whether it has a place
	// places are how many have one, and waiting those that have none yet, the oldest first.
	places  int
	waiting []stream
	closed  bool
	idle    chan struct{} // is closed when Streams is closed and none is left
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
	return &Streams{max: most, keepAlive: keepAlive, open: map[stream]bool{}, idle: make(chan struct{})}
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
	if err := s.hasPlace(); err != nil {
		return err
	}
	s.places++
	s.add(st, true)
	return nil
}

// knock is enter for one whose client is not known yet, and which takes no place from others. As many may wait as may be
// open; where there are more, the oldest is ended, which has had time to say who it is.
func (s *Streams) knock(st stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.hasPlace(); err != nil {
		return err
	}
	s.add(st, false)
	s.waiting = append(s.waiting, st)
	if len(s.waiting) > s.max {
		s.running.Go(s.waiting[0].abort)
		s.waiting = s.waiting[1:]
	}
	return nil
}

// admit gives one that has knocked a place, or refuses it as OVERLOADED.
func (s *Streams) admit(st stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.hasPlace(); err != nil {
		return err
	}
	s.places++
	s.open[st] = true
	s.stopWaiting(st)
	return nil
}

// hasPlace returns why there is none for one more; mu must be held.
func (s *Streams) hasPlace() error {
	switch {
	case s.closed:
		return errShuttingDown
	case s.places >= s.max:
		return errTooManyStreams
	}
	return nil
}

// add keeps one alive from now on; mu must be held.
func (s *Streams) add(st stream, placed bool) {
	s.open[st] = placed
	if s.quiet == nil {
		quiet := make(chan struct{})
		s.quiet = quiet
		s.running.Go(func() { s.pingAll(quiet) })
	}
}

// stopWaiting must be called with mu held.
func (s *Streams) stopWaiting(st stream) {
	if i := slices.Index(s.waiting, st); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
}

func (s *Streams) leave(st stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[st] {
		s.places--
	}
	delete(s.open, st)
	s.stopWaiting(st)
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
