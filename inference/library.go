package inference

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"runtime"

	"sibyl/inference/library"
)

// ErrLibraryNotFound is returned when ONNX Runtime's shared library is nowhere; its message names the fix.
var ErrLibraryNotFound = errors.New("ONNX Runtime's library was not found: " +
	"run `npm ci --ignore-scripts`, or name the library with --onnxruntime")

var onnxRuntimeLibrary = library.Library{
	Package: path.Join("onnxruntime-node", "bin", "napi-v6", runtime.GOOS, library.NodeArchitecture()),
	Names: library.PerSystem([]string{"libonnxruntime.so.1", "libonnxruntime.so"},
		"libonnxruntime.1.dylib", "libonnxruntime.dylib"),
}

// FindLibrary gives the absolute path of ONNX Runtime's shared library. explicit, where it is not empty, is the only
// place looked at. Else it is where Library.Find finds it: `make cuda` puts the one for GPUs in lib beside the binary. It
// returns ErrLibraryNotFound when there is none.
func FindLibrary(explicit string) (string, error) {
	if explicit != "" {
		if !library.IsFile(explicit) {
			return "", fmt.Errorf("%w: %s is no file", ErrLibraryNotFound, explicit)
		}
		return filepath.Abs(explicit)
	}
	if found := onnxRuntimeLibrary.Find(); found != "" {
		return filepath.Abs(found)
	}
	return "", ErrLibraryNotFound
}
