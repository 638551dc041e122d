package inference

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeExecutor runs nothing; its runs take ten milliseconds unless inferFunc is there.
type fakeExecutor struct {
	inferFunc func(ctx context.Context, images []float32) error

	mu sync.Mutex
	// loaded is what each instance's memory holds, and runs all that was run.
	loaded map[int][]float32
	runs   [][]float32
}

func (x *fakeExecutor) load(instance int, tasks []*task) {
	x.mu.Lock()
	defer x.mu.Unlock()
	images := make([]float32, len(tasks))
	for i, t := range tasks {
		if t != nil {
			images[i] = t.input[0]
		}
	}
	if x.loaded == nil {
		x.loaded = make(map[int][]float32)
	}
	x.loaded[instance] = images
}

func (x *fakeExecutor) infer(ctx context.Context, instance, images int) error {
	x.mu.Lock()
	loaded := x.loaded[instance]
	x.runs = append(x.runs, loaded)
	x.mu.Unlock()
	if len(loaded) != images {
		return errors.New("not what was loaded")
	}
	if x.inferFunc != nil {
		return x.inferFunc(ctx, loaded)
	}
	time.Sleep(10 * time.Millisecond) // of synctest's clock
	return nil
}

func (x *fakeExecutor) unload(instance int, tasks []*task) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, t := range tasks {
		if t != nil {
			t.outputs = []rawTensor{{shape: []int{int(x.loaded[instance][i])}}}
		}
	}
}

// flat is a plan for runs that take the same time whatever their size, as on a GPU.
func flat(most int) batchPlan {
	buckets := bucketsUpTo(most)
	return newBatchPlan(most, buckets, slices.Repeat([]time.Duration{time.Second}, len(buckets)))
}

func fakeBatcher(x *fakeExecutor, instances, most int, c batchingConfig) *batcher {
	if c.maxQueueSize == 0 {
		c.maxQueueSize = maxWaiting
	}
	many := func() int { return 2 * maxWaiting }
	return newBatcher(x, instances, flat(most), c, newStatistics(bucketsUpTo(most)), many)
}

// submit runs an image that is a number; what comes on the channel is nil where the answer is that number too.
func submit(ctx context.Context, b *batcher, image int) <-chan error {
	outcome := make(chan error, 1)
	go func() {
		t := newTask()
		t.input = []float32{float32(image)}
		err := b.run(ctx, t)
		if err == nil && t.outputs[0].shape[0] != image {
			err = errors.New("another's answer")
		}
		outcome <- err
	}()
	synctest.Wait()
	return outcome
}

func wantRuns(t *testing.T, x *fakeExecutor, want ...[]float32) {
	t.Helper()
	if !slices.EqualFunc(x.runs, want, slices.Equal) {
		t.Errorf("runs %v, want %v", x.runs, want)
	}
}

func TestBatchesFormOfWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(fakeExecutor)
		b := fakeBatcher(x, 1, 4, batchingConfig{})
		start := time.Now()
		var outcomes []<-chan error
		for i := range 8 {
			outcomes = append(outcomes, submit(t.Context(), b, i))
		}
		for i, outcome := range outcomes {
			if err := <-outcome; err != nil {
				t.Errorf("image %d: %v", i, err)
			}
		}
		if took := time.Since(start); took != 30*time.Millisecond {
			t.Errorf("took %s", took)
		}
		b.close()
		wantRuns(t, x, []float32{0}, []float32{1, 2, 3, 4}, []float32{5, 6, 7})
		batches := b.stats.snapshot().Batches
		if batches[0].Count != 1 || batches[1].Count != 0 || batches[2].Count != 2 || batches[2].Images != 7 {
			t.Errorf("%+v", batches)
		}
	})
}

// TestFewRunAtOnce: where each caller can have an instance, nobody lets others run first.
func TestFewRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(fakeExecutor)
		b := fakeBatcher(x, 2, 4, batchingConfig{})
		b.callers = func() int { return 2 }
		b.yield = func() { t.Error("the processor was given away") }
		first, second := submit(t.Context(), b, 1), submit(t.Context(), b, 2)
		if err := errors.Join(<-first, <-second); err != nil {
			t.Error(err)
		}
		b.close()
		wantRuns(t, x, []float32{1}, []float32{2})
	})
}

// TestBatchesFormOfWhatIsAboutToCome: five tasks come while the first, which found the instance idle, lets others run.
// Where less may wait than a run takes, what waits goes when there is as much.
func TestBatchesFormOfWhatIsAboutToCome(t *testing.T) {
	for _, test := range []struct {
		maxQueue int
		want     [][]float32
	}{
		{0, [][]float32{{0, 1, 2, 3}, {4, 5}}},
		{3, [][]float32{{0, 1, 2}, {3, 4, 5}}},
	} {
		synctest.Test(t, func(t *testing.T) {
			x := new(fakeExecutor)
			b := fakeBatcher(x, 1, 4, batchingConfig{maxQueueSize: test.maxQueue})
			came := make(chan struct{})
			b.yield = func() { <-came }
			var outcomes []<-chan error
			for i := range 6 {
				outcomes = append(outcomes, submit(t.Context(), b, i))
			}
			close(came)
			for _, outcome := range outcomes {
				if err := <-outcome; err != nil {
					t.Error(err)
				}
			}
			b.close()
			wantRuns(t, x, test.want...)
		})
	}
}

func TestDelayEndsWithAWholeBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(fakeExecutor)
		b := fakeBatcher(x, 1, 2, batchingConfig{delay: 5 * time.Millisecond})
		start := time.Now()
		if err := <-submit(t.Context(), b, 1); err != nil || time.Since(start) != 15*time.Millisecond {
			t.Errorf("alone: %v after %s", err, time.Since(start))
		}
		start = time.Now()
		one, two := submit(t.Context(), b, 1), submit(t.Context(), b, 2)
		if err := errors.Join(<-one, <-two); err != nil || time.Since(start) != 10*time.Millisecond {
			t.Errorf("whole batch: %v after %s", err, time.Since(start))
		}
		b.close()
		wantRuns(t, x, []float32{1}, []float32{1, 2})
	})
}

func TestCancelledCallerLeavesQueueAndBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(fakeExecutor)
		b := fakeBatcher(x, 1, 4, batchingConfig{})
		cancelled, cancel := context.WithCancel(t.Context())
		late, cancelLate := context.WithTimeout(t.Context(), 15*time.Millisecond)
		defer cancelLate()
		first := submit(t.Context(), b, 0)
		queued, inBatch := submit(cancelled, b, 1), submit(late, b, 2)
		neighbour := submit(t.Context(), b, 3)
		cancel()
		if err := <-queued; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := <-inBatch; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := errors.Join(<-first, <-neighbour); err != nil {
			t.Error(err)
		}
		b.close()
		wantRuns(t, x, []float32{0}, []float32{2, 3})
	})
}

// TestBatchEndsWithItsLastCaller holds that a run that does not end is stopped when nobody waits for it.
func TestBatchEndsWithItsLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &fakeExecutor{inferFunc: func(ctx context.Context, images []float32) error {
			if len(images) == 1 {
				time.Sleep(time.Millisecond)
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}}
		b := fakeBatcher(x, 1, 4, batchingConfig{})
		first := submit(t.Context(), b, 0)
		start := time.Now()
		var outcomes []<-chan error
		for i := range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+5)*time.Millisecond)
			defer cancel()
			outcomes = append(outcomes, submit(ctx, b, i))
		}
		for _, outcome := range outcomes {
			if err := <-outcome; !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
		if err := <-first; err != nil || time.Since(start) != 7*time.Millisecond {
			t.Error(err, time.Since(start))
		}
		if err := <-submit(t.Context(), b, 9); err != nil {
			t.Error(err)
		}
		b.close()
	})
}

func TestFailingBatchIsRetriedOneByOne(t *testing.T) {
	bad := errors.New("bad image")
	synctest.Test(t, func(t *testing.T) {
		x := &fakeExecutor{inferFunc: func(_ context.Context, images []float32) error {
			time.Sleep(time.Millisecond)
			if slices.Contains(images, 3) {
				return bad
			}
			return nil
		}}
		b := fakeBatcher(x, 1, 4, batchingConfig{})
		var outcomes []<-chan error
		for i := range 5 {
			outcomes = append(outcomes, submit(t.Context(), b, i))
		}
		for i, outcome := range outcomes {
			if err := <-outcome; (i == 3) != errors.Is(err, bad) || i != 3 && err != nil {
				t.Errorf("image %d: %v", i, err)
			}
		}
		b.close()
		wantRuns(t, x, []float32{0}, []float32{1, 2, 3, 4}, []float32{1}, []float32{2}, []float32{3}, []float32{4})
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := fakeBatcher(new(fakeExecutor), 1, 2, batchingConfig{maxQueueSize: 3})
		var outcomes []<-chan error
		for i := range 4 {
			outcomes = append(outcomes, submit(t.Context(), b, i))
		}
		if n := b.waiting(); n != 3 {
			t.Errorf("%d wait", n)
		}
		if err := <-submit(t.Context(), b, 4); !errors.Is(err, ErrOverloaded) {
			t.Error(err)
		}
		for _, outcome := range outcomes {
			if err := <-outcome; err != nil {
				t.Error(err)
			}
		}
		b.close()
	})
}

func TestCloseAnswersEveryWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := fakeBatcher(new(fakeExecutor), 2, 2, batchingConfig{delay: time.Hour})
		pair := []<-chan error{submit(t.Context(), b, 1), submit(t.Context(), b, 2)}
		waits := submit(t.Context(), b, 3)
		start := time.Now()
		b.close()
		if err := <-waits; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if took := time.Since(start); took != 10*time.Millisecond {
			t.Errorf("closed after %s, but the run takes longer", took)
		}
		if err := errors.Join(<-pair[0], <-pair[1]); err != nil {
			t.Error(err)
		}
		if err := <-submit(t.Context(), b, 4); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

func TestBatchPlan(t *testing.T) {
	buckets := []int{1, 2, 4, 8}
	for name, test := range map[string]struct {
		most  int
		times []time.Duration
		want  []int // for 1, 2 … waiting
	}{
		"as a CPU":  {8, []time.Duration{10, 19, 37, 73}, []int{1, 2, 2, 4, 4, 4, 4, 8, 8}},
		"as a GPU":  {8, []time.Duration{10, 10, 11, 12}, []int{1, 2, 3, 4, 5, 6, 7, 8, 8}},
		"to seven":  {7, []time.Duration{10, 10, 11, 12}, []int{1, 2, 3, 4, 5, 6, 7, 7}},
		"no batch":  {1, []time.Duration{10}, []int{1, 1, 1}},
		"one costs": {8, []time.Duration{10, 11, 12, 30}, []int{1, 2, 3, 4, 4, 4, 4, 8}},
	} {
		p := newBatchPlan(test.most, buckets[:len(test.times)], test.times)
		for i, want := range test.want {
			if got := p.take(i + 1); got != want {
				t.Errorf("%s: of %d that wait %d run, want %d", name, i+1, got, want)
			}
		}
	}
	fixed := newBatchPlan(4, []int{4}, []time.Duration{10})
	if fixed.take(3) != 3 || fixed.take(9) != 4 {
		t.Errorf("fixed to four: %v", fixed)
	}
}

func TestWorthwhileBucket(t *testing.T) {
	buckets := []int{1, 2, 4, 8}
	for _, test := range []struct {
		times []time.Duration
		want  int
	}{
		{[]time.Duration{100}, 0},
		{[]time.Duration{100, 200, 400, 800}, 0},
		{[]time.Duration{100, 195, 370, 730}, 0}, // 9 % are not enough
		{[]time.Duration{100, 195, 370, 710}, 3},
		{[]time.Duration{100, 150, 295, 600}, 1},
		{[]time.Duration{100, 300, 500, 100}, 3},
	} {
		if got := worthwhileBucket(buckets, test.times); got != test.want {
			t.Errorf("%v: bucket %d, want %d", test.times, got, test.want)
		}
	}
}

// TestServerAwayIsAskedOnce holds that a batch which failed for no fault of an image is not run image by image.
func TestServerAwayIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &fakeExecutor{inferFunc: func(context.Context, []float32) error { return ErrUnavailable }}
		b := fakeBatcher(x, 1, 4, batchingConfig{delay: time.Second})
		var outcomes []<-chan error
		for i := range 4 {
			outcomes = append(outcomes, submit(t.Context(), b, i))
		}
		for _, outcome := range outcomes {
			if err := <-outcome; !errors.Is(err, ErrUnavailable) {
				t.Error(err)
			}
		}
		b.close()
		wantRuns(t, x, []float32{0, 1, 2, 3})
	})
}
