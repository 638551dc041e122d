package inference

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sibyl/inference/library"
)

// SwiftShader is the Vulkan driver of the apt package chromium.
const SwiftShader = "/usr/lib/chromium/vk_swiftshader_icd.json"

// onProvider are options for a provider that is no CPU: WebGPU on SwiftShader, or on a machine with a GPU another, as
//
//	SIBYL_TEST_PROVIDER=cuda SIBYL_ONNXRUNTIME=$PWD/bin/lib/libonnxruntime.so.1 go test -run TestProvider ./inference
func onProvider(t testing.TB) Options {
	t.Helper()
	o := Options{Library: os.Getenv("SIBYL_ONNXRUNTIME"), Provider: Provider(os.Getenv("SIBYL_TEST_PROVIDER"))}
	if o.Provider == "" {
		needSwiftShader(t)
		o.Provider = ProviderWebGPU
	}
	return o
}

// needSwiftShader skips a test where it is missing, or fails it where SIBYL_NO_SKIP=1.
func needSwiftShader(t testing.TB) {
	t.Helper()
	adapters, err := graphicsAdapters()
	if runtime.GOOS == "linux" && library.IsFile(SwiftShader) && err == nil && len(adapters) > 0 {
		return
	}
	if strings.TrimSpace(os.Getenv("SIBYL_NO_SKIP")) == "1" {
		t.Fatal("missing: the apt packages chromium and libvulkan1")
	}
	t.Skip("SKIPPED, missing: the apt packages chromium and libvulkan1")
}

// openLogged opens an engine, closed with the test, and gives what it logged while it opened.
func openLogged(t testing.TB, o Options) (*Engine, string) {
	t.Helper()
	var log bytes.Buffer
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	e, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e, log.String()
}

// modelsOf is a repository with copies of testdata's models, by their names there.
func modelsOf(t testing.TB, models ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, model := range models {
		files := os.DirFS(filepath.Join("testdata", "models", model))
		if err := os.CopyFS(filepath.Join(dir, model), files); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// configure adds lines to a model's config.yaml.
func configure(t testing.TB, repository, model, lines string) {
	t.Helper()
	name := filepath.Join(repository, model, "config.yaml")
	old, _ := os.ReadFile(name) // there may be none
	if err := os.WriteFile(name, append([]byte(lines+"\n"), old...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// ready is a version that must be READY.
func ready(t testing.TB, e *Engine, model string) *version {
	t.Helper()
	m, err := e.Model(model)
	if err != nil {
		t.Fatal(err)
	}
	if v := m.Versions[0]; v.State != ModelReady {
		t.Fatalf("%s is %s: %s", model, v.State, *v.StateReason)
	}
	v, err := e.models.catalog.Load().resolve(model, 1)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// pictures are so many tensors for a version, no two alike.
func pictures(v *version, n int) []*task {
	tasks := make([]*task, n)
	for k := range tasks {
		tasks[k] = newTask()
		tasks[k].input = make([]float32, v.input.Width*v.input.Height*v.input.Channels())
		for i := range tasks[k].input {
			pixel := float64((i*37 + k*101 + i*i*(k+1)) % 256)
			tasks[k].input[i] = float32((pixel*v.input.Scale - v.input.Mean[0]) / v.input.Std[0])
		}
	}
	return tasks
}

// together runs tasks as one batch on the first instance, on which nothing else may run.
func together(t testing.TB, v *version, tasks []*task) {
	t.Helper()
	v.backend.load(0, tasks)
	if err := v.backend.infer(t.Context(), 0, len(tasks)); err != nil {
		t.Fatal(err)
	}
	v.backend.unload(0, tasks)
}

// distant tells the first value in which two outcomes differ by more than 1e-4, relative to values above 1.
func distant(v *version, got, want *task) error {
	for o, spec := range v.Outputs {
		if !slices.Equal(got.outputs[o].shape, want.outputs[o].shape) {
			return fmt.Errorf("%s %v, want %v", spec.Name, got.outputs[o].shape, want.outputs[o].shape)
		}
		if spec.Datatype != fp32 {
			if g, w := got.outputs[o].data, want.outputs[o].data; !bytes.Equal(g, w) {
				return fmt.Errorf("%s is %v, on the CPU %v", spec.Name, g, w)
			}
			continue
		}
		for i := range volume(want.outputs[o].shape) {
			g, w := got.outputs[o].float(i, spec.Datatype), want.outputs[o].float(i, spec.Datatype)
			if same := g == w || math.IsNaN(g) && math.IsNaN(w); !same && !(math.Abs(g-w) <= 1e-4*max(1, math.Abs(w))) {
				return fmt.Errorf("%s[%d] = %v, on the CPU %v", spec.Name, i, g, w)
			}
		}
	}
	return nil
}

// onlyThere fails where a version could have run on the CPU instead.
func onlyThere(t testing.TB, v *version, provider Provider) {
	t.Helper()
	if s := v.backend.(*instances).session; !s.target.whole || *v.ExecutionProvider != string(provider) {
		t.Fatalf("%s runs on %s, and may run on the CPU", v.Name, *v.ExecutionProvider)
	}
}

// TestProviderEqualsCPU compares a provider that may leave nothing to the CPU with the CPU, alone and in batches.
func TestProviderEqualsCPU(t *testing.T) {
	o := onProvider(t)
	models := []string{"mnist", "batch1", "batch4", "nobatch"} // and those that take batches
	batching := []string{
		"nchw", "nhwc", "rgba", "uint8", "gray3d", "opensize", "probabilities", "spatial", "several", "segmentation",
		"regression", "vector", "twoinputsnamed", "external_inside",
	}
	repository := modelsOf(t, slices.Concat(models[1:], batching)...)
	if err := os.CopyFS(filepath.Join(repository, "mnist"), os.DirFS(filepath.Join("models", "mnist"))); err != nil {
		t.Fatal(err)
	}
	for _, model := range append(batching, "mnist") {
		configure(t, repository, model, "max_batch_size: 4")
	}
	o.Repository = repository
	there, _ := openLogged(t, o)
	provider := o.Provider
	o.Provider = ProviderCPU
	here, _ := openLogged(t, o)
	for _, model := range append(models, batching...) {
		t.Run(model, func(t *testing.T) {
			v, cpu := ready(t, there, model), ready(t, here, model)
			onlyThere(t, v, provider)
			want := pictures(cpu, 4)
			for i := range want {
				together(t, cpu, want[i:i+1])
			}
			buckets := v.backend.(*instances).buckets
			for _, n := range []int{1, 3, 4} {
				if n > buckets[len(buckets)-1] {
					continue
				}
				got := pictures(v, n)
				together(t, v, got)
				for i := range got {
					if err := distant(v, got[i], want[i]); err != nil {
						t.Errorf("image %d of %d: %v", i, n, err)
					}
				}
			}
		})
	}
}

func (s Statistics) provider() Provider { return Provider(s.ExecutionProvider) }

// TestProviderTakesRequests sends requests to two models of one device at once, while a third is opened and closed
// beside them.
func TestProviderTakesRequests(t *testing.T) {
	o := onProvider(t)
	repository := modelsOf(t, "nchw", "regression")
	for _, model := range []string{"nchw", "regression"} {
		configure(t, repository, model, "max_batch_size: 4\ninstance_group: {count: 2}")
	}
	o.Repository = repository
	there, _ := openLogged(t, o)
	provider := o.Provider
	o.Provider = ProviderCPU
	here, _ := openLogged(t, o)
	var group sync.WaitGroup
	for caller := range 8 {
		model := []string{"nchw", "regression"}[caller%2]
		v, cpu := ready(t, there, model), ready(t, here, model)
		onlyThere(t, v, provider)
		group.Go(func() {
			got, want := pictures(v, 20), pictures(cpu, 20)
			for i := range got {
				if err := errors.Join(v.batcher.run(t.Context(), got[i]), cpu.batcher.run(t.Context(), want[i])); err != nil {
					t.Error(err)
				} else if err := distant(v, got[i], want[i]); err != nil {
					t.Errorf("caller %d, image %d: %v", caller, i, err)
				}
			}
		})
	}
	group.Go(func() {
		for range 3 {
			again := onProvider(t)
			again.Repository = modelsOf(t, "batch1")
			e, err := Open(t.Context(), again)
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(e.Ready(), e.Close()); err != nil {
				t.Error(err)
			}
		}
	})
	group.Wait()
}

// TestProviderDefaults holds that a GPU gets one instance, and all batches up to the limit.
func TestProviderDefaults(t *testing.T) {
	o := onProvider(t)
	o.Repository = modelsOf(t, "nchw")
	e, log := openLogged(t, o)
	s := e.Statistics()[0]
	if s.Instances != 1 || !s.Batching || s.MaxBatchSize != 32 || s.provider() != o.Provider {
		t.Errorf("%+v", s)
	}
	if buckets := ready(t, e, "nchw").backend.(*instances).buckets; !slices.Equal(buckets, []int{1, 2, 4, 8, 16, 32}) {
		t.Errorf("buckets %v", buckets)
	}
	if !strings.Contains(log, `msg="execution provider" provider=`+string(o.Provider)) {
		t.Error(log)
	}
}

// TestProviderLeavesTheProcess holds that a process ends well with a model on the device that nobody closes.
func TestProviderLeavesTheProcess(t *testing.T) {
	const variable = "SIBYL_TEST_LEAVES"
	o := onProvider(t)
	o.Repository = filepath.Join("testdata", "models")
	if os.Getenv(variable) != "" {
		o.Repository = modelsOf(t, "batch1")
		if _, err := Open(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		fmt.Println("opened")
		os.Exit(0)
	}
	command := exec.Command(os.Args[0], "-test.run=^TestProviderLeavesTheProcess$")
	command.Env = append(os.Environ(), variable+"=1")
	out, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "opened") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestProviderRunEndsWithItsCaller holds that waiting for a device that is taken ends with the caller's deadline.
func TestProviderRunEndsWithItsCaller(t *testing.T) {
	o := onProvider(t)
	if o.Provider != ProviderWebGPU {
		t.Skip("only WebGPU is taken by one session at a time")
	}
	o.Repository = modelsOf(t, "batch1")
	e, _ := openLogged(t, o)
	v := ready(t, e, "batch1")
	if err := webGPU.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := v.batcher.run(ctx, pictures(v, 1)[0]); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	webGPU.give()
	if err := v.batcher.run(t.Context(), pictures(v, 1)[0]); err != nil {
		t.Error(err)
	}
}
