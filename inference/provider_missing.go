package inference

import (
	"debug/elf"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"sibyl/inference/library"
)

// adapter is a device that Vulkan or Metal offers.
type adapter struct {
	name string
	// software tells that the CPU does its work, as in llvmpipe and SwiftShader.
	software bool
}

func (a adapter) isHardware() bool { return !a.software }

// providerLibraries are the parts of ONNX Runtime that lie beside its library: a provider's own, and what it shares.
var providerLibraries = map[Provider][]string{
	ProviderCUDA:     {"libonnxruntime_providers_cuda.so", "libonnxruntime_providers_shared.so"},
	ProviderTensorRT: {"libonnxruntime_providers_tensorrt.so", "libonnxruntime_providers_shared.so"},
}

// loadedLater are libraries that the providers load by name when a node needs them.
var loadedLater = []string{"libcudnn.so.9", "libcufft.so.12"}

// missing tells what a provider needs and this host has not, looked for before ONNX Runtime is asked: its own errors
// name one library at a time, and WebGPU's warns on stderr. nil is no promise that the provider works.
func missing(library string, provider Provider, device int) error {
	switch provider {
	case ProviderCUDA, ProviderTensorRT:
		return missingForNVIDIA(filepath.Dir(library), provider, device)
	case ProviderWebGPU:
		adapters, err := graphicsAdapters()
		if err == nil && len(adapters) == 0 {
			err = errors.New("no Vulkan adapter")
		}
		return err
	}
	return nil
}

func missingForNVIDIA(dir string, provider Provider, device int) error {
	for _, name := range providerLibraries[provider] {
		if !library.IsFile(filepath.Join(dir, name)) {
			return fmt.Errorf("%s is not beside ONNX Runtime's library", name)
		}
	}
	if err := loadNeeded(dir, providerLibraries[provider][0]); err != nil {
		return err
	}
	devices, err := cudaDevices()
	switch {
	case err != nil:
		return err
	case devices == 0:
		return errors.New("no GPU device")
	case device < 0 || device >= devices:
		return fmt.Errorf("no GPU device %d: there are %d, from 0", device, devices)
	}
	return nil
}

// loadNeeded loads the libraries that one in dir needs: from where the linker looks, else from dir, where the linker
// would not look for them. Its error names all that are in neither.
func loadNeeded(dir, name string) error {
	file, err := elf.Open(filepath.Join(dir, name))
	if err != nil {
		return fmt.Errorf("%s is not a library", name)
	}
	defer func() { _ = file.Close() }()
	needed, err := file.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("%s is not a library", name)
	}
	var absent []string
	for _, library := range needed {
		if !loadLibrary(library) && !loadLibrary(filepath.Join(dir, library)) {
			absent = append(absent, library)
		}
	}
	if len(absent) > 0 {
		return fmt.Errorf("missing %s", strings.Join(absent, ", "))
	}
	for _, library := range loadedLater {
		_ = loadLibrary(library) || loadLibrary(filepath.Join(dir, library)) // the proof tells whether it is needed
	}
	return nil
}
