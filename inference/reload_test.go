package inference

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

// admitted is an engine without a watcher whose versions are asked about with admit, and how often that was.
func admitted(t *testing.T, admit func(context.Context) error) (*Engine, *atomic.Int64) {
	t.Helper()
	asked := new(atomic.Int64)
	e, _ := openLogged(t, Options{
		Repository: modelsOf(t, "batch1"),
		Admit: func(ctx context.Context, _ *ModelVersion) error {
			asked.Add(1)
			return admit(ctx)
		},
	})
	return e, asked
}

// TestReloadsAreShared holds that all who ask during a reload wait for one more, and none longer than they want.
func TestReloadsAreShared(t *testing.T) {
	began, goOn := make(chan bool), make(chan bool)
	var blocks atomic.Bool
	e, asked := admitted(t, func(context.Context) error {
		if blocks.Load() {
			began <- true
			<-goOn
		}
		return errors.New("never") // so that each reload tries again
	})
	blocks.Store(true)
	first, err := e.models.nextReload()
	if err != nil {
		t.Fatal(err)
	}
	<-began
	second, err := e.models.nextReload()
	if err != nil || second == first {
		t.Fatal("what began before is not joined", err)
	}
	for range 8 {
		if r, err := e.models.nextReload(); r != second || err != nil {
			t.Error("another reload is not needed", err)
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if err := e.Reload(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	blocks.Store(false)
	goOn <- true
	<-second.done
	if first.err != nil || second.err != nil || asked.Load() != 3 { // with the one that opened the engine
		t.Error(first.err, second.err, asked.Load())
	}
}

// TestReloadDoesNotWaitForWhatIsOutOfReach holds that a reload tries it once.
func TestReloadDoesNotWaitForWhatIsOutOfReach(t *testing.T) {
	e, asked := admitted(t, func(context.Context) error { return ErrUnavailable })
	if err := e.Reload(t.Context()); err != nil || asked.Load() != 2 {
		t.Error(err, asked.Load())
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := e.Reload(t.Context()); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
