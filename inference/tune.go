package inference

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// tuneTime bounds how long larger batches are tried for a model that does not ask for them.
	tuneTime = 2 * time.Second
	// tuneGPU is that bound on a GPU, where a first run may compile.
	tuneGPU = 20 * time.Second
	// tuneCheap is how long they are tried even where the next larger one did not help.
	tuneCheap = 200 * time.Millisecond
	// tuneAgain is how long all sizes are measured again in turn: others use this machine too, and what slows one
	// measurement down must not decide.
	tuneAgain = 150 * time.Millisecond
	// tuneMemory bounds what is set aside for them, in bytes of the largest bucket.
	tuneMemory = 1 << 30
)

var errNotIndependent = errors.New("the outputs are not one for each image of a batch")

// tune adds the buckets that the version's batches are to have, and says which tasks share a run. An explicit
// `dynamic_batching` gets all of them up to the limit, or an error that names it; else it is measured whether batches
// are worthwhile, and what does not work or does not help is left out.
func (g *instances) tune(ctx context.Context, c *config, warm []*task) (batchPlan, error) {
	limit, explicit := g.input.limit, c.batching.dynamic
	times := []time.Duration{0}
	var err error
	switch {
	case limit == 1:
	case !g.input.open: // fixed to N: padded, so that a batch costs the same as an image
		err = checkIndependent(ctx, g, g.input, g.session.outputs, limit, warm)
	case explicit:
		times, err = g.climb(ctx, warm, func([]time.Duration) bool { return true })
	default:
		times, limit = g.tryBatches(ctx, warm)
	}
	switch {
	case err != nil && explicit:
		return batchPlan{}, c.errorf("dynamic_batching", "%w", err)
	case ctx.Err() != nil:
		return batchPlan{}, ctx.Err()
	case err != nil: // such batches do not work, and nobody asked for them
		limit = 1
	}
	return newBatchPlan(limit, g.buckets, times), nil
}

// tryBatches climbs as long as that helps, and keeps the buckets up to the best, its second result. A batch that fails
// or takes too long is not formed. On a GPU all that works is kept: what it does at once it need not do in turns.
func (g *instances) tryBatches(ctx context.Context, warm []*task) ([]time.Duration, int) {
	onGPU, bound := g.session.target.provider.onGPU(), tuneTime
	if onGPU {
		bound = tuneGPU
	}
	trial, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	begin := time.Now()
	times, _ := g.climb(trial, warm, func(times []time.Duration) bool {
		hopeful := onGPU || len(times) <= fastestBucket(g.buckets, times)+1 || time.Since(begin) < tuneCheap
		return hopeful && 2*g.bytes() <= tuneMemory
	})
	if len(times) == 0 {
		times = []time.Duration{0}
	}
	if len(times) > 1 {
		g.measureAgain(trial, times)
	}
	best := worthwhileBucket(g.buckets, times)
	if onGPU {
		best = len(times) - 1
	}
	_ = g.keep(g.buckets[best]) // freeing never fails
	return times[:best+1], g.buckets[best]
}

// measureAgain takes the times of the first buckets down to the least of some rounds; at least one, unless ctx ends.
func (g *instances) measureAgain(ctx context.Context, times []time.Duration) {
	for begin, rounds := time.Now(), 0; rounds == 0 || time.Since(begin) < tuneAgain; rounds++ {
		for i := range times {
			took, err := g.measure(ctx, g.buckets[i])
			if err != nil {
				return
			}
			times[i] = min(times[i], took)
		}
	}
}

// bytes is the memory of the largest bucket in all instances.
func (g *instances) bytes() int {
	b := g.bindings[0][len(g.buckets)-1]
	total := 0
	for _, tensors := range [][]nativeTensor{b.inputs, b.outputs} {
		for _, tensor := range tensors {
			total += len(tensor.data)
		}
	}
	return total * g.count
}

// climb adds the buckets up to the limit one by one, as long as more wants the next, and gives the time of each.
func (g *instances) climb(
	ctx context.Context, warm []*task, more func([]time.Duration) bool,
) (times []time.Duration, err error) {
	for _, size := range bucketsUpTo(g.input.limit) {
		if size > 1 {
			err = g.add(ctx, size)
		}
		if err == nil && size > 1 {
			err = checkIndependent(ctx, g, g.input, g.session.outputs, size, warm)
		}
		took := time.Duration(0)
		if err == nil {
			took, err = g.measure(ctx, size)
		}
		if err != nil {
			return times, fmt.Errorf("batch of %d: %w", size, err)
		}
		if times = append(times, took); !more(times) {
			break
		}
	}
	return times, nil
}

// checkIndependent runs the warm-up's pictures in one batch, the first once and then the second as often as it takes.
// Each must get the answer that it got alone. An output that all share must be of one shape, as a detector's anchors are:
// how many boxes are found in these pictures tells nothing of others.
func checkIndependent(
	ctx context.Context, x executor, in *imageInput, outputs []onnxValue, size int, warm []*task,
) error {
	for o, output := range outputs {
		if in.isWhole(o) && (len(output.shape) == 0 || volume(output.shape) <= 0) {
			return errNotIndependent
		}
	}
	tasks := make([]*task, size)
	for i := range tasks {
		tasks[i] = newTask()
		tasks[i].input = warm[min(i, 1)].input
	}
	x.load(0, tasks)
	if err := x.infer(ctx, 0, size); err != nil {
		return err
	}
	x.unload(0, tasks)
	if !same(outputs, tasks[0].outputs, warm[0].outputs) || !same(outputs, tasks[size-1].outputs, warm[1].outputs) {
		return errNotIndependent
	}
	return nil
}

// same compares the outputs' shapes, and their values within what another order of adding up may change: the last digits
// of those of floating point, and of others, such as the classes of pixels, one in a hundred.
func same(outputs []onnxValue, a, b []rawTensor) bool {
	for i, output := range outputs {
		if !slices.Equal(a[i].shape, b[i].shape) {
			return false
		}
		tolerance := map[string]float64{fp32: 1e-3, fp64: 1e-6, fp16: 3e-2, bf16: 1e-1}[output.datatype]
		if tolerance == 0 {
			if n := volume(a[i].shape); 100*a[i].differences(b[i], n) > n {
				return false
			}
			continue
		}
		for k := range volume(a[i].shape) {
			x, y := a[i].float(k, output.datatype), b[i].float(k, output.datatype)
			if math.Abs(x-y) > tolerance*max(1, math.Abs(x)) {
				return false
			}
		}
	}
	return true
}

// measure is how long a run of so many images takes while every instance is at work.
func (g *instances) measure(ctx context.Context, images int) (time.Duration, error) {
	var group sync.WaitGroup
	times, errs := make([]time.Duration, g.count), make([]error, g.count)
	for i := range g.count {
		group.Go(func() { times[i], errs[i] = g.average(ctx, i, images) })
	}
	group.Wait()
	return slices.Min(times), errors.Join(errs...)
}

// average is the time of a run of an instance, over as many as fill a while: the same for runs of all sizes, so that
// small ones do not find the moments in which nothing else runs on the machine more easily than large ones. What runs
// on the calling thread is timed by the clock of that, which stands while others have the core.
func (g *instances) average(ctx context.Context, instance, images int) (time.Duration, error) {
	const while = 2 * time.Millisecond
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	clock := sinceStart
	if g.session.onThread() {
		clock = threadTime
	}
	for begin, from, runs := time.Now(), clock(), time.Duration(1); ; runs++ {
		if err := g.infer(ctx, instance, images); err != nil {
			return 0, err
		}
		if time.Since(begin) >= while {
			return (clock() - from) / runs, nil
		}
	}
}

var start = time.Now()

// sinceStart is a clock of everybody's time.
func sinceStart() time.Duration { return time.Since(start) }

// threadTime is a clock of the time for which the calling thread had a core.
func threadTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return sinceStart()
	}
	return time.Duration(t.Nano())
}
