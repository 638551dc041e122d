package inference_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/png"
	"slices"
	"strings"
	"testing"

	"sibyl/inference"
)

// whiteRows is a black picture of 8×8 whose rows of these numbers are white.
func whiteRows(t *testing.T, rows ...int) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, 8, 8))
	for _, y := range rows {
		for x := range 8 {
			m.SetGray(x, y, color.Gray{Y: 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// checkRows holds a result to the rows that are white.
func checkRows(t *testing.T, r *inference.Result, rows ...int) {
	t.Helper()
	var want []any
	for _, y := range rows {
		want = append(want, 0.0, float64(y)) // of one channel
	}
	compare(t, r.Outputs[0], "y", "INT64", []int{len(rows), 2}, want)
}

// TestBoxesAreOfOneImage predicts with detectors that find nothing in the pictures of the warm-up: each image gets its
// own boxes, as many as there are, of a rank that is always the same.
func TestBoxesAreOfOneImage(t *testing.T) {
	found := [][]int{{}, {0}, {3, 7}, {0, 1, 2, 3}, {0, 1, 2, 3, 4, 5, 6, 7}, {5}, {1, 2}, {6}}
	for _, model := range []string{"rows", "rows4"} {
		e := open(t, inference.Options{Repository: configured(t, model, "instance_group: {count: 1}")})
		if s := e.Statistics()[0]; s.Batching || s.MaxBatchSize != 1 {
			t.Errorf("%s: %+v", model, s)
		}
		var images [][]byte
		for _, rows := range found {
			images = append(images, whiteRows(t, rows...))
		}
		results, errs := together(t.Context(), e, images...)
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			checkRows(t, r, found[i]...)
		}
	}
}

// TestBoxesThatSeemToBeOfOneImageEach runs a batch of a detector that finds one box in each picture of the warm-up, but
// more in others.
func TestBoxesThatSeemToBeOfOneImageEach(t *testing.T) {
	e := open(t, inference.Options{Repository: configured(t, "first", patient)})
	results, errs := together(t.Context(), e,
		whiteRows(t, 0, 2), whiteRows(t, 0, 3, 4), whiteRows(t, 0, 1, 5), whiteRows(t, 0, 6, 7))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i, rows := range [][]int{{0, 2}, {0, 3, 4}, {0, 1, 5}, {0, 6, 7}} {
		checkRows(t, results[i], rows...)
	}
	if s := e.Statistics()[0]; s.Batches[0].Count != 4 || s.Batches[len(s.Batches)-1].Count != 0 {
		t.Errorf("%+v", s.Batches)
	}
}

// TestImagesDecideForThemselves predicts with a model that takes another branch where all images of a run are bright: they
// share none unless the configuration says so.
func TestImagesDecideForThemselves(t *testing.T) {
	e := open(t, inference.Options{Repository: configured(t, "decides", "instance_group: {count: 1}")})
	if s := e.Statistics()[0]; s.Batching || s.MaxBatchSize != 1 {
		t.Errorf("%+v", s)
	}
	bright, dark := whiteRows(t, 0, 1, 2, 3, 4, 5, 6), whiteRows(t)
	alone, err := e.Predict(t.Context(), "", 0, bright)
	if err != nil {
		t.Fatal(err)
	}
	results, errs := together(t.Context(), e, dark, bright, dark, dark)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if got, want := string(results[1].Outputs[0].Data), string(alone.Outputs[0].Data); got != want {
		t.Errorf("%s, alone %s", got, want)
	}
	asked := open(t, inference.Options{Repository: configured(t, "decides", patient)})
	if s := asked.Statistics()[0]; !s.Batching || s.MaxBatchSize != 4 {
		t.Errorf("%+v", s)
	}
}

// TestBadImageIsGone holds that an image that fails the run of a batch which the model fixes is not there any more when
// others are run.
func TestBadImageIsGone(t *testing.T) {
	e := open(t, inference.Options{Repository: configured(t, "picky4", patient)})
	_, errs := together(t.Context(), e, white(t), white(t), white(t), white(t))
	for _, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "ONNX Runtime: ") {
			t.Error(err)
		}
	}
	images := [][]byte{picture(t, 0, 1), picture(t, 1, 1), white(t), picture(t, 3, 1)}
	results, errs := together(t.Context(), e, images...)
	for i, r := range results {
		if i == 2 {
			continue
		}
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		w := expectations(t)["picky4/1"].Runs[i][0]
		compare(t, r.Outputs[0], w.Name, w.Datatype, w.Shape, w.Data)
	}
	if bad := slices.IndexFunc(errs, func(err error) bool { return err != nil }); bad != 2 {
		t.Error(errs)
	}
}
