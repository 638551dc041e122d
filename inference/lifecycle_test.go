package inference_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sibyl/inference"
)

// eventually waits for what the watcher does in its own time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// states are those of a model's versions, as `1 READY, 2 FAILED → 1`: the one that serves comes last.
func states(e *inference.Engine, model string) string {
	m, err := e.Model(model)
	if err != nil {
		return err.Error()
	}
	var versions []string
	for _, v := range m.Versions {
		versions = append(versions, fmt.Sprintf("%d %s", v.Version, v.State))
	}
	text := strings.Join(versions, ", ")
	if m.Serving != nil {
		text += fmt.Sprintf(" → %d", m.Serving.Version)
	}
	if m.Shadow != nil {
		text += fmt.Sprintf(" beside %d", m.Shadow.Version)
	}
	return text
}

// add copies a version of a model of testdata into a repository.
func add(t testing.TB, repository, model string, version int, from string) {
	t.Helper()
	to := filepath.Join(repository, model, fmt.Sprint(version))
	if err := os.CopyFS(to, os.DirFS(filepath.Join(modelPath, from))); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, elements ...string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(elements...)); err != nil {
		t.Fatal(err)
	}
}

func TestVersionsComeAndGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	add(t, dir, "m", 1, "nchw/1")
	e := open(t, inference.Options{Repository: dir, Watch: true, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	for _, step := range []struct {
		name   string
		change func()
		want   string
	}{
		{"as it was", func() {}, "1 READY → 1"},
		{"a new version", func() { add(t, dir, "m", 2, "nhwc/1") }, "1 READY, 2 READY → 2"},
		{
			"one that is broken", func() { write(t, filepath.Join(dir, "m", "3", "model.onnx"), "no") },
			"1 READY, 2 READY, 3 FAILED → 2",
		},
		{
			"mended", func() { remove(t, dir, "m", "3", "model.onnx"); add(t, dir, "m", 3, "nchw/1") },
			"1 READY, 2 READY, 3 READY → 3",
		},
		{"one deleted", func() { remove(t, dir, "m", "3") }, "1 READY, 2 READY, 3 RETIRED → 2"},
		{"one that is broken deleted", func() { add(t, dir, "m", 4, "text/1") }, "1 READY, 2 READY, 3 RETIRED, 4 FAILED → 2"},
		{"and forgotten", func() { remove(t, dir, "m", "4") }, "1 READY, 2 READY, 3 RETIRED → 2"},
		{"back again", func() { add(t, dir, "m", 3, "nchw/1") }, "1 READY, 2 READY, 3 READY → 3"},
		{
			"the configuration chooses", func() { write(t, filepath.Join(dir, "m", "config.yaml"), "versions: {serving: 1, shadow: 2}") },
			"1 READY, 2 READY, 3 READY → 1 beside 2",
		},
		{
			"the configuration is broken", func() { write(t, filepath.Join(dir, "m", "config.yaml"), "version: 1") },
			"1 FAILED, 2 FAILED, 3 FAILED → 1 beside 2",
		},
		{"and gone", func() { remove(t, dir, "m", "config.yaml") }, "1 READY, 2 READY, 3 READY → 3"},
		{"all gone", func() { remove(t, dir, "m") }, "1 RETIRED, 2 RETIRED, 3 RETIRED"},
	} {
		step.change()
		eventually(t, step.name+": "+step.want, func() bool { return states(e, "m") == step.want })
	}
	if _, err := e.Resolve("m", 0); !errors.Is(err, inference.ErrModelNotFound) {
		t.Errorf("a model that is gone: %v, want ErrModelNotFound", err)
	}
	if err := e.Ready(); !errors.Is(err, inference.ErrModelNotReady) {
		t.Errorf("no model: %v, want ErrModelNotReady", err)
	}
	add(t, dir, "another", 1, "nchw/1")
	eventually(t, "another model", func() bool { return states(e, "another") == "1 READY → 1" })
	if v, err := e.Resolve("", 0); err != nil || v.Name != "another" {
		t.Errorf("the only model: %v, %v", v, err)
	}
}

// TestNameThatIsNotUTF8 holds that a directory which cannot be a model is told of, once, whenever it comes.
func TestNameThatIsNotUTF8(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	add(t, dir, "m", 1, "nchw/1")
	add(t, dir, "later", 1, "nchw/1")
	name := func(from, to string) {
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Skip("the file system has no such names: ", err)
		}
	}
	add(t, dir, "first", 1, "nchw/1")
	name("first", "caf\xe9")
	write(t, filepath.Join(dir, "no directory \xff"), "")
	var log strings.Builder
	e := open(t, inference.Options{Repository: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	name("later", "sp\xe4ter")
	for range 2 {
		if err := e.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, escaped := range []string{`caf\xe9`, `sp\xe4ter`} {
		if strings.Count(log.String(), escaped) != 1 {
			t.Errorf("%s is not told once: %s", escaped, log.String())
		}
	}
	if strings.Count(log.String(), "not UTF-8") != 2 {
		t.Error(log.String())
	}
}

// TestRetiredVersionIsNotFound holds the difference between a version that is gone and one that cannot answer.
func TestRetiredVersionIsNotFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	add(t, dir, "m", 1, "nchw/1")
	add(t, dir, "m", 2, "nchw/2")
	e := open(t, inference.Options{Repository: dir})
	remove(t, dir, "m", "2")
	if err := e.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Resolve("m", 2); !errors.Is(err, inference.ErrModelNotFound) {
		t.Errorf("%v, want ErrModelNotFound", err)
	}
	if v, err := e.Resolve("m", 0); err != nil || v.Version != 1 {
		t.Errorf("%v, %v", v, err)
	}
}

// TestChangedForTheWorse holds that files which cannot be loaded do not stop what was loaded before from answering.
func TestChangedForTheWorse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	add(t, dir, "m", 1, "nchw/1")
	whole, err := os.ReadFile(filepath.Join(dir, "m", "1", "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	e := open(t, inference.Options{Repository: dir})
	before, err := e.Predict(t.Context(), "m", 1, picture(t, 0, 3))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "m", "1", "model.onnx"), string(whole[:len(whole)/2]))
	if err := e.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	m, err := e.Model("m")
	if err != nil {
		t.Fatal(err)
	}
	if v := m.Versions[0]; v.State != inference.ModelFailed || !strings.Contains(*v.StateReason, "goes on answering") {
		t.Errorf("half a file: %s, %v", v.State, *v.StateReason)
	} else if *v.SHA256 != *before.Model.SHA256 || v.ExecutionProvider == nil || m.Serving != v || e.Ready() != nil {
		t.Errorf("what answers is not shown: %+v", v)
	}
	after, err := e.Predict(t.Context(), "m", 0, picture(t, 0, 3))
	if err != nil || string(after.Outputs[0].Data) != string(before.Outputs[0].Data) {
		t.Errorf("half a file: %v", err)
	}
	write(t, filepath.Join(dir, "m", "1", "model.onnx"), string(whole))
	if err := e.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := states(e, "m"); got != "1 READY → 1" {
		t.Error(got)
	}
}

// TestNothingFailsWhileVersionsChange predicts all the while, and holds that each answer is a whole version's.
func TestNothingFailsWhileVersionsChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	add(t, dir, "m", 1, "nchw/1")
	e := open(t, inference.Options{Repository: dir, Watch: true})
	image := picture(t, 0, 3)
	first, err := e.Predict(t.Context(), "m", 1, image)
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]string{1: string(first.Outputs[0].Data)}
	for number, model := range map[int]string{2: "nhwc", 3: "nhwc"} {
		r, err := open(t, inference.Options{Repository: repositoryOf(t, model)}).Predict(t.Context(), "", 0, image)
		if err != nil {
			t.Fatal(err)
		}
		want[number] = string(r.Outputs[0].Data)
	}
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	var answers [4]atomic.Int64 // by version
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				r, err := e.Predict(t.Context(), "", 0, image)
				if err != nil {
					t.Error(err)
					return
				}
				if got := string(r.Outputs[0].Data); got != want[r.Model.Version] {
					t.Errorf("version %d answers %s, want %s", r.Model.Version, got, want[r.Model.Version])
				}
				answers[r.Model.Version].Add(1)
			}
		})
	}
	for round, step := range []struct {
		change func()
		want   string
	}{
		{func() { add(t, dir, "m", 2, "nhwc/1") }, "1 READY, 2 READY → 2"},
		{func() { add(t, dir, "m", 3, "nhwc/1"); remove(t, dir, "m", "1") }, "1 RETIRED, 2 READY, 3 READY → 3"},
		{
			func() { add(t, dir, "m", 1, "nchw/1"); remove(t, dir, "m", "3"); remove(t, dir, "m", "2") },
			"1 READY, 2 RETIRED, 3 RETIRED → 1",
		},
		{func() { write(t, filepath.Join(dir, "m", "config.yaml"), "max_batch_size: 4") }, "1 READY, 2 RETIRED, 3 RETIRED → 1"},
	} {
		step.change()
		eventually(t, fmt.Sprint(round, step.want), func() bool { return states(e, "m") == step.want })
	}
	eventually(t, "4 at most in a run", func() bool { s := e.Statistics(); return s[0].MaxBatchSize <= 4 })
	stop()
	callers.Wait()
	for number := 1; number <= 3; number++ {
		if answers[number].Load() == 0 {
			t.Errorf("version %d never answered", number)
		}
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for number := 1; number <= 3; number++ {
		add(t, dir, "m", number, "nchw/1")
	}
	add(t, dir, "m", 4, "text/1")
	write(t, filepath.Join(dir, "m", "config.yaml"), "versions: {serving: 2}")
	e := open(t, inference.Options{Repository: dir})
	all := "1 READY, 2 READY, 3 READY, 4 FAILED"
	for _, test := range []struct {
		route map[string]inference.Route
		want  string
	}{
		{nil, all + " → 2"},
		{map[string]inference.Route{"m": {Serving: 1, Shadow: 3}}, all + " → 1 beside 3"},
		{map[string]inference.Route{"m": {Serving: 1, Shadow: 4}}, all + " → 1"},
		{map[string]inference.Route{"m": {Serving: 1, Shadow: 9}}, all + " → 1"},
		{map[string]inference.Route{"m": {Serving: 4, Shadow: 1}}, all + " beside 1"},
		{map[string]inference.Route{"m": {}}, all + " → 3"},
		{map[string]inference.Route{"other": {Serving: 1}}, all + " → 2"},
	} {
		e.SetRoutes(test.route)
		if got := states(e, "m"); got != test.want {
			t.Errorf("%v: %s, want %s", test.route, got, test.want)
		}
	}
	e.SetRoutes(map[string]inference.Route{"m": {Serving: 4}})
	if _, err := e.Resolve("m", 0); !errors.Is(err, inference.ErrModelNotReady) || !strings.Contains(err.Error(), "version 4") {
		t.Errorf("the chosen one FAILED: %v", err)
	}
	if err := e.Ready(); !errors.Is(err, inference.ErrModelNotReady) || !strings.Contains(err.Error(), `version 4 of "m"`) {
		t.Errorf("the chosen one FAILED: %v", err)
	}
	if v, err := e.Resolve("m", 3); err != nil || v.Version != 3 {
		t.Errorf("by number: %v, %v", v, err)
	}
}

// TestOutOfReachIsTriedAgain holds that a version waits, LOADING, for what it needs beside its files.
func TestOutOfReachIsTriedAgain(t *testing.T) {
	t.Parallel()
	var inReach atomic.Bool
	e := open(t, inference.Options{
		Repository: repositoryOf(t, "uint8"), Watch: true,
		Admit: func(context.Context, *inference.ModelVersion) error {
			if !inReach.Load() {
				return fmt.Errorf("the database: %w", inference.ErrUnavailable)
			}
			return nil
		},
	})
	if got := states(e, "uint8"); got != "1 LOADING" {
		t.Fatal(got)
	}
	if _, err := e.Resolve("", 0); !errors.Is(err, inference.ErrModelNotReady) {
		t.Errorf("LOADING: %v, want ErrModelNotReady", err)
	}
	inReach.Store(true)
	eventually(t, "READY", func() bool { return states(e, "uint8") == "1 READY → 1" })
}

func TestReloadOfALostRepository(t *testing.T) {
	t.Parallel()
	dir := repositoryOf(t, "nchw")
	e := open(t, inference.Options{Repository: dir})
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := e.Reload(t.Context()); err == nil {
		t.Error("a repository that is not there is read")
	}
	if got := states(e, "nchw"); got != "1 READY, 2 READY → 2" {
		t.Error(got)
	}
}

// TestMemoryReturnsAfterReloads compares what a process holds after a few reloads and after many. It is one of its own:
// in that of all tests memory comes and goes with what else ran.
func TestMemoryReturnsAfterReloads(t *testing.T) {
	t.Parallel()
	const variable = "SIBYL_TEST_RELOADS"
	if residentBytes(t); os.Getenv(variable) == "" {
		command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMemoryReturnsAfterReloads$", "-test.v")
		command.Env = append(os.Environ(), variable+"=1")
		if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "MiB after 70") {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "mnist"), os.DirFS(filepath.Join("models", "mnist"))); err != nil {
		t.Fatal(err)
	}
	e := open(t, inference.Options{Repository: dir})
	reload := func(times int) uint64 {
		for i := range times {
			config := fmt.Sprintf("%s\n# %d\n", mnistConfig(t), i)
			write(t, filepath.Join(dir, "mnist", "config.yaml"), config)
			if err := e.Reload(t.Context()); err != nil || states(e, "mnist") != "1 READY → 1" {
				t.Fatal(states(e, "mnist"), err)
			}
		}
		debug.FreeOSMemory()
		return residentBytes(t)
	}
	few := reload(20)
	many := reload(50)
	t.Logf("%d MiB after 20 reloads, %d MiB after 70", few>>20, many>>20)
	if many > few+(24<<20) {
		t.Error("reloads leave memory behind")
	}
}

func mnistConfig(t *testing.T) string {
	t.Helper()
	config, err := os.ReadFile(filepath.Join("models", "mnist", "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(config)
}

// residentBytes is the memory of this process that is not swapped out, in bytes.
func residentBytes(t *testing.T) uint64 {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("this system does not tell: ", err)
	}
	var size, resident uint64
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * uint64(os.Getpagesize())
}
