package inference

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const cudaLibrary = "libonnxruntime_providers_cuda.so"

// share makes a shared library of nothing in dir.
func share(t *testing.T, dir, name string, arguments ...string) {
	t.Helper()
	arguments = append([]string{"-shared", "-o", filepath.Join(dir, name)}, arguments...)
	if out, err := exec.Command("cc", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestMissingLibrariesAreNamed makes a provider's library that needs another, which comes later.
func TestMissingLibrariesAreNamed(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("CUDA is looked for on Linux")
	}
	dir, elsewhere := t.TempDir(), t.TempDir()
	share(t, elsewhere, "libsibyltest.so.7", "-Wl,-soname,libsibyltest.so.7")
	share(t, dir, cudaLibrary, "-Wl,--no-as-needed", "-L"+elsewhere, "-l:libsibyltest.so.7")
	if err := loadNeeded(dir, cudaLibrary); err == nil || err.Error() != "missing libsibyltest.so.7" {
		t.Error(err)
	}
	share(t, dir, "libsibyltest.so.7", "-Wl,-soname,libsibyltest.so.7")
	if err := loadNeeded(dir, cudaLibrary); err != nil {
		t.Errorf("it lies beside ONNX Runtime's library: %v", err)
	}
}

// TestMissingForNVIDIA holds what is looked for before the GPU: the library with its parts, of which none may be junk.
func TestMissingForNVIDIA(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("CUDA is looked for on Linux")
	}
	dir := t.TempDir()
	library := filepath.Join(dir, "libonnxruntime.so.1")
	for _, step := range []struct{ file, want string }{
		{"", cudaLibrary + " is not beside ONNX Runtime's library"},
		{cudaLibrary, "libonnxruntime_providers_shared.so is not beside ONNX Runtime's library"},
		{"libonnxruntime_providers_shared.so", cudaLibrary + " is not a library"},
	} {
		if step.file != "" {
			if err := os.WriteFile(filepath.Join(dir, step.file), []byte("text"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := missing(library, ProviderCUDA, 0); err == nil || err.Error() != step.want {
			t.Errorf("%v, want %s", err, step.want)
		}
	}
	share(t, dir, cudaLibrary, "-Wl,-soname,"+cudaLibrary)
	err := missing(library, ProviderCUDA, 1<<20)
	if err == nil || !strings.Contains(err.Error(), "GPU device") && !strings.Contains(err.Error(), "driver") {
		t.Errorf("%v for a GPU that is not there", err)
	}
}
