package inference

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// errNowhere keeps a model that a provider runs nothing of from running on the CPU under the provider's name.
var errNowhere = errors.New("it runs no node of the model")

// place opens the session on a target. The provider must run some of the model: where it does not run all of it, that
// is found out in a run and logged.
func (l *loader) place(ctx context.Context, v *version, source modelSource, m *onnxModel, t target) (*session, error) {
	if !t.provider.onGPU() {
		return openSession(ctx, source, m.inputs, m.outputs, t)
	}
	t, err := t.forModel(m.inputs, v.input)
	if err != nil {
		return nil, err
	}
	t.whole = true
	if s, err := openSession(ctx, source, m.inputs, m.outputs, t); err == nil {
		return s, nil
	}
	t.whole = false
	on, all, err := census(ctx, v.input, source, m, t)
	if err != nil {
		return nil, err
	}
	if on == 0 {
		return nil, errNowhere
	}
	l.providers.log.LogAttrs(ctx, slog.LevelInfo, "execution provider leaves nodes to others",
		slog.String("model", v.Name), slog.Int("version", v.Version), slog.String("provider", string(t.provider)),
		slog.Int("runs", on), slog.Int("nodes", all))
	return openSession(ctx, source, m.inputs, m.outputs, t)
}

// profileNames are the providers' names in ONNX Runtime's profiles.
var profileNames = map[Provider]string{
	ProviderCUDA:     "CUDAExecutionProvider",
	ProviderTensorRT: "TensorrtExecutionProvider",
	ProviderWebGPU:   "WebGpuExecutionProvider",
}

// census counts the nodes of a run that the target's provider runs, and all of them, without those that copy between
// providers. ONNX Runtime tells that nowhere but in a profile, which it writes into a directory when a session ends.
func census(
	ctx context.Context, in *imageInput, source modelSource, m *onnxModel, t target,
) (on, all int, err error) {
	dir, err := os.MkdirTemp("", "sibyl-profile-")
	if err != nil {
		return 0, 0, errors.New("no temporary directory for a profile")
	}
	defer func() { _ = os.RemoveAll(dir) }()
	t.profile = filepath.Join(dir, "run")
	s, err := openSession(ctx, source, m.inputs, m.outputs, t)
	if err != nil {
		return 0, 0, err
	}
	shapes, err := in.allShapes(m.inputs, in.smallest())
	if err == nil {
		_, err = s.discover(ctx, in, shapes)
	}
	if err := errors.Join(err, s.close()); err != nil {
		return 0, 0, err
	}
	return readProfile(dir, profileNames[t.provider])
}

// readProfile counts the nodes in the profile in dir that have run, by the provider's name and in all.
func readProfile(dir, provider string) (on, all int, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		return 0, 0, errors.New("ONNX Runtime wrote no profile")
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return 0, 0, errors.New("ONNX Runtime's profile cannot be read")
	}
	var events []struct {
		Args struct {
			OpName   string `json:"op_name"`
			Provider string `json:"provider"`
		} `json:"args"`
		Name string `json:"name"`
	}
	if err := json.Unmarshal(text, &events); err != nil {
		return 0, 0, fmt.Errorf("ONNX Runtime's profile: %w", err)
	}
	for _, event := range events {
		node := event.Args.Provider != "" && strings.HasSuffix(event.Name, "_kernel_time")
		if !node || strings.HasPrefix(event.Args.OpName, "Memcpy") {
			continue
		}
		all++
		if event.Args.Provider == provider {
			on++
		}
	}
	return on, all, nil
}
