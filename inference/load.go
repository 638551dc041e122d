package inference

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"strconv"
	"time"

	"sibyl/inference/picture"
)

// modelSource is what a session reads: the model's file, and the directory of the files that it needs beside it, empty
// where it needs none.
type modelSource struct {
	data []byte
	dir  string
}

// loader makes versions of what lies in a repository.
type loader struct {
	repository *repository
	providers  *providers
	// warmUp bounds a version's first runs, which a stranger's model may never end.
	warmUp time.Duration
	// probe tries versions first; nil: they are loaded untried. trial tells that this is the one that tries: it is done
	// when a version has run.
	probe *probe
	trial bool
	// admit is Options.Admit.
	admit func(context.Context, *ModelVersion) error
	// log is told of servers that go and come back, and moved of those that have another model, or no longer.
	log   *slog.Logger
	moved func()
}

// load reads a version, warms it up and asks whether it is admitted. It always gives a version: READY, or FAILED with
// the reason, which is the error, and then nothing runs it.
func (l *loader) load(ctx context.Context, model string, number int) (*version, error) {
	v := &version{ModelVersion: loadingVersion(model, number), unused: make(chan struct{})}
	v.users.Store(1)
	start := time.Now()
	err := l.fill(ctx, v)
	v.LoadDuration = time.Since(start)
	if err == nil && l.admit != nil {
		err = l.admitted(ctx, v)
	}
	if err == nil {
		v.State = ModelReady
		return v, nil
	}
	err = errors.Join(err, v.close())
	v.backend, v.batcher = nil, nil
	reason := err.Error()
	v.State, v.StateReason, v.ExecutionProvider = ModelFailed, &reason, nil
	return v, err
}

// admitted asks for a version. One that has predicted before its class names were found, by an earlier release or
// without the file that tells them, stays without: it is to answer as it did.
func (l *loader) admitted(ctx context.Context, v *version) error {
	err := l.admit(ctx, v.ModelVersion)
	if err == nil || v.unnamed == "" || errors.Is(err, ErrUnavailable) {
		return err
	}
	named := *v.ModelVersion
	v.ClassNames, v.Fingerprint = []string{}, v.unnamed
	if again := l.admit(ctx, v.ModelVersion); again != nil {
		*v.ModelVersion = named
		if errors.Is(again, ErrUnavailable) {
			return again
		}
		return err
	}
	l.providers.log.LogAttrs(ctx, slog.LevelWarn, "class names left out: the version has predicted without",
		slog.String("model", v.Name), slog.Int("version", v.Version))
	return nil
}

// loadingVersion is a version of which nothing is known yet.
func loadingVersion(model string, number int) *ModelVersion {
	return &ModelVersion{
		Name: model, Version: number, State: ModelLoading,
		Inputs: []TensorSpec{}, Outputs: []TensorSpec{}, ClassNames: []string{},
	}
}

// awaitingVersion is a version that will be loaded when something is there that it needs. What that is may tell of this
// host's network, and so is for the log alone.
func awaitingVersion(model string, number int) *ModelVersion {
	v := loadingVersion(model, number)
	reason := "what it needs beside its files is out of reach, and asked for again: see the log"
	v.StateReason = &reason
	return v
}

// fill does the steps of loading, each of which may fail.
func (l *loader) fill(ctx context.Context, v *version) error {
	c, err := l.repository.config(v.Name)
	if err != nil {
		return err
	}
	if c.isRemote() {
		return l.fillRemote(ctx, v, c)
	}
	data, err := l.read(v)
	if err != nil {
		return err
	}
	m, err := parseONNX(data)
	if err != nil {
		return err
	}
	v.Inputs, v.Outputs = specs(m.inputs), specs(m.outputs)
	if v.ClassNames, err = l.repository.labels(v.Name, v.Version); err != nil {
		return err
	}
	m.beside = l.repository.labelsBeside(v.Name, v.Version)
	if v.input, err = newImageInput(m.inputs, c); err != nil {
		return err
	}
	source, external, err := l.source(v, data, m.external)
	if err != nil {
		return err
	}
	targets, err := l.targets(c)
	if err == nil {
		err = l.try(ctx, v, targets[0].provider)
	}
	if err != nil {
		return err
	}
	if err := l.start(ctx, v, source, m, c, targets); err != nil || l.trial {
		return err
	}
	v.setFingerprint(external)
	return nil
}

// read reads the model's file.
func (l *loader) read(v *version) ([]byte, error) {
	data, err := l.repository.read(path.Join(v.Name, strconv.Itoa(v.Version), "model.onnx"))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	digest := hex.EncodeToString(sum[:])
	v.SHA256 = &digest
	return data, nil
}

// source says from where ONNX Runtime reads the model, and gives the SHA-256 of the files beside it.
func (l *loader) source(v *version, data []byte, locations []string) (modelSource, map[string]string, error) {
	if len(locations) == 0 {
		return modelSource{data: data}, nil, nil
	}
	dir, external, err := l.repository.external(v.Name, v.Version, locations)
	return modelSource{data: data, dir: dir}, external, err
}

// targets are what to try for a model, the best first.
func (l *loader) targets(c *config) ([]target, error) {
	asked := cmp.Or(c.provider, l.providers.asked)
	if l.trial {
		asked = ProviderCPU // a GPU's memory is for what serves
	}
	targets, err := l.providers.targets(asked)
	if err != nil {
		return nil, c.errorf("execution_provider", "%w", err)
	}
	return targets, nil
}

// try has the version tried in a process of its own, on the CPU. What the CPU refuses may run on a GPU: where that is
// first, only what would harm this process fails the version.
func (l *loader) try(ctx context.Context, v *version, first Provider) error {
	if l.probe == nil {
		return nil
	}
	limit := l.limit(first)
	limit += limit / 2 // the warm-up has its own; half as much for reading the model
	err := l.probe.try(ctx, v.Name, v.Version, limit)
	if first.onGPU() && errors.As(err, new(refusal)) {
		return nil
	}
	return err
}

// start opens the session, warms it up, and finds out how its outputs are read.
func (l *loader) start(
	ctx context.Context, v *version, source modelSource, m *onnxModel, c *config, targets []target,
) error {
	tasks, err := l.warm(ctx, v, source, m, c, targets)
	if err != nil {
		return err
	}
	for i := range v.Outputs {
		if m.outputs[i].shape == nil {
			v.Outputs[i].Shape = v.input.openShape(i, tasks[0].outputs[i].shape)
		}
	}
	if err := v.read(c, m, tasks); err != nil {
		return err
	}
	if l.trial {
		return nil
	}
	g := v.backend.(*instances) // which warm made
	if !c.batching.dynamic && m.mayMix(m.inputs[v.input.index]) {
		v.input.limit = 1
	}
	ctx, cancel := l.bound(ctx, g.session.target.provider)
	defer cancel()
	plan, err := g.tune(ctx, c, tasks)
	if err != nil {
		return warmUpError(ctx, err)
	}
	v.stats = newStatistics(g.buckets)
	v.batcher = newBatcher(g, g.count, plan, c.batching, v.stats, v.callers)
	return nil
}

// limit is the time that a version's first runs may take.
func (l *loader) limit(provider Provider) time.Duration {
	if provider == ProviderTensorRT {
		return 10 * l.warmUp // it builds an engine, for which it measures many
	}
	return l.warmUp
}

// bound ends ctx after that time.
func (l *loader) bound(ctx context.Context, provider Provider) (context.Context, context.CancelFunc) {
	limit := l.limit(provider)
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done after %s", limit))
}

// warm opens the session on the first target that takes the model, and gives the tasks of its first runs.
func (l *loader) warm(
	ctx context.Context, v *version, source modelSource, m *onnxModel, c *config, targets []target,
) (tasks []*task, err error) {
	for i, t := range targets {
		if tasks, err = l.warmOn(ctx, v, source, m, c, t); err == nil || ctx.Err() != nil || i == len(targets)-1 {
			break
		}
		l.providers.log.LogAttrs(ctx, slog.LevelWarn, "execution provider does not take the model",
			slog.String("model", v.Name), slog.Int("version", v.Version), slog.String("provider", string(t.provider)),
			slog.String("reason", err.Error()))
		_ = v.close() // it fails to close what failed to run, at worst
		v.backend = nil
	}
	return tasks, err
}

// warmOn is warm on one target.
func (l *loader) warmOn(
	ctx context.Context, v *version, source modelSource, m *onnxModel, c *config, t target,
) (tasks []*task, err error) {
	ctx, cancel := l.bound(ctx, t.provider)
	defer cancel()
	s, err := l.place(ctx, v, source, m, t)
	if err == nil {
		g := newInstances(s, v.input, cmp.Or(c.batching.instances, t.provider.instances()))
		v.backend = g
		tasks, err = g.warmUp(ctx)
	}
	if err != nil && (s != nil || ctx.Err() != nil) {
		err = warmUpError(ctx, err)
	}
	if err != nil && t.provider.onGPU() {
		err = fmt.Errorf("%s: %w", t, err)
	}
	provider := string(t.provider)
	v.ExecutionProvider = &provider
	return tasks, err
}

// warmUpError says why the runs of the warm-up ended: what took too long has ctx's cause.
func warmUpError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("warm-up: %w", err)
}

// read resolves how the outputs are read, by what the warm-up runs gave.
func (v *version) read(c *config, m *onnxModel, warm []*task) error {
	outputs := m.outputs
	output, classes, err := newOutput(c, outputs, func(i int) sample {
		return sample{shape: warm[0].outputs[i].shape, runs: func() (runs [][]float64) {
			for _, t := range warm {
				runs = append(runs, parseValues(tensorJSON(t.outputs[i], outputs[i].datatype), outputs[i].datatype))
			}
			return runs
		}}
	})
	if err != nil {
		return err
	}
	output.Classes = classes
	v.Output = output
	if len(v.ClassNames) == 0 {
		v.ClassNames = append(v.ClassNames, m.labels(classes)...)
		v.found = len(v.ClassNames) > 0
	}
	return checkLabels(v.ClassNames, classes)
}

func specs(values []onnxValue) []TensorSpec {
	specs := make([]TensorSpec, len(values))
	for i, value := range values {
		specs[i] = TensorSpec{Name: value.name, Datatype: value.datatype, Shape: value.shape}
	}
	return specs
}

// setFingerprint sets ModelVersion.Fingerprint, and the one without the class names where these were found.
func (v *version) setFingerprint(external map[string]string) {
	v.Fingerprint = v.fingerprint(external, v.ClassNames)
	if v.found {
		v.unnamed = v.fingerprint(external, []string{})
	}
}

// fingerprint is ModelVersion.Fingerprint with these class names. What is the default is left out of it, so that a key
// that a later release adds does not change the fingerprints of before.
func (v *version) fingerprint(external map[string]string, names []string) string {
	in := v.input
	canonical := map[string]any{
		"model": v.SHA256, "external": external, "labels": names, "output": v.Output,
		"name": v.Inputs[in.index].Name, "size": []int{in.Height, in.Width}, "layout": in.Layout, "color": in.Color,
		"scale": in.Scale, "mean": in.Mean, "std": in.Std,
	}
	setUnless(canonical, "resize", in.Resize, picture.ResizeStretch)
	setUnless(canonical, "filter", in.Filter, picture.FilterBicubic)
	setUnless(canonical, "invert", in.Invert, picture.InvertNever)
	setUnless(canonical, "trim", in.Trim, false)
	setUnless(canonical, "margin", in.Margin, 0)
	text, err := json.Marshal(canonical) // a map's keys are sorted
	if err != nil {
		panic(err) // a value was added that JSON cannot say
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func setUnless[T comparable](m map[string]any, key string, value, byDefault T) {
	if value != byDefault {
		m[key] = value
	}
}
