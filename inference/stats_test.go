package inference_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sibyl/inference"
)

// configured is a repository of one model with a config.yaml.
func configured(t *testing.T, model, config string) string {
	t.Helper()
	dir := repositoryOf(t, model)
	write(t, filepath.Join(dir, model, "config.yaml"), config)
	return dir
}

// together predicts images at the same time.
func together(ctx context.Context, e *inference.Engine, images ...[]byte) ([]*inference.Result, []error) {
	results, errs := make([]*inference.Result, len(images)), make([]error, len(images))
	var group sync.WaitGroup
	for i, image := range images {
		group.Go(func() { results[i], errs[i] = e.Predict(ctx, "", 0, image) })
	}
	group.Wait()
	return results, errs
}

const patient = `
max_batch_size: 4
dynamic_batching: {max_queue_delay_microseconds: 30000000}
instance_group: {count: 1}
`

// TestBatchesForm proves by statistics that images share runs, and that each gets its own answer.
func TestBatchesForm(t *testing.T) {
	for _, model := range []string{"nchw", "batch4", "gray3d", "several", "fp16", "uint8"} {
		t.Run(model, func(t *testing.T) {
			config := patient
			if model == "several" {
				config += "output: {name: logits, activation: sigmoid}"
			}
			e := open(t, inference.Options{Repository: configured(t, model, config)})
			want := expectations(t)[model+"/1"]
			var images [][]byte
			for k := range 8 {
				images = append(images, picture(t, k%4, want.Channels))
			}
			results, errs := together(t.Context(), e, images...)
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
			for k, r := range results {
				for o, w := range want.Runs[k%4] {
					compare(t, r.Outputs[o], w.Name, w.Datatype, w.Shape, w.Data)
				}
			}
			all := e.Statistics()
			s := all[len(all)-1]
			if !s.Batching || s.MaxBatchSize != 4 || s.Instances != 1 || s.ExecutionProvider != "cpu" || s.Success != 8 {
				t.Errorf("%+v", s)
			}
			if last := s.Batches[len(s.Batches)-1]; last.Size != 4 || last.Count != 2 || last.Images != 8 {
				t.Errorf("%+v", s.Batches)
			}
			if parts := s.Decode + s.Queue + s.ComputeInput + s.ComputeInfer + s.ComputeOutput; parts > s.Total ||
				s.ComputeInfer <= 0 || s.ComputeInput <= 0 || s.ComputeOutput <= 0 || s.Queue <= 0 || s.Decode <= 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestBadImageDoesNotFailItsNeighbours runs a batch that fails because of one of its images.
func TestBadImageDoesNotFailItsNeighbours(t *testing.T) {
	e := open(t, inference.Options{Repository: configured(t, "picky", patient)})
	results, errs := together(t.Context(), e, picture(t, 1, 1), white(t), picture(t, 2, 1), picture(t, 3, 1))
	for i, k := range map[int]int{0: 1, 2: 2, 3: 3} {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		w := expectations(t)["picky/1"].Runs[k][0]
		compare(t, results[i].Outputs[0], w.Name, w.Datatype, w.Shape, w.Data)
	}
	if errs[1] == nil || !strings.Contains(errs[1].Error(), "ONNX Runtime: ") {
		t.Error(errs[1])
	}
	s := e.Statistics()[0]
	if s.Success != 3 || s.Failures[inference.FailureBackend] != 1 || s.Batches[0].Count != 3 || s.Batches[2].Count != 0 {
		t.Errorf("%+v", s)
	}
}

func TestEndlessBatchIsStopped(t *testing.T) {
	e := open(t, inference.Options{Repository: configured(t, "endless", patient)})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, errs := together(ctx, e, picture(t, 1, 1), white(t), picture(t, 2, 1), picture(t, 3, 1))
	for _, err := range errs {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	}
	_, errs = together(t.Context(), e, picture(t, 1, 1), picture(t, 1, 1), picture(t, 2, 1), picture(t, 3, 1))
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if s := e.Statistics()[0]; s.Failures[inference.FailureCanceled] != 4 || s.Success != 4 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

// TestModelsThatCannotBatch holds that a model whose outputs are not one an image is run image by image, and is FAILED
// where its configuration says otherwise.
func TestModelsThatCannotBatch(t *testing.T) {
	for model, reason := range map[string]string{
		"mixing":       "dynamic_batching: batch of 2: the outputs are not one for each image of a batch",
		"mixinglabels": "dynamic_batching: batch of 2: the outputs are not one for each image of a batch",
		"single":       "dynamic_batching: batch of 2: ",
		"rows":         "dynamic_batching: batch of 2: the outputs are not one for each image of a batch",
		"boxes":        "dynamic_batching: batch of ",
		"batch1":       "max_batch_size: 4, but the model takes 1 in a run",
	} {
		alone := open(t, inference.Options{Repository: repositoryOf(t, model)})
		if s := alone.Statistics(); len(s) != 1 || s[0].Batching || s[0].MaxBatchSize != 1 || len(s[0].Batches) != 1 {
			t.Errorf("%s: %+v", model, s)
		}
		m, err := open(t, inference.Options{Repository: configured(t, model, patient)}).Model(model)
		if err != nil {
			t.Fatal(err)
		}
		if v := m.Versions[0]; v.State != inference.ModelFailed || !strings.Contains(*v.StateReason, reason) {
			if v.StateReason != nil {
				t.Error(*v.StateReason)
			}
			t.Errorf("%+v", v)
		}
	}
	m, err := open(t, inference.Options{Repository: configured(t, "batch4", "max_batch_size: 5")}).Model("batch4")
	if err != nil || !strings.Contains(*m.Versions[0].StateReason, "max_batch_size: 5, but the model takes 4 in a run") {
		t.Error(m.Versions[0], err)
	}
}

func TestFailuresAreCounted(t *testing.T) {
	e := open(t, inference.Options{})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = e.Predict(ended, "", 0, picture(t, 0, 1))
	_, _ = e.Predict(t.Context(), "", 0, []byte("hello"))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	_, _ = e.Predict(t.Context(), "", 0, picture(t, 0, 1))
	s := e.Statistics()[0]
	if s.Model != "mnist" || s.Version != 1 || s.Success != 0 || s.Failures[inference.FailureCanceled] != 1 ||
		s.Failures[inference.FailureOther] != 1 || s.Failures[inference.FailureRejected] != 1 {
		t.Errorf("%+v", s)
	}
}

// TestTimingIsAllOfTheTime holds the parts of a prediction's time to the whole, as the caller sees it.
func TestTimingIsAllOfTheTime(t *testing.T) {
	e := open(t, inference.Options{})
	image := picture(t, 1, 3)
	rest := time.Hour // what no part accounts for, at best: others use this machine too
	for range 50 {
		start := time.Now()
		r, err := e.Predict(t.Context(), "", 0, image)
		if err != nil {
			t.Fatal(err)
		}
		took, told := time.Since(start), r.Timing.Decode+r.Timing.Queue+r.Timing.Inference
		if told > took {
			t.Errorf("%+v in %s", r.Timing, took)
		}
		rest = min(rest, took-told)
	}
	if rest > 20*time.Millisecond {
		t.Errorf("%s are not accounted for", rest)
	}
}
