package inference

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
)

// TestAutoLeavesSoftware holds that nobody gets a GPU that the CPU plays, unless they ask for it.
func TestAutoLeavesSoftware(t *testing.T) {
	needSwiftShader(t)
	e, log := openLogged(t, Options{Repository: modelsOf(t, "batch1"), Provider: ProviderAuto})
	if provider := e.Statistics()[0].provider(); provider != ProviderCPU {
		t.Errorf("auto took %s", provider)
	}
	for _, want := range []string{"provider=cpu", `not_webgpu="the only Vulkan adapters are software`, "not_cuda="} {
		if !strings.Contains(log, want) {
			t.Errorf("%s is not in %s", want, log)
		}
	}
}

// TestAutoFallsBack lets ProviderAuto take SwiftShader for hardware: a model that it does not take goes to the CPU.
func TestAutoFallsBack(t *testing.T) {
	needSwiftShader(t)
	var log bytes.Buffer
	library, err := FindLibrary("")
	if err == nil {
		err = openRuntime(library)
	}
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}.withDefaults()
	p, err := openProviders(t.Context(), library, o)
	if err != nil {
		t.Fatal(err)
	}
	p.adapters = func() ([]adapter, error) { return []adapter{{name: "hardware"}}, nil }
	r, err := openRepository(filepath.Join("testdata", "models"))
	if err != nil {
		t.Fatal(err)
	}
	l := &loader{repository: r, providers: p, warmUp: o.WarmUp}
	for _, test := range []struct {
		model    string
		provider Provider
		log      string
	}{
		{"batch1", ProviderWebGPU, ""},
		{"logsoftmax", ProviderWebGPU, "leaves nodes to others"},
		{"fp64", ProviderCPU, `reason="execution provider webgpu: it runs no node of the model"`},
		{"fp16", ProviderCPU, "does not take the model"},
	} {
		t.Run(test.model, func(t *testing.T) {
			log.Reset()
			v, err := l.load(t.Context(), test.model, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = v.close() }()
			if *v.ExecutionProvider != string(test.provider) {
				t.Errorf("on %s, want %s", *v.ExecutionProvider, test.provider)
			}
			if !strings.Contains(log.String(), test.log) || test.log == "" && log.Len() > 0 {
				t.Error(log.String())
			}
		})
	}
}

// noCUDA is what npm's ONNX Runtime lacks.
const noCUDA = "cuda: libonnxruntime_providers_cuda.so is not beside ONNX Runtime's library"

// TestExplicitProvider holds that a provider that is asked for and cannot be had is an error, and never the CPU.
func TestExplicitProvider(t *testing.T) {
	for provider, want := range map[Provider]string{
		ProviderCUDA:     "execution provider " + noCUDA,
		ProviderTensorRT: "libonnxruntime_providers_tensorrt.so is not beside",
		"tpu":            `"tpu" is none of`,
	} {
		e, err := Open(t.Context(), Options{Provider: provider})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", provider, err, want)
		}
		if e != nil {
			t.Error(provider, e.Close())
		}
	}
}

// TestExplicitProviderOfModel is that for execution_provider in config.yaml: it fails the version, and no other.
func TestExplicitProviderOfModel(t *testing.T) {
	needSwiftShader(t)
	repository := modelsOf(t, "batch1", "single", "fp64", "fp16")
	configure(t, repository, "batch1", "max_batch_size: 1\nexecution_provider: cuda")
	configure(t, repository, "single", "execution_provider: cpu")
	configure(t, repository, "fp64", "execution_provider: webgpu")
	configure(t, repository, "fp16", "execution_provider: webgpu")
	e, _ := openLogged(t, Options{Repository: repository})
	ready(t, e, "single")
	for model, want := range map[string]string{
		"batch1": "config.yaml line 2: execution_provider: " + noCUDA,
		"fp64":   "execution provider webgpu: it runs no node of the model",
		"fp16":   "execution provider webgpu: warm-up: ONNX Runtime: ",
	} {
		m, err := e.Model(model)
		if err != nil {
			t.Fatal(err)
		}
		v := m.Versions[0]
		if v.State != ModelFailed || !strings.HasPrefix(*v.StateReason, want) || v.ExecutionProvider != nil {
			t.Errorf("%s: %+v, want %s", model, v, want)
		}
	}
}
