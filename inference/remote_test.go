package inference_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sibyl/inference"
)

// remoteModels are models of testdata of every datatype and layout that MLServer can tell.
var remoteModels = []string{
	"nchw", "nhwc", "nobatch", "gray3d", "batch1", "batch4", "fp16", "fp64", "uint8", "bgr", "rgba", "imagenet",
	"opensize", "several", "probabilities", "spatial", "regression", "vector", "scalar", "nan", "boxes", "huge", "twoinputsnamed",
}

func TestRemoteEqualsPython(t *testing.T) {
	server := newMLServer(t, remoteModels...).start(t)
	e := open(t, inference.Options{Repository: server.remoteRepository(t, "")})
	all := expectations(t)
	for _, m := range e.Models() {
		for _, v := range m.Versions {
			key := fmt.Sprintf("%s/%d", v.Name, v.Version)
			t.Run(key, func(t *testing.T) {
				if v.State != inference.ModelReady {
					t.Fatal(*v.StateReason)
				}
				if *v.ExecutionProvider != "remote" || v.SHA256 != nil || len(v.Fingerprint) != 64 {
					t.Errorf("%+v", v)
				}
				for k, outputs := range all[key].Runs {
					r, err := e.Predict(t.Context(), v.Name, v.Version, picture(t, k, all[key].Channels))
					if err != nil {
						t.Fatal(err)
					}
					for i, want := range outputs {
						compare(t, r.Outputs[i], want.Name, want.Datatype, want.Shape, want.Data)
					}
				}
			})
		}
	}
}

// TestRemoteEqualsLocal holds that a version is described and answers as it does in this process.
func TestRemoteEqualsLocal(t *testing.T) {
	models := []string{"mnist", "strings", "several", "regression", "nchw"}
	server := newMLServer(t, models...).start(t)
	local := open(t, inference.Options{Repository: server.repository})
	remote := open(t, inference.Options{Repository: server.remoteRepository(t, "")})
	for _, model := range models {
		for k := range 4 {
			want, err := local.Predict(t.Context(), model, 0, picture(t, k, 3))
			if err != nil {
				t.Fatal(err)
			}
			got, err := remote.Predict(t.Context(), model, 0, picture(t, k, 3))
			if err != nil {
				t.Fatal(err)
			}
			if got.Model.Output != want.Model.Output || !slices.Equal(got.Model.ClassNames, want.Model.ClassNames) {
				t.Errorf("%s: %+v, want %+v", model, got.Model, want.Model)
			}
			for i := range want.Outputs {
				if string(got.Outputs[i].Data) != string(want.Outputs[i].Data) && model != "mnist" {
					t.Errorf("%s: %s, want %s", model, got.Outputs[i].Data, want.Outputs[i].Data)
				}
			}
			a, b := got.Model.Scores(got.Outputs), want.Model.Scores(want.Outputs)
			if !slices.EqualFunc(a, b, func(a, b float64) bool { return a-b < 1e-5 && b-a < 1e-5 }) {
				t.Errorf("%s: %v, want %v", model, a, b)
			}
		}
	}
}

// TestRemoteBatchesForm proves by statistics that images share requests, and that each gets its own answer.
func TestRemoteBatchesForm(t *testing.T) {
	server := newMLServer(t, "nchw", "batch4", "several", "uint8").start(t)
	all := expectations(t)
	for _, model := range []string{"nchw", "batch4", "several", "uint8"} {
		e := open(t, inference.Options{Repository: server.remoteRepository(t, patient), DefaultModel: model})
		want := all[model+"/1"]
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
		v, _ := e.Resolve("", 0)
		for _, s := range e.Statistics() {
			if s.Model != model || s.Version != v.Version {
				continue
			}
			if last := s.Batches[len(s.Batches)-1]; last.Size != 4 || last.Count != 2 || last.Images != 8 ||
				s.ExecutionProvider != "remote" || !s.Batching || s.Success != 8 {
				t.Errorf("%+v", s)
			}
		}
	}
}

// TestRemoteManyAtOnce lets many callers share requests as they come.
func TestRemoteManyAtOnce(t *testing.T) {
	server := newMLServer(t, "nchw").start(t)
	e := open(t, inference.Options{Repository: server.remoteRepository(t, "instance_group: {count: 2}")})
	want := expectations(t)["nchw/2"]
	var callers sync.WaitGroup
	for c := range 64 {
		callers.Go(func() {
			for i := range 8 {
				k := (c + i) % 4
				r, err := e.Predict(t.Context(), "", 0, picture(t, k, want.Channels))
				if err != nil {
					t.Error(err)
					return
				}
				compare(t, r.Outputs[0], want.Runs[k][0].Name, "FP32", want.Runs[k][0].Shape, want.Runs[k][0].Data)
			}
		})
	}
	callers.Wait()
	s := e.Statistics()[1]
	runs, images := int64(0), int64(0)
	for _, b := range s.Batches {
		runs, images = runs+b.Count, images+b.Images
	}
	if images != 512 || runs >= images || s.MaxBatchSize != 32 || s.Instances != 2 {
		t.Errorf("%+v", s)
	}
}

// TestRemoteBadImageDoesNotFailItsNeighbours runs a request that fails because of one of its images.
func TestRemoteBadImageDoesNotFailItsNeighbours(t *testing.T) {
	server := newMLServer(t, "picky").start(t)
	e := open(t, inference.Options{Repository: server.remoteRepository(t, patient)})
	results, errs := together(t.Context(), e, picture(t, 1, 1), white(t), picture(t, 2, 1), picture(t, 3, 1))
	for i, k := range map[int]int{0: 1, 2: 2, 3: 3} {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		w := expectations(t)["picky/1"].Runs[k][0]
		compare(t, results[i].Outputs[0], w.Name, w.Datatype, w.Shape, w.Data)
	}
	if err := errs[1]; err == nil || !strings.Contains(err.Error(), "the server says ") ||
		errors.Is(err, inference.ErrUnavailable) {
		t.Error(err)
	}
}

// TestRemoteRunEndsWithItsCaller holds that a request to a server that does not answer ends at its deadline.
func TestRemoteRunEndsWithItsCaller(t *testing.T) {
	server := newMLServer(t, "endless").start(t)
	e := open(t, inference.Options{Repository: server.remoteRepository(t, "")})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := e.Predict(ctx, "", 0, white(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if _, err := e.Predict(t.Context(), "", 0, picture(t, 1, 1)); err != nil {
		t.Error(err)
	}
}

// TestRemoteComesAndGoes starts without the server, and twice starts that and kills it in the middle of a run.
func TestRemoteComesAndGoes(t *testing.T) {
	server := newMLServer(t, "endless")
	dir := server.remoteRepository(t, "")
	e := open(t, inference.Options{Repository: dir, Watch: true})
	_, err := e.Predict(t.Context(), "", 0, picture(t, 1, 1))
	if !errors.Is(err, inference.ErrModelNotReady) || !errors.Is(e.Ready(), inference.ErrModelNotReady) {
		t.Fatal(err, e.Ready())
	}
	for range 2 {
		server.start(t)
		eventually(t, "the server is back", func() bool { return e.Ready() == nil })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // only now: a start takes its time
		defer cancel()
		r, err := e.Predict(ctx, "", 0, picture(t, 1, 1))
		if err != nil {
			t.Fatal(err)
		}
		w := expectations(t)["endless/1"].Runs[1][0]
		compare(t, r.Outputs[0], w.Name, w.Datatype, w.Shape, w.Data)

		outcome := make(chan error, 1)
		before := server.runs("endless")
		go func() {
			_, err := e.Predict(ctx, "", 0, white(t))
			outcome <- err
		}()
		eventually(t, "the run begins", func() bool { return server.runs("endless") > before })
		server.kill()
		if err := <-outcome; !errors.Is(err, inference.ErrUnavailable) {
			t.Error(err)
		}
		var callers sync.WaitGroup
		for range 32 {
			callers.Go(func() {
				if _, err := e.Predict(ctx, "", 0, picture(t, 1, 1)); !errors.Is(err, inference.ErrUnavailable) {
					t.Error(err)
				}
			})
		}
		callers.Wait()
		eventually(t, "not ready", func() bool { return errors.Is(e.Ready(), inference.ErrUnavailable) })
	}
}
