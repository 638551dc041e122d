package inference

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// executor runs a model for a batcher, on instances that are numbered from 0. An instance is used by one caller at a
// time; different ones may be used at the same time. Tasks that are nil left the batch.
type executor interface {
	// load puts the tasks' inputs into an instance's memory.
	load(instance int, tasks []*task)
	// infer runs the model on so many images of what was loaded. It returns ctx's error when ctx ends.
	infer(ctx context.Context, instance, images int) error
	// unload copies the outputs to the tasks.
	unload(instance int, tasks []*task)
}

// backend is an executor that a version owns: a session of this process, or another server.
type backend interface {
	executor
	// close frees it. No run may be going on.
	close() error
}

// batcher makes tasks that wait at the same time share a run, as Triton's dynamic batcher does. A task that finds an
// instance idle runs at once, with those that are about to come; those that come while all are busy wait in order, and
// an instance that becomes idle takes as many of them as the plan says. It is safe for concurrent use.
type batcher struct {
	executor executor
	plan     batchPlan
	// delay is how long an incomplete batch waits for company although an instance is idle.
	delay time.Duration
	// maxQueue bounds those who wait; whoever comes then is refused at once.
	maxQueue int
	stats    *statistics
	// callers is how many use the version now: those who have a task here, and those who may be about to bring one.
	callers func() int
	// yield lets others have the processor: runtime.Gosched, except in tests.
	yield func()

	// mu guards what follows. It is held for no run and no copy.
	mu    sync.Mutex
	queue taskQueue
	// idle are the instances that nobody uses, the last used at the end.
	idle []int
	// gathering tells that a task lets others come, and that what waits is its to dispatch.
	gathering bool
	closed    bool
	// timer ends the delay of the queue's first task; nil where none was ever needed.
	timer *time.Timer
	// gone is closed when the batcher is closed and all instances are back; instances is how many there are.
	gone      chan struct{}
	instances int
}

func newBatcher(
	x executor, instances int, plan batchPlan, c batchingConfig, stats *statistics, callers func() int,
) *batcher {
	b := &batcher{
		executor: x, plan: plan, delay: c.delay, maxQueue: c.maxQueueSize, stats: stats, callers: callers,
		yield: runtime.Gosched, instances: instances, gone: make(chan struct{}),
	}
	for instance := range instances {
		b.idle = append(b.idle, instance)
	}
	return b
}

// run runs the model on the task's input and fills its outputs and times. It returns ErrOverloaded at once when too
// many wait, ErrClosed, ctx's error when ctx ends before the run does, and what ONNX Runtime says of the run.
func (b *batcher) run(ctx context.Context, t *task) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.entered, t.batch = time.Now(), nil
	instance, err := b.enter(t)
	if err != nil {
		return err
	}
	if instance != none {
		return b.alone(ctx, instance, t)
	}
	select {
	case a := <-t.ready:
		if a.instance != none {
			return b.alone(ctx, a.instance, t)
		}
		return a.err
	case <-ctx.Done():
		return b.leave(ctx, t)
	}
}

// enter gives the task an instance, or none and then it waits.
func (b *batcher) enter(t *task) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return none, ErrClosed
	case b.queue.length == 0 && len(b.idle) > 0 && b.delay == 0 && (b.plan.most == 1 || b.callers() <= b.instances):
		return b.takeIdle(), nil
	case b.queue.length >= b.maxQueue:
		return none, ErrOverloaded
	}
	b.queue.push(t)
	b.gather()
	b.dispatch()
	return none, nil
}

// gatherTurns is how often a task that finds an instance idle lets others run, each of which may take a processor for a
// while.
const gatherTurns = 4

// gather lets those run that want a processor, for as long as some of them come with a task of their own: where the
// processors are what is short, a run of each task alone would take more of them than one of all. Nobody is waited for,
// so that a lone task goes at once. mu is held, but not all the time.
func (b *batcher) gather() {
	if b.gathering {
		return
	}
	b.gathering = true
	for before, turns := 0, 0; before < b.queue.length && len(b.idle) > 0 && turns < gatherTurns; turns++ {
		before = b.queue.length
		b.mu.Unlock()
		b.yield()
		b.mu.Lock()
	}
	b.gathering = false
}

// leave takes a task away whose caller waits no longer, unless its outcome is there.
func (b *batcher) leave(ctx context.Context, t *task) error {
	b.mu.Lock()
	queued := t.queued
	if queued {
		b.queue.remove(t)
	}
	b.mu.Unlock()
	if queued || (t.batch != nil && t.batch.leave(t)) {
		return ctx.Err()
	}
	a := <-t.ready
	if a.instance != none {
		b.release(a.instance)
		return ctx.Err()
	}
	return a.err
}

// alone runs a task by itself in its caller's goroutine, and ends with its caller's ctx.
func (b *batcher) alone(ctx context.Context, instance int, t *task) error {
	defer b.release(instance)
	begin := time.Now()
	b.executor.load(instance, t.self[:])
	loaded := time.Now()
	if err := b.executor.infer(ctx, instance, 1); err != nil {
		return err
	}
	ran := time.Now()
	b.executor.unload(instance, t.self[:])
	t.times = phases{begin.Sub(t.entered), loaded.Sub(begin), ran.Sub(loaded), time.Since(ran)}
	b.stats.ran(1, t.times)
	return nil
}

// release gives an instance back, to those who wait first.
func (b *batcher) release(instance int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.idle = append(b.idle, instance)
	b.dispatch()
	if b.closed && len(b.idle) == b.instances {
		close(b.gone)
	}
}

func (b *batcher) takeIdle() int {
	last := len(b.idle) - 1
	instance := b.idle[last]
	b.idle = b.idle[:last]
	return instance
}

// dispatch gives the idle instances what waits. mu is held.
func (b *batcher) dispatch() {
	for b.queue.length > 0 && len(b.idle) > 0 {
		if b.gathering && !b.whole() || b.delayed() {
			return
		}
		n := b.plan.take(b.queue.length)
		if n == 1 {
			b.queue.pop().ready <- answer{instance: b.takeIdle()}
			continue
		}
		w := newBatch(&b.queue, n)
		instance := b.takeIdle()
		go func() {
			defer b.release(instance)
			w.run(b.executor, instance, b.stats)
		}()
	}
}

// whole tells that what waits is as much as a run takes, or as may wait. mu is held.
func (b *batcher) whole() bool { return b.queue.length >= min(b.plan.most, b.maxQueue) }

// delayed tells that what waits is no whole batch and may wait on, and sets the timer that ends this. mu is held.
func (b *batcher) delayed() bool {
	if b.delay == 0 || b.whole() {
		return false
	}
	rest := b.delay - time.Since(b.queue.first.entered)
	if rest <= 0 {
		return false
	}
	if b.timer == nil {
		b.timer = time.AfterFunc(rest, b.wake)
	} else {
		b.timer.Reset(rest)
	}
	return true
}

func (b *batcher) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dispatch()
}

// waiting is how many wait for an instance now.
func (b *batcher) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queue.length
}

// close answers those who wait and those who come with ErrClosed, and returns when the last run has ended. It may be
// called once.
func (b *batcher) close() {
	b.mu.Lock()
	b.closed = true
	for b.queue.length > 0 {
		b.queue.pop().ready <- answer{instance: none, err: ErrClosed}
	}
	if b.timer != nil {
		b.timer.Stop()
	}
	if len(b.idle) == b.instances {
		close(b.gone)
	}
	b.mu.Unlock()
	<-b.gone
}
