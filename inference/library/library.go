// Package library finds native libraries that are loaded at run time: those that npm brings, and the system's.
package library

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Library says where a shared library may lie.
type Library struct {
	// Package is the directory of it in npm's package, below node_modules, with slashes.
	Package string
	// Names are patterns of path.Match for its file, the best first.
	Names []string
}

// IsFile reports whether there is a file, and not a directory or nothing.
func IsFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// PerSystem is what a library is called here.
func PerSystem(elsewhere []string, darwin ...string) []string {
	if runtime.GOOS == "darwin" {
		return darwin
	}
	return elsewhere
}

// NodeArchitecture is what npm's packages call this processor.
func NodeArchitecture() string {
	return map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
}

// Find is the library's path; empty where it is nowhere. It looks, in this order, in lib beside the binary; for npm's
// package in a node_modules of the binary's directory or of one above it; for that from the working directory upwards; and
// in the system's directories.
func (l Library) Find() string {
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
func (l Library) above(dir string) string {
	for {
		if found := l.in(filepath.Join(dir, "node_modules", filepath.FromSlash(l.Package))); found != "" {
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
func (l Library) in(dir string) string {
	for _, name := range l.Names {
		matches, _ := fs.Glob(os.DirFS(dir), name) // the patterns are right
		for _, match := range matches {
			if found := filepath.Join(dir, match); IsFile(found) {
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
