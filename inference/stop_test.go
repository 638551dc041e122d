package inference_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/png"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sibyl/inference"
)

// white is a picture on which the model `endless` does not end and `picky` fails.
func white(t testing.TB) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, 8, 8))
	m.SetGray(0, 0, color.Gray{Y: 255})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestEndlessRunIsStopped holds that a run ends with its caller's deadline, and that the session answers afterwards.
func TestEndlessRunIsStopped(t *testing.T) {
	e := open(t, inference.Options{Repository: repositoryOf(t, "endless")})
	for range 2 * len(e.Models()) * 8 { // more often than there are instances
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		start := time.Now()
		_, err := e.Predict(ctx, "", 0, white(t))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("stopped after %s", took)
		}
	}
	want := expectations(t)["endless/1"].Runs[1]
	r, err := e.Predict(t.Context(), "", 0, picture(t, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, r.Outputs[0], want[0].Name, want[0].Datatype, want[0].Shape, want[0].Data)
}

// TestEndlessWarmUpFails holds that a model whose first runs do not end is FAILED, and keeps nobody waiting.
func TestEndlessWarmUpFails(t *testing.T) {
	repository := repositoryOf(t, "endless", "batch1")
	// What is black for the warm-up is white for the model.
	write(t, filepath.Join(repository, "endless", "config.yaml"), "input: {mean: -1}")
	e := open(t, inference.Options{Repository: repository, WarmUp: 2 * time.Second}) // enough for batch1 on a busy machine
	m, err := e.Model("endless")
	if err != nil {
		t.Fatal(err)
	}
	v := m.Versions[0]
	if v.State != inference.ModelFailed || !strings.Contains(*v.StateReason, "warm-up: not done after 2s") {
		t.Errorf("%+v", v)
	}
	if _, err := e.Predict(t.Context(), "batch1", 0, picture(t, 0, 1)); err != nil {
		t.Error(err)
	}
}
