package picture_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sibyl/inference"
	"sibyl/inference/picture"
)

// TestGoldenThroughEngine gives every case its own model, one that answers with its input, and a config.yaml that says
// the case: what comes out of the engine must be what the pre-processing alone makes. TestGolden holds that to
// Pillow's.
func TestGoldenThroughEngine(t *testing.T) {
	repository := t.TempDir()
	echo, err := os.ReadFile(filepath.Join("..", "testdata", "models", "echo", "1", "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	cases, _ := picture.LoadGolden(t, "cases.json", "expected.gz")
	for i, c := range cases {
		dir := filepath.Join(repository, fmt.Sprintf("case%d", i))
		err := errors.Join(os.MkdirAll(filepath.Join(dir, "1"), 0o700),
			os.WriteFile(filepath.Join(dir, "1", "model.onnx"), echo, 0o600),
			os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(c.Config()), 0o600))
		if err != nil {
			t.Fatal(err)
		}
	}
	e, err := inference.Open(t.Context(), inference.Options{Repository: repository})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	for i, c := range cases {
		t.Run(c.String(), func(t *testing.T) {
			image, err := os.ReadFile(filepath.Join("testdata", "golden", "images", c.Image))
			if err != nil {
				t.Fatal(err)
			}
			r, err := e.Predict(t.Context(), fmt.Sprintf("case%d", i), 1, image)
			if err != nil {
				t.Fatal(err)
			}
			var got []float32
			if err := json.Unmarshal(r.Outputs[0].Data, &got); err != nil || !slices.Equal(got, c.Values(t)) {
				t.Error("differs from the pre-processing alone", err)
			}
		})
	}
}

// TestTopClass: a photograph has the class of Pillow's tensor, which is sent as a picture of the model's size. The
// photographs are such that the model is not in two minds.
func TestTopClass(t *testing.T) {
	images := picture.Photographs(t)
	repository := t.TempDir()
	model := os.DirFS(filepath.Join("..", "testdata", "models", "imagenet"))
	if err := os.CopyFS(filepath.Join(repository, "imagenet"), model); err != nil {
		t.Fatal(err)
	}
	e, err := inference.Open(t.Context(), inference.Options{Repository: repository})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	classes := map[int]bool{}
	class := func(image []byte) int {
		r, err := e.Predict(t.Context(), "imagenet", 1, image)
		if err != nil {
			t.Fatal(err)
		}
		scores := r.Model.Scores(r.Outputs)
		top := 0
		for i, score := range scores {
			if score > scores[top] {
				top = i
			}
		}
		return top
	}
	cases, expected := picture.LoadGolden(t, "photographs.json", "photographs.gz")
	for _, c := range cases {
		size := c.Width * c.Height * (&picture.Preprocessor{Color: c.Color}).Channels()
		want := expected[:size]
		expected = expected[size:]
		if c.Width != picture.ModelSide {
			continue
		}
		top := class(picture.PNGOf(t, want))
		if got := class(images[c.Image]); got != top {
			t.Errorf("%s: class %d, Pillow's tensor has %d", c.Image, got, top)
		}
		classes[top] = true
	}
	if len(classes) < 2 {
		t.Errorf("all have one class: %v", classes)
	}
}
