package inference

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tried is a loader that has each version tried by the tests' program, and takes SwiftShader for hardware.
func tried(t *testing.T, repository string, log *bytes.Buffer) *loader {
	t.Helper()
	library, err := FindLibrary("")
	if err == nil {
		err = openRuntime(library)
	}
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Probe: []string{program, "probe"}, Logger: slog.New(slog.NewTextHandler(log, nil))}.withDefaults()
	p, err := openProviders(t.Context(), library, o)
	if err != nil {
		t.Fatal(err)
	}
	p.adapters = func() ([]adapter, error) { return []adapter{{name: "hardware"}}, nil }
	r, err := openRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	l := &loader{repository: r, providers: p, warmUp: o.WarmUp, probe: newProbe(o, library, r)}
	t.Cleanup(l.probe.rest)
	return l
}

// TestGPUModelIsNotJudgedByTheCPU loads what the CPU refuses on a GPU, and does not what ends the process that tries it.
func TestGPUModelIsNotJudgedByTheCPU(t *testing.T) {
	needSwiftShader(t)
	repository := t.TempDir()
	for model, from := range map[string]string{"biasadd": "gpu", "divides": "ruinous"} {
		files := os.DirFS(filepath.Join("testdata", from, model))
		if err := os.CopyFS(filepath.Join(repository, model), files); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	l := tried(t, repository, &log)
	v, err := l.load(t.Context(), "biasadd", 1)
	if err != nil {
		t.Fatal(err)
	}
	if *v.ExecutionProvider != string(ProviderWebGPU) {
		t.Errorf("on %s", *v.ExecutionProvider)
	}
	if err := v.close(); err != nil {
		t.Error(err)
	}
	if _, err := l.load(t.Context(), "divides", 1); err == nil || !strings.Contains(err.Error(), "SIGFPE") {
		t.Errorf("divides: %v, want SIGFPE", err)
	}
	l.providers.asked = ProviderCPU
	if _, err := l.load(t.Context(), "biasadd", 1); err == nil || !strings.Contains(err.Error(), "BiasAdd") {
		t.Errorf("on the CPU: %v", err)
	}
}

// TestProbeThatWasKilledIsNoFault kills the process while it rests, as the kernel does when memory is scarce.
func TestProbeThatWasKilledIsNoFault(t *testing.T) {
	p := tried(t, filepath.Join("testdata", "models"), &bytes.Buffer{}).probe
	for killed := false; !killed; {
		if err := p.try(t.Context(), "batch1", 1, time.Minute); err != nil {
			t.Fatal(err)
		}
		p.mu.Lock()
		if killed = p.process != nil; killed { // else it has rested for too long
			if err := p.process.command.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		p.mu.Unlock()
	}
	if err := p.try(t.Context(), "batch1", 1, time.Minute); err != nil {
		t.Error(err)
	}
}

// TestProbeTellsWhyItEnded holds what a user reads of a process that ended, where the words for it come by chance.
func TestProbeTellsWhyItEnded(t *testing.T) {
	for stderr, want := range map[string]string{
		"": "exit status 2",
		"SIGFPE: floating-point exception\nPC=0x1 m=3":                                                                 "SIGFPE: floating-point exception",
		"terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\nSIGABRT: abort\n": "terminate called after throwing an instance of 'std::bad_alloc'",
		"runtime/cgo: pthread_create failed: Resource temporarily unavailable\nSIGABRT: abort\n":                       "runtime/cgo: pthread_create failed: Resource temporarily unavailable (no memory for its stack, mostly)",
		"fatal error: runtime: cannot allocate memory\n":                                                               "fatal error: runtime: cannot allocate memory",
	} {
		p := probeProcess{stderr: head{[]byte(stderr)}}
		if got := p.words(errors.New("exit status 2")); got != want {
			t.Errorf("of %q it is told %q, want %q", stderr, got, want)
		}
	}
}
