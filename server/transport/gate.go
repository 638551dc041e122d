package transport

import (
	"context"
	"sync"
	"sync/atomic"
)

// Gate bounds how many operations are in flight and how many bytes they and others hold in memory. It refuses at once
// and never queues: who waits is better served by another replica. Safe for concurrent use.
type Gate struct {
	maxOperations int
	maxBytes      int64

	mu         sync.Mutex // guards what follows
	operations int
	reading    int // operations that are inside, whose requests are still coming
	bytes      int64
	closed     bool
	idle       chan struct{} // is closed when the gate is closed and no operation is left
	workers    []worker      // that have nothing to do
}

// NewGate returns a gate for so many operations and so many bytes.
func NewGate(maxOperations int, maxBytes int64) *Gate {
	return &Gate{maxOperations: maxOperations, maxBytes: maxBytes, idle: make(chan struct{})}
}

// Close lets no further operation in; those inside go on. The gate's goroutines end with theirs.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		g.signalIdle()
		for _, w := range g.workers {
			close(w)
		}
		g.workers = nil
	}
}

// Wait returns when the gate is closed and every operation has left, or with the context's error.
func (g *Gate) Wait(ctx context.Context) error {
	select {
	case <-g.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Reserve takes bytes of the budget for what is held beside operations, such as an image while its client reads it,
// until release is called, once. One that is larger than the whole budget takes it all. The error, where there is no
// room or the gate is closed, is told to clients as it is. Wait does not wait for the release.
func (g *Gate) Reserve(bytes int64) (release func(), err error) {
	bytes = min(bytes, g.maxBytes)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return nil, errShuttingDown
	case g.bytes+bytes > g.maxBytes:
		return nil, errTooManyBytes
	}
	g.bytes += bytes
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.bytes -= bytes
	}, nil
}

// InFlight are the operations and the bytes that are inside now.
func (g *Gate) InFlight() (operations int, bytes int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.operations + g.reading, g.bytes
}

// enter lets an operation in whose request is to be read, or refuses it as OVERLOADED. It takes no place until it
// starts: a thousand clients who send nothing after their headers would keep out everybody else. The permit, a zero one,
// is theirs who are inside.
func (g *Gate) enter(p *permit) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errShuttingDown
	}
	if g.operations >= g.maxOperations {
		return errTooManyOperations
	}
	g.reading++
	p.gate = g
	p.holders.Store(1)
	return nil
}

func (g *Gate) leave(p *permit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.started {
		g.operations--
	} else {
		g.reading--
	}
	g.bytes -= p.bytes.Load()
	g.signalIdle()
}

// signalIdle wakes Wait; g.mu must be held.
func (g *Gate) signalIdle() {
	if g.closed && g.operations+g.reading == 0 {
		close(g.idle)
	}
}

// hasRoom reports whether a body of n bytes would be let in now.
func (g *Gate) hasRoom(n int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bytes+n <= g.maxBytes
}

// reserve takes least bytes of the budget, and up to most where there is room for them.
func (g *Gate) reserve(least, most int64) (reserved int64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	left := g.maxBytes - g.bytes
	if least > left {
		return 0, false
	}
	reserved = max(least, min(most, left))
	g.bytes += reserved
	return reserved, true
}

// A share is bytes of a gate's budget. Safe for concurrent use.
type share struct {
	gate  *Gate
	bytes atomic.Int64
}

// take takes least bytes of the gate's budget, and up to most where there is room, until they are given back.
func (s *share) take(least, most int64) (taken int64, ok bool) {
	taken, ok = s.gate.reserve(least, most)
	s.bytes.Add(taken)
	return taken, ok
}

// giveBack gives back all that was taken.
func (s *share) giveBack() {
	if bytes := s.bytes.Swap(0); bytes > 0 {
		s.gate.mu.Lock()
		defer s.gate.mu.Unlock()
		s.gate.bytes -= bytes
	}
}

// A permit is one operation's place in the gate, with its share of the bytes. It has as many holders as goroutines work
// on the operation, so that one that is stuck still counts.
type permit struct {
	share
	holders atomic.Int32
	started bool // guarded by the gate's mu
}

// start gives the operation its place, or refuses it as OVERLOADED. It is called once, when the request has been read.
func (p *permit) start() error {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	if p.gate.operations >= p.gate.maxOperations {
		return errTooManyOperations
	}
	p.gate.reading--
	p.gate.operations++
	p.started = true
	return nil
}

func (p *permit) hold() { p.holders.Add(1) }

// release gives place and bytes back when the last holder calls it.
func (p *permit) release() {
	if p.holders.Add(-1) == 0 {
		p.gate.leave(p)
	}
}
