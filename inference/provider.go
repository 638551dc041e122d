package inference

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
)

// Provider is an execution provider of ONNX Runtime: what a model's nodes run on.
type Provider string

// The providers. ProviderAuto is the first of tensorrt, cuda, webgpu on real hardware, and cpu that can be had and that
// takes the model; the others are these or an error.
const (
	ProviderAuto     Provider = auto
	ProviderCPU      Provider = "cpu"
	ProviderCUDA     Provider = "cuda"
	ProviderTensorRT Provider = "tensorrt"
	ProviderWebGPU   Provider = "webgpu"
)

// providerOrder is in which order ProviderAuto tries them.
var providerOrder = []Provider{ProviderTensorRT, ProviderCUDA, ProviderWebGPU, ProviderCPU}

// errSoftware keeps ProviderAuto from an adapter that is slower than the CPU's own provider.
var errSoftware = errors.New("the only Vulkan adapters are software")

// providers are what an engine's models may run on. They are safe for concurrent use.
type providers struct {
	// asked is for models that ask for none.
	asked Provider
	// gpu is the target that Options describe, without a provider.
	gpu target
	log *slog.Logger
	// adapters are those that WebGPU would take.
	adapters func() ([]adapter, error)
	// obstacles find out, once each, what keeps a provider from being had here.
	obstacles map[Provider]func() error
}

// openProviders finds out what can be had. It returns an error where an explicit provider cannot, and else logs which
// one models get and why not the others.
func openProviders(ctx context.Context, library string, o Options) (*providers, error) {
	p := &providers{
		asked: o.Provider, gpu: target{device: o.GPUDevice, memoryLimit: o.GPUMemoryLimit}, log: o.Logger,
		adapters: graphicsAdapters, obstacles: make(map[Provider]func() error),
	}
	for _, provider := range providerOrder {
		p.obstacles[provider] = sync.OnceValue(func() error {
			if err := missing(library, provider, p.gpu.device); err != nil {
				return err
			}
			if err := prove(p.target(provider)); err != nil {
				return errors.New(withoutDirectory(err.Error(), library))
			}
			return nil
		})
	}
	targets, err := p.targets(p.asked)
	if err != nil {
		return nil, fmt.Errorf("execution provider %w", err)
	}
	attrs := []slog.Attr{slog.String("provider", string(targets[0].provider))}
	if p.asked == ProviderAuto {
		for _, provider := range providerOrder {
			if err := p.rejected(provider); err != nil {
				attrs = append(attrs, slog.String("not_"+string(provider), err.Error()))
			}
		}
	}
	p.log.LogAttrs(ctx, slog.LevelInfo, "execution provider", attrs...)
	return p, nil
}

// targets are what to try for a model that asks for a provider, the best first; there is at least one. An explicit
// provider is the only one, or an error that tells what is missing.
func (p *providers) targets(asked Provider) ([]target, error) {
	if asked == ProviderAuto {
		var targets []target
		for _, provider := range providerOrder {
			if p.rejected(provider) == nil {
				targets = append(targets, p.target(provider))
			}
		}
		return targets, nil
	}
	obstacle, known := p.obstacles[asked]
	if !known {
		return nil, fmt.Errorf("%q is none of %v", asked, slices.Concat([]Provider{ProviderAuto}, providerOrder))
	}
	if err := obstacle(); err != nil {
		return nil, fmt.Errorf("%s: %w", asked, err)
	}
	return []target{p.target(asked)}, nil
}

// rejected says why ProviderAuto does not take a provider; nil where it does.
func (p *providers) rejected(provider Provider) error {
	if provider == ProviderWebGPU {
		adapters, err := p.adapters()
		if err == nil && len(adapters) > 0 && !slices.ContainsFunc(adapters, adapter.isHardware) {
			return fmt.Errorf("%w (%s)", errSoftware, adapters[0].name)
		}
	}
	return p.obstacles[provider]()
}

func (p *providers) target(provider Provider) target {
	t := p.gpu
	t.provider = provider
	return t
}

// onGPU tells that a run is best given a whole batch, and the next one only when it has ended.
func (p Provider) onGPU() bool { return p != ProviderCPU }

// instances is how many runs of a version go on at the same time, unless its configuration says so.
func (p Provider) instances() int {
	if p.onGPU() {
		return 1
	}
	return runtime.GOMAXPROCS(0)
}
