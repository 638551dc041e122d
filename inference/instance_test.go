package inference

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
)

func TestPermitsServeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPermits([]int{7})
		held, err := p.acquire(t.Context())
		if err != nil || held != 7 {
			t.Fatal(held, err)
		}
		order := make(chan int, 3)
		for i := range 3 {
			go func() {
				permit, err := p.acquire(t.Context())
				if err != nil {
					t.Error(err)
				}
				order <- i
				p.release(permit)
			}()
			synctest.Wait()
		}
		p.release(held)
		for i := range 3 {
			if got := <-order; got != i {
				t.Errorf("caller %d before %d", got, i)
			}
		}
	})
}

func TestPermitsCancelledCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPermits([]int{7})
		held, _ := p.acquire(t.Context())
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			_, err := p.acquire(ctx)
			left <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if n := p.waiting.Load(); n != 0 {
			t.Errorf("%d still wait", n)
		}
		p.release(held)
		if _, err := p.acquire(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := p.acquire(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestPermitsRefuseWhenFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPermits([]int{7})
		held, _ := p.acquire(t.Context())
		outcomes := make(chan error, maxWaiting)
		for range maxWaiting {
			go func() {
				permit, err := p.acquire(t.Context())
				if err == nil {
					p.release(permit)
				}
				outcomes <- err
			}()
		}
		synctest.Wait()
		if _, err := p.acquire(t.Context()); !errors.Is(err, ErrOverloaded) {
			t.Error(err)
		}
		p.release(held)
		for range maxWaiting {
			if err := <-outcomes; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestPermitsCloseAnswersEveryWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPermits([]int{7, 8})
		one, _ := p.acquire(t.Context())
		two, _ := p.acquire(t.Context())
		outcomes, closed := make(chan error, 3), make(chan []int)
		for range 3 {
			go func() {
				_, err := p.acquire(t.Context())
				outcomes <- err
			}()
		}
		synctest.Wait()
		go func() { closed <- p.close() }()
		for range 3 {
			if err := <-outcomes; !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		}
		p.release(one)
		p.release(two)
		if all := <-closed; len(all) != 2 || all[0]+all[1] != 15 {
			t.Error(all)
		}
		if _, err := p.acquire(t.Context()); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

// TestRunAllocations holds the way from a tensor to a result to few allocations; decoding has its own.
func TestRunAllocations(t *testing.T) {
	e, err := Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	v, err := e.models.catalog.Load().resolve("", 0)
	if err != nil {
		t.Fatal(err)
	}
	work := newTask()
	work.input = make([]float32, 28*28)
	least := math.Inf(1) // what other goroutines allocate meanwhile is counted too
	for range 3 {
		least = min(least, testing.AllocsPerRun(100, func() {
			if err := v.batcher.run(t.Context(), work); err != nil {
				t.Error(err)
			}
			v.tensors(work, 1000)
		}))
	}
	if least > 8 {
		t.Errorf("%v allocations a run", least)
	}
}

// TestTaskTakesWhatIsStored holds that no memory is taken for an output that is too large to be stored.
func TestTaskTakesWhatIsStored(t *testing.T) {
	in, work := &imageInput{batched: true}, newTask()
	results := []rawTensor{{shape: []int{2, 3}, data: make([]byte, 24)}, {shape: []int{2}, strings: []string{"a", "b"}}}
	for _, most := range []int{0, 3, 2, 1} {
		work.most = most
		work.take(in, results, 1, 2)
		numbers, texts := work.outputs[0], work.outputs[1]
		want := 12
		if most == 1 || most == 2 {
			want = 0
		}
		if len(numbers.data) != want || numbers.shape[0] != 3 || len(texts.strings) != 1 || texts.strings[0] != "b" {
			t.Errorf("at most %d: %+v", most, work.outputs)
		}
	}
}
