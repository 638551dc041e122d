package inference_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"sibyl/inference"
)

// copyModel puts a model of testdata into a repository.
func copyModel(t *testing.T, repository string, from ...string) {
	t.Helper()
	dir := filepath.Join(append([]string{"testdata"}, from...)...)
	if err := os.CopyFS(filepath.Join(repository, filepath.Base(dir)), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
}

// TestRuinousModelsFailAlone loads models that would end this process, or keep it for ever, beside good ones.
func TestRuinousModelsFailAlone(t *testing.T) {
	repository := repositoryOf(t, "batch1", "external_inside", "truncated", "nchw", "key")
	copyModel(t, repository, "ruinous", "divides")
	copyModel(t, repository, "ruinous", "folds")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	probe := []string{program, probeWord}
	e := open(t, inference.Options{Repository: repository, Probe: probe, WarmUp: 6 * time.Second})
	for model, reason := range map[string]string{
		"divides":   "ONNX Runtime ended the process that tried it: SIGFPE",
		"folds":     "not loaded and run once after 9s",
		"truncated": "model.onnx is not an ONNX file, or a truncated one",
		"key":       "config.yaml line 2: input.colour: unknown key",
	} {
		m, err := e.Model(model)
		if err != nil {
			t.Fatal(err)
		}
		v := m.Versions[0]
		if v.State != inference.ModelFailed || !strings.Contains(*v.StateReason, reason) {
			t.Errorf("%s is %s, want %q", model, v.State, reason)
			if v.StateReason != nil {
				t.Error(*v.StateReason)
			}
		}
	}
	for model, channels := range map[string]int{"batch1": 1, "external_inside": 1, "nchw": 3} {
		want := expectations(t)[model+"/1"].Runs[1][0]
		r, err := e.Predict(t.Context(), model, 0, picture(t, 1, channels))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, r.Outputs[0], want.Name, want.Datatype, want.Shape, want.Data)
	}
}

// TestModelThatTakesAllMemory loads one that allocates until there is none, which is soon.
func TestModelThatTakesAllMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("this system bounds no process's memory")
	}
	repository := repositoryOf(t, "batch1")
	copyModel(t, repository, "ruinous", "grows")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	e := open(t, inference.Options{Repository: repository, Probe: []string{program, probeWord, "little memory"}})
	m, err := e.Model("grows")
	if err != nil {
		t.Fatal(err)
	}
	v := m.Versions[0]
	if v.State != inference.ModelFailed || !regexp.MustCompile("alloc|memory").MatchString(*v.StateReason) {
		t.Errorf("%+v", v)
	}
	if v.StateReason != nil {
		t.Log(*v.StateReason)
	}
	if _, err := e.Predict(t.Context(), "batch1", 0, picture(t, 1, 1)); err != nil {
		t.Error(err)
	}
}

// TestProbeThatCannotStart holds that no model is blamed for it, and that it is tried again.
func TestProbeThatCannotStart(t *testing.T) {
	ends, err := exec.LookPath("false")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "probe")
	e := open(t, inference.Options{Repository: repositoryOf(t, "batch1"), Probe: []string{link, probeWord}, Watch: true})
	if got := states(e, "batch1"); got != "1 LOADING" {
		t.Error("no program: ", got)
	}
	for _, test := range []struct{ program, want string }{{ends, "1 LOADING"}, {program, "1 READY → 1"}} {
		if err := os.Symlink(test.program, link+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+".new", link); err != nil {
			t.Fatal(err)
		}
		if err := e.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, test.program+": "+test.want, func() bool { return states(e, "batch1") == test.want })
	}
}
