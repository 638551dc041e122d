package inference

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// onnxRuntime is the process's one ONNX Runtime environment. It is never taken down: sessions of several engines may
// share it, and unloading the library under its threads is not safe.
var onnxRuntime struct {
	mu sync.Mutex
	// library is the path it was loaded from; empty before.
	library string
}

// openRuntime loads ONNX Runtime into the process, once. It is safe for concurrent use.
func openRuntime(library string) error {
	onnxRuntime.mu.Lock()
	defer onnxRuntime.mu.Unlock()
	if onnxRuntime.library != "" {
		if onnxRuntime.library != library {
			return fmt.Errorf("ONNX Runtime is loaded from %s already", onnxRuntime.library)
		}
		return nil
	}
	ort.SetSharedLibraryPath(library)
	// Every error is returned as well; ONNX Runtime's own log would repeat it on stderr.
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		if strings.Contains(err.Error(), "API base") {
			return fmt.Errorf("ONNX Runtime in %s is too old: 1.24 or later is needed", library)
		}
		reason := strings.TrimPrefix(err.Error(), "Platform-specific initialization failed: ")
		return fmt.Errorf("ONNX Runtime in %s, name another with --onnxruntime: %s", library, reason)
	}
	if err := ort.DisableTelemetry(); err != nil {
		return fmt.Errorf("ONNX Runtime's telemetry: %w", err)
	}
	onnxRuntime.library = library
	return nil
}

// session is a model in ONNX Runtime. Its run is safe for concurrent use, each with a binding of its own.
type session struct {
	ort     *ort.DynamicAdvancedSession
	inputs  []onnxValue
	outputs []onnxValue
	target  target
	// slots are where each output begins among those that ONNX Runtime is asked for, of which there are so many fetches.
	slots   []int
	fetches int
}

// openSession reads a model into ONNX Runtime, to run on the target. What runs on the CPU runs on the calling thread:
// throughput is highest when every core runs a request of its own. Its error tells ONNX Runtime's reason without paths
// of this host.
func openSession(ctx context.Context, source modelSource, inputs, outputs []onnxValue, t target) (*session, error) {
	if err := t.turn().take(ctx); err != nil {
		return nil, err
	}
	defer t.turn().give()
	options, err := sessionOptions(t)
	if err != nil {
		return nil, runtimeError(err, "")
	}
	defer options.Destroy()
	if source.dir != "" {
		const beside = "session.model_external_initializers_file_folder_path"
		if err := options.AddSessionConfigEntry(beside, source.dir); err != nil {
			return nil, err
		}
	}
	s := &session{inputs: inputs, outputs: outputs, target: t}
	var out []string
	for _, output := range outputs {
		s.slots = append(s.slots, len(out))
		out = append(out, output.fetches()...)
	}
	s.fetches = len(out)
	data := spreadOutputs(source.data, outputs)
	s.ort, err = ort.NewDynamicAdvancedSessionWithONNXData(data, valueNames(inputs), out, options)
	if err != nil {
		return nil, runtimeError(err, source.dir)
	}
	return s, nil
}

func sessionOptions(t target) (*ort.SessionOptions, error) {
	o, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		o.SetIntraOpNumThreads(1),
		o.SetInterOpNumThreads(1),
		o.SetExecutionMode(ort.ExecutionModeSequential),
		o.SetGraphOptimizationLevel(ort.GraphOptimizationLevelEnableAll),
		o.SetLogSeverityLevel(ort.LoggingLevelFatal),
		o.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		o.AddSessionConfigEntry("session.inter_op.allow_spinning", "0"),
		// What was checked is ONNX; else ONNX Runtime would guess, and may take a crafted file for its own format.
		o.AddSessionConfigEntry("session.load_model_format", "ONNX"),
		t.configure(o),
	)
	if err != nil {
		return nil, errors.Join(err, o.Destroy())
	}
	return o, nil
}

// onThread tells that a run computes on the thread that calls it, and nowhere else.
func (s *session) onThread() bool { return !s.target.provider.onGPU() }

func valueNames(values []onnxValue) []string {
	names := make([]string, len(values))
	for i, value := range values {
		names[i] = value.name
	}
	return names
}

// close frees the model. No run may be going on.
func (s *session) close() error {
	_ = s.target.turn().take(context.Background()) // never fails
	defer s.target.turn().give()
	return s.ort.Destroy()
}
