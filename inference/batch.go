package inference

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// batch is tasks that share a run.
type batch struct {
	// mu guards what follows. It is held while tasks are copied from and to, but not while the model runs.
	mu sync.Mutex
	// tasks are nil where the caller has left or was answered.
	tasks []*task
	// running are those of the run that goes on, and cancel ends it.
	running []*task
	cancel  context.CancelFunc
}

// newBatch takes the first n of the queue, whose owner's lock is held.
func newBatch(q *taskQueue, n int) *batch {
	w := &batch{tasks: make([]*task, n)}
	for i := range w.tasks {
		t := q.pop()
		t.batch, t.slot = w, i
		w.tasks[i] = t
	}
	return w
}

// leave takes a task out; false where it has been answered. A run that nobody waits for any more is stopped: so its
// deadline is the latest of its tasks'.
func (w *batch) leave(t *task) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tasks[t.slot] == nil {
		return false
	}
	w.tasks[t.slot] = nil
	if w.cancel != nil && !anyWaits(w.running) {
		w.cancel()
	}
	return true
}

func anyWaits(tasks []*task) bool {
	return slices.ContainsFunc(tasks, func(t *task) bool { return t != nil })
}

// run answers every task of the batch. Where the run fails each is run again by itself, so that one bad image does not
// fail its neighbours.
func (w *batch) run(x executor, instance int, stats *statistics) {
	err := w.attempt(x, instance, w.tasks, stats)
	if err == nil {
		return
	}
	if errors.Is(err, ErrUnavailable) || errors.Is(err, ErrOverloaded) { // no image's fault
		w.answer(w.tasks, err)
		return
	}
	for i := range w.tasks {
		err := w.attempt(x, instance, w.tasks[i:i+1], stats)
		if err != nil {
			w.answer(w.tasks[i:i+1], err)
		}
	}
}

// attempt runs the model on some of the tasks; without an error they are answered.
func (w *batch) attempt(x executor, instance int, tasks []*task, stats *statistics) error {
	begin := time.Now()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if !w.load(x, instance, tasks, cancel) {
		return nil
	}
	loaded := time.Now()
	if err := x.infer(ctx, instance, len(tasks)); err != nil {
		return err
	}
	ran := time.Now()
	w.mu.Lock()
	x.unload(instance, tasks)
	w.mu.Unlock()
	times := phases{input: loaded.Sub(begin), infer: ran.Sub(loaded), output: time.Since(ran)}
	stats.ran(len(tasks), times)
	w.finish(tasks, begin, times)
	return nil
}

// load begins a run; it is false where nobody waits for it.
func (w *batch) load(x executor, instance int, tasks []*task, cancel context.CancelFunc) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !anyWaits(tasks) {
		return false
	}
	w.running, w.cancel = tasks, cancel
	x.load(instance, tasks)
	return true
}

// finish tells the tasks their times, and answers them.
func (w *batch) finish(tasks []*task, begin time.Time, times phases) {
	w.mu.Lock()
	for _, t := range tasks {
		if t != nil {
			t.times = times
			t.times.queue = begin.Sub(t.entered)
		}
	}
	w.mu.Unlock()
	w.answer(tasks, nil)
}

// answer ends the wait of those tasks whose callers have not left.
func (w *batch) answer(tasks []*task, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, t := range tasks {
		if t != nil {
			tasks[i] = nil
			t.ready <- answer{instance: none, err: err}
		}
	}
}
