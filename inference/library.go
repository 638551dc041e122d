package inference

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// ErrLibraryNotFound is returned when ONNX Runtime's shared library is nowhere; its message names the fix.
var ErrLibraryNotFound = errors.New("ONNX Runtime's library was not found: " +
	"run `npm ci --ignore-scripts`, or name the library with --onnxruntime")

// nativeLibrary says where a shared library that is loaded at run time may lie.
type nativeLibrary struct {
	// packaged is npm's package of it, below node_modules.
	packaged string
	// names are patterns of path.Match for its file, the best first.
	names []string
}

var onnxRuntimeLibrary = nativeLibrary{
	packaged: path.Join("onnxruntime-node", "bin", "napi-v6", runtime.GOOS, nodeArchitecture()),
	names: perSystem([]string{"libonnxruntime.so.1", "libonnxruntime.so"},
		"libonnxruntime.1.dylib", "libonnxruntime.dylib"),
}

// FindLibrary gives the absolute path of ONNX Runtime's shared library. explicit, where it is not empty, is the only
// place looked at. Else it is, in this order: lib beside the binary, where `make cuda` puts the one for GPUs; the
// package onnxruntime-node in a node_modules of the binary's directory or of one above it; that package from the working
// directory upwards; the system's directories. It returns ErrLibraryNotFound when there is none.
func FindLibrary(explicit string) (string, error) {
	if explicit != "" {
		if !isFile(explicit) {
			return "", fmt.Errorf("%w: %s is no file", ErrLibraryNotFound, explicit)
		}
		return filepath.Abs(explicit)
	}
	if found := onnxRuntimeLibrary.find(); found != "" {
		return filepath.Abs(found)
	}
	return "", ErrLibraryNotFound
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// perSystem is what a library is called here.
func perSystem(elsewhere []string, darwin ...string) []string {
	if runtime.GOOS == "darwin" {
		return darwin
	}
	return elsewhere
}

// nodeArchitecture is what npm's packages call this processor.
func nodeArchitecture() string {
	return map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
}

// find is the library's path; empty where it is nowhere. Where it looks is told at FindLibrary.
func (l nativeLibrary) find() string {
	if bin := binaryDirectory(); bin != "" {
		if found := cmp.Or(l.in(filepath.Join(bin, "lib")), l.above(bin)); found != "" {
			return found
		}
	}
	if dir, err := os.Getwd(); err == nil {
		if found := l.above(dir); found != "" {
			return found
		}
	}
	for _, dir := range systemDirectories() {
		if found := l.in(dir); found != "" {
			return found
		}
	}
	return ""
}

// above looks for npm's package in dir and in every directory above it.
func (l nativeLibrary) above(dir string) string {
	for {
		if found := l.in(filepath.Join(dir, "node_modules", filepath.FromSlash(l.packaged))); found != "" {
			return found
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// in looks for one of the names in dir.
func (l nativeLibrary) in(dir string) string {
	for _, name := range l.names {
		matches, _ := fs.Glob(os.DirFS(dir), name) // the patterns are right
		for _, match := range matches {
			if found := filepath.Join(dir, match); isFile(found) {
				return found
			}
		}
	}
	return ""
}

// systemDirectories are where the dynamic linker looks, by its environment and by the customs of the systems.
func systemDirectories() []string {
	linker := "LD_LIBRARY_PATH"
	if runtime.GOOS == "darwin" {
		linker = "DYLD_LIBRARY_PATH"
	}
	var dirs []string
	for _, dir := range strings.Split(os.Getenv(linker), ":") {
		if filepath.IsAbs(dir) {
			dirs = append(dirs, dir)
		}
	}
	triplet := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[runtime.GOARCH]
	return append(dirs, "/usr/local/lib", "/usr/local/lib64", "/usr/lib/"+triplet, "/usr/lib64", "/usr/lib",
		"/opt/onnxruntime/lib", "/opt/homebrew/lib")
}

// binaryDirectory is where the running binary really lies; empty where the system does not tell.
func binaryDirectory() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	return filepath.Dir(path)
}
