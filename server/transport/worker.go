package transport

// maxIdleWorkers bounds the goroutines that are kept for operations to come.
const maxIdleWorkers = 256

// A worker is a goroutine of a gate that is kept from operation to operation, and the channel on which it gets the next.
// The stack of a new one would have to grow for each, which takes longer than many an operation.
type worker chan func()

// run runs f in a goroutine of the gate; f must not panic.
func (g *Gate) run(f func()) {
	g.mu.Lock()
	var w worker
	if last := len(g.workers) - 1; last >= 0 {
		w, g.workers = g.workers[last], g.workers[:last]
	}
	g.mu.Unlock()
	if w == nil {
		w = make(worker, 1)
		go w.work(g)
	}
	w <- f
}

// work runs what comes, until the gate is closed or has enough workers without.
func (w worker) work(g *Gate) {
	for f := range w {
		f()
		if !g.keep(w) {
			return
		}
	}
}

func (g *Gate) keep(w worker) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || len(g.workers) == maxIdleWorkers {
		return false
	}
	g.workers = append(g.workers, w)
	return true
}
