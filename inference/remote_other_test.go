package inference_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sibyl/inference"
	"sibyl/inference/oip"
)

// reason is why a model's first version is in its state.
func reason(t *testing.T, e *inference.Engine, model string) string {
	t.Helper()
	m, err := e.Model(model)
	if err != nil {
		t.Fatal(err)
	}
	if m.Versions[0].StateReason == nil {
		return ""
	}
	return *m.Versions[0].StateReason
}

// TestRemoteVersionChangesWhileItServes holds that nobody is answered by another version, that this is told, and that
// the right one answers again when it is back.
func TestRemoteVersionChangesWhileItServes(t *testing.T) {
	p := newPeer(t)
	var first atomic.Pointer[string]
	e := open(t, inference.Options{
		Repository: p.repository(t, ""),
		Admit: func(_ context.Context, v *inference.ModelVersion) error {
			if first.CompareAndSwap(nil, &v.Fingerprint); *first.Load() != v.Fingerprint {
				return errors.New("another one has predicted")
			}
			return nil
		},
	})
	var version atomic.Pointer[string]
	answers := func(number string) { version.Store(&number) }
	answers("8")
	p.inferFunc = func(_ context.Context, good *answer) (*answer, error) {
		good.ModelVersion = *version.Load()
		return good, nil
	}
	p.warm.Store(true)
	if _, err := e.Predict(t.Context(), "", 0, picture(t, 0, 1)); !errors.Is(err, inference.ErrUnavailable) {
		t.Error(err)
	}
	eventually(t, "LOADING", func() bool { return states(e, "m") == "1 LOADING → 1" })
	if got := reason(t, e, "m"); !strings.Contains(got, `version "8" of the model answers in the place of "7"`) {
		t.Error(got)
	}
	if err := e.Ready(); !errors.Is(err, inference.ErrUnavailable) || !strings.Contains(err.Error(), "has another one") ||
		strings.Contains(err.Error(), p.address) {
		t.Error(err)
	}
	if err := e.Reload(t.Context()); err != nil || states(e, "m") != "1 LOADING → 1" {
		t.Error("what is not admitted: ", states(e, "m"), err)
	}
	answers("7")
	eventually(t, "as before", func() bool { return states(e, "m") == "1 READY → 1" && e.Ready() == nil })
	if _, err := e.Predict(t.Context(), "", 0, picture(t, 0, 1)); err != nil {
		t.Error(err)
	}
}

// TestRemoteIsLoadedAnew holds that a reload takes what a server has now, where that is admitted.
func TestRemoteIsLoadedAnew(t *testing.T) {
	p := newPeer(t)
	e := p.open(t, "")
	good, changed := p.metadataFunc, atomic.Bool{}
	p.metadataFunc = func() (*oip.ModelMetadataResponse, error) {
		m, err := good()
		if changed.Load() {
			m.Outputs[1].Name = "t"
		}
		return m, err
	}
	p.inferFunc = func(_ context.Context, good *answer) (*answer, error) {
		if p.asked.Load().GetModelVersion() == "" && !changed.Swap(true) {
			return nil, status.Error(codes.InvalidArgument, "no such input any more")
		}
		good.Outputs[0].Name = "t"
		return good, nil
	}
	_, err := e.Predict(t.Context(), "", 0, picture(t, 0, 1))
	if !errors.Is(err, inference.ErrUnavailable) || !strings.Contains(err.Error(), "other inputs or outputs") {
		t.Error(err)
	}
	eventually(t, "LOADING", func() bool { return states(e, "m") == "1 LOADING → 1" })
	if err := e.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := states(e, "m"); got != "1 READY → 1" {
		t.Fatal(got, reason(t, e, "m"))
	}
	if _, err := e.Predict(t.Context(), "", 0, picture(t, 0, 1)); err != nil {
		t.Error(err)
	}
}

// TestSlowServerHoldsNobody loads a local version while a server takes its time for the warm-up.
func TestSlowServerHoldsNobody(t *testing.T) {
	t.Parallel()
	p := newPeer(t)
	began, goOn := make(chan bool, 1), make(chan bool)
	p.inferFunc = func(ctx context.Context, good *answer) (*answer, error) {
		select {
		case began <- true:
		default:
		}
		select {
		case <-goOn:
			return good, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	p.warm.Store(true)
	dir := repositoryOf(t, "nchw")
	e := open(t, inference.Options{Repository: dir, Watch: true})
	write(t, filepath.Join(dir, "m", "config.yaml"), remoteSection(p.address))
	<-began
	add(t, dir, "nchw", 3, "nchw/1")
	eventually(t, "the local model", func() bool { return states(e, "nchw") == "1 READY, 2 READY, 3 READY → 3" })
	if got := states(e, "m"); got != "1 LOADING" {
		t.Error(got)
	}
	if err := e.Ready(); !errors.Is(err, inference.ErrModelNotReady) || !strings.Contains(err.Error(), `"m"`) {
		t.Error(err)
	}
	close(goOn)
	eventually(t, "the remote model", func() bool { return states(e, "m") == "1 READY → 1" && e.Ready() == nil })
	p.server.Stop()
	eventually(t, "its server is missed", func() bool {
		_, _ = e.Predict(t.Context(), "m", 0, picture(t, 0, 1))
		return errors.Is(e.Ready(), inference.ErrUnavailable)
	})
	if got := e.Ready().Error(); !strings.Contains(got, `version 1 of "m" cannot be reached`) ||
		strings.Contains(got, p.address) {
		t.Error(got)
	}
	if err := os.RemoveAll(filepath.Join(dir, "m")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone", func() bool { return states(e, "m") == "1 RETIRED" && e.Ready() == nil })
}
