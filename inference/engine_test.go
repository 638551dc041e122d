package inference_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sibyl/inference"
)

// repositoryOf makes a repository with copies of models of testdata, by their names there.
func repositoryOf(t testing.TB, models ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, model := range models {
		if err := os.CopyFS(filepath.Join(dir, model), os.DirFS(filepath.Join(modelPath, model))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEmbeddedModel(t *testing.T) {
	e := open(t, inference.Options{})
	if err := e.Ready(); err != nil {
		t.Error(err)
	}
	v, err := e.Resolve("", 0)
	if err != nil {
		t.Fatal(err)
	}
	if v.Name != "mnist" || v.Version != 1 || len(v.ClassNames) != 10 || v.Output.Kind != inference.KindClassification {
		t.Errorf("%+v", v)
	}
	if len(*v.SHA256) != 64 || len(v.Fingerprint) != 64 || *v.ExecutionProvider != "cpu" {
		t.Errorf("%+v", v)
	}
	r, err := e.Predict(context.Background(), "mnist", 1, picture(t, 0, 3))
	if err != nil {
		t.Fatal(err)
	}
	if r.Model != v || r.Image != (inference.Image{ContentType: "image/png", Width: 8, Height: 8}) {
		t.Errorf("%+v", r)
	}
	if r.Timing.Decode <= 0 || r.Timing.Inference <= 0 || r.Timing.Queue < 0 {
		t.Errorf("%+v", r.Timing)
	}
}

func TestResolve(t *testing.T) {
	repository := repositoryOf(t, "nchw", "text", "uint8")
	several := open(t, inference.Options{Repository: repository})
	byDefault := open(t, inference.Options{Repository: repository, DefaultModel: "nchw"})
	failed := open(t, inference.Options{Repository: repository, DefaultModel: "text"})
	for _, test := range []struct {
		name    string
		engine  *inference.Engine
		model   string
		version int
		want    int
		err     error
		message string
	}{
		{"highest serves", several, "nchw", 0, 2, nil, ""},
		{"by number", several, "nchw", 1, 1, nil, ""},
		{"default", byDefault, "", 0, 2, nil, ""},
		{"default by number", byDefault, "", 1, 1, nil, ""},
		{"no default", several, "", 0, 0, inference.ErrModelAmbiguous, "nchw, text, uint8"},
		{"no such model", several, "none", 0, 0, inference.ErrModelNotFound, `"none"`},
		{"no such version", several, "nchw", 3, 0, inference.ErrModelNotFound, "no version 3"},
		{"negative version", several, "nchw", -1, 0, inference.ErrModelNotFound, "no version -1"},
		{"failed version", several, "text", 1, 0, inference.ErrModelNotReady, "version 1"},
		{"none serves", several, "text", 0, 0, inference.ErrModelNotReady, `"text"`},
		{"default failed", failed, "", 0, 0, inference.ErrModelNotReady, `"text"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, err := test.engine.Resolve(test.model, test.version)
			if !errors.Is(err, test.err) {
				t.Fatalf("%v, want %v", err, test.err)
			}
			if err != nil && !strings.Contains(err.Error(), test.message) {
				t.Errorf("%v does not tell %s", err, test.message)
			}
			if err == nil && v.Version != test.want {
				t.Errorf("version %d, want %d", v.Version, test.want)
			}
		})
	}
	if several.Ready() != nil || byDefault.Ready() != nil || !errors.Is(failed.Ready(), inference.ErrModelNotReady) {
		t.Error(several.Ready(), byDefault.Ready(), failed.Ready())
	}
}

func TestRepository(t *testing.T) {
	dir := repositoryOf(t, "nchw")
	write(t, filepath.Join(dir, "nchw", "3", "readme.txt"), "no model here")
	write(t, filepath.Join(dir, "nchw", "007", "model.onnx"), "")
	write(t, filepath.Join(dir, "nchw", "0", "model.onnx"), "")
	write(t, filepath.Join(dir, "nchw", "backup", "model.onnx"), "")
	write(t, filepath.Join(dir, ".git", "1", "model.onnx"), "")
	write(t, filepath.Join(dir, "lost+found", "x"), "")
	write(t, filepath.Join(dir, "notes.txt"), "")
	if err := os.Mkdir(filepath.Join(dir, "nchw", "4"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "nchw", "4", "model.onnx"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "nchw"), filepath.Join(dir, "linked")); err != nil {
		t.Fatal(err)
	}
	e := open(t, inference.Options{Repository: dir})
	if names := e.Models(); len(names) != 2 || names[0].Name != "linked" || names[1].Name != "nchw" {
		t.Fatalf("%v", names)
	}
	m, err := e.Model("nchw")
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Versions) != 4 || m.Serving != m.Versions[1] {
		t.Fatalf("%+v", m)
	}
	for i, want := range []string{"model.onnx: no such file or directory", "model.onnx is not a regular file"} {
		if reason := m.Versions[2+i].StateReason; reason == nil || *reason != want {
			t.Errorf("version %d: %v, want %s", 3+i, reason, want)
		}
	}
	one, two := m.Versions[0].ClassNames, m.Versions[1].ClassNames
	if len(one) != 5 || one[0] != "red" || one[4] != "black" || two[0] != "a" {
		t.Errorf("labels %q, %q", one, two)
	}
	if m.Versions[0].Fingerprint == m.Versions[1].Fingerprint || *m.Versions[0].SHA256 != *m.Versions[1].SHA256 {
		t.Error("other labels are another fingerprint, and the same file the same SHA-256")
	}
}

func TestBrokenExternalData(t *testing.T) {
	dir := repositoryOf(t, "external_inside")
	weights := filepath.Join(dir, "external_inside", "1", "weights.bin")
	e := open(t, inference.Options{Repository: dir})
	whole, err := e.Resolve("", 0)
	if err != nil {
		t.Fatal(err)
	}
	write(t, weights, strings.Repeat("\x00", 5120))
	other, err := open(t, inference.Options{Repository: dir}).Resolve("", 0)
	if err != nil {
		t.Fatal(err)
	}
	if *whole.SHA256 != *other.SHA256 || whole.Fingerprint == other.Fingerprint {
		t.Error("other external data is another fingerprint")
	}
	write(t, weights, "short")
	m, err := open(t, inference.Options{Repository: dir}).Model("external_inside")
	if err != nil {
		t.Fatal(err)
	}
	if reason := m.Versions[0].StateReason; reason == nil || strings.Contains(*reason, dir) {
		t.Errorf("truncated: %v", reason)
	}
	secret := filepath.Join(dir, "secret")
	write(t, secret, strings.Repeat("\x00", 5120))
	if err := errors.Join(os.Remove(weights), os.Symlink(secret, weights)); err != nil {
		t.Fatal(err)
	}
	m, err = open(t, inference.Options{Repository: dir}).Model("external_inside")
	if err != nil {
		t.Fatal(err)
	}
	if reason := m.Versions[0].StateReason; reason == nil || !strings.Contains(*reason, "not in the version's directory") {
		t.Errorf("linked from outside: %v", reason)
	}
}

func TestFingerprintFollowsConfiguration(t *testing.T) {
	dir := repositoryOf(t, "batch1")
	fingerprint := func(config string) string {
		write(t, filepath.Join(dir, "batch1", "config.yaml"), config)
		v, err := open(t, inference.Options{Repository: dir}).Resolve("", 0)
		if err != nil {
			t.Fatal(err)
		}
		return v.Fingerprint
	}
	plain := fingerprint("")
	if said := fingerprint("input: {color: GRAY, resize: stretch, size: [8, 8]}\noutput: {kind: auto}\n"); said != plain {
		t.Error("a default that is said is another fingerprint")
	}
	for _, config := range []string{"input: {invert: auto}", "input: {scale: 1}", "output: {activation: none}"} {
		if fingerprint(config) == plain {
			t.Errorf("%s does not change the fingerprint", config)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	empty := t.TempDir()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	text := filepath.Join(empty, "libonnxruntime.so.1")
	write(t, text, "no library")
	live := context.Background()
	for name, test := range map[string]struct {
		ctx     context.Context
		options inference.Options
		message string
	}{
		"no repository":      {live, inference.Options{Repository: filepath.Join(empty, "none")}, "model repository"},
		"file as repository": {live, inference.Options{Repository: text}, "is not a directory"},
		"empty repository":   {live, inference.Options{Repository: empty}, "model.onnx"},
		"no library":         {live, inference.Options{Library: empty + "/none.so"}, "npm ci --ignore-scripts"},
		"other library":      {live, inference.Options{Library: text}, "ONNX Runtime"},
		"ended":              {ended, inference.Options{}, "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := inference.Open(test.ctx, test.options)
			if err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("%v, want %s", err, test.message)
			}
		})
	}
	if _, err := inference.FindLibrary(empty + "/none.so"); !errors.Is(err, inference.ErrLibraryNotFound) {
		t.Error(err)
	}
}

func TestAdmit(t *testing.T) {
	refuse := func(_ context.Context, v *inference.ModelVersion) error {
		if v.Version == 2 && v.Fingerprint != "" && v.Output.Kind == inference.KindClassification {
			return errors.New("version 2 has predicted with another file: use a new number")
		}
		return nil
	}
	e := open(t, inference.Options{Repository: repositoryOf(t, "nchw"), Admit: refuse})
	m, err := e.Model("nchw")
	if err != nil {
		t.Fatal(err)
	}
	if v := m.Versions[1]; v.State != inference.ModelFailed || !strings.Contains(*v.StateReason, "new number") {
		t.Errorf("%+v", v)
	}
	if m.Serving != m.Versions[0] {
		t.Error("the other version does not serve")
	}
}

func TestImageErrors(t *testing.T) {
	e := open(t, inference.Options{MaxPixels: 63})
	image := picture(t, 0, 1)
	for name, test := range map[string]struct {
		data []byte
		err  error
	}{
		"empty":     {nil, inference.ErrUnsupportedMediaType},
		"text":      {[]byte("hello"), inference.ErrUnsupportedMediaType},
		"too large": {image, inference.ErrImageTooLarge},
	} {
		if _, err := e.Predict(context.Background(), "", 0, test.data); !errors.Is(err, test.err) {
			t.Errorf("%s: %v, want %v", name, err, test.err)
		}
	}
	_, err := open(t, inference.Options{}).Predict(context.Background(), "", 0, image[:60])
	if !errors.Is(err, inference.ErrInvalidImage) {
		t.Errorf("truncated: %v", err)
	}
}

func TestThumbnailNeedsAPermit(t *testing.T) {
	e := open(t, inference.Options{})
	thumbnail, contentType, err := e.Thumbnail(context.Background(), picture(t, 0, 3), 16)
	if err != nil || contentType != "image/png" || len(thumbnail) == 0 {
		t.Error(len(thumbnail), contentType, err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := e.Thumbnail(context.Background(), picture(t, 0, 3), 16); !errors.Is(err, inference.ErrClosed) {
		t.Error(err)
	}
}

func TestConcurrentCallersGetTheirOwnAnswers(t *testing.T) {
	e := everyModel(t)
	all := expectations(t)
	var group sync.WaitGroup
	for i := range 64 {
		model := []string{"batch1", "several", "batch4", "fp16"}[i%4]
		k := i / 4 % 4
		image := picture(t, k, 1)
		group.Go(func() {
			for range 20 {
				r, err := e.Predict(context.Background(), model, 0, image)
				if err != nil {
					t.Error(err)
					return
				}
				for o, want := range all[model+"/1"].Runs[k] {
					compare(t, r.Outputs[o], want.Name, want.Datatype, want.Shape, want.Data)
				}
			}
		})
	}
	group.Wait()
}

func TestCloseWithRunsInFlight(t *testing.T) {
	e := open(t, inference.Options{Repository: repositoryOf(t, "huge")})
	image := picture(t, 0, 1)
	started := make(chan struct{}, 1)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for {
				r, err := e.Predict(context.Background(), "", 0, image)
				if errors.Is(err, inference.ErrClosed) {
					return
				}
				if err != nil || r.Outputs[0].Shape[2] != 400 {
					t.Error(r, err)
					return
				}
				select {
				case started <- struct{}{}:
				default:
				}
			}
		})
	}
	<-started
	if err := errors.Join(e.Close(), e.Close()); err != nil {
		t.Error(err)
	}
	group.Wait()
	if _, err := e.Predict(context.Background(), "", 0, image); !errors.Is(err, inference.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestCancelledCaller(t *testing.T) {
	e := open(t, inference.Options{})
	ended, cancel := context.WithTimeout(context.Background(), -time.Second)
	defer cancel()
	if _, err := e.Predict(ended, "", 0, picture(t, 0, 1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
