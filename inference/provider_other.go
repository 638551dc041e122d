//go:build !linux

package inference

import (
	"errors"
	"runtime"
)

// loadLibrary is for CUDA, which ONNX Runtime has on Linux and Windows.
func loadLibrary(string) bool { return false }

func cudaDevices() (int, error) { return 0, errors.New("not on this system") }

// graphicsAdapters tells of Metal, which is always hardware.
func graphicsAdapters() ([]adapter, error) {
	if runtime.GOOS != "darwin" {
		return nil, errors.New("not on this system")
	}
	return []adapter{{name: "Metal"}}, nil
}
