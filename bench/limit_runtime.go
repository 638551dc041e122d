package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	ort "github.com/yalue/onnxruntime_go"
)

// libraryVariable is the server's own variable for the same library.
const libraryVariable = "SIBYL_ONNXRUNTIME"

// findRuntime gives the path of ONNX Runtime's library: the one named, or that of `npm ci`.
func findRuntime() (string, error) {
	if named := os.Getenv(libraryVariable); named != "" {
		return named, nil
	}
	architecture := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	if architecture == "" {
		architecture = runtime.GOARCH
	}
	name := "libonnxruntime.so.1"
	if runtime.GOOS == "darwin" {
		name = "libonnxruntime.*.dylib"
	}
	found, _ := filepath.Glob(filepath.Join("node_modules", "onnxruntime-node", "bin", "napi-v6", runtime.GOOS,
		architecture, name))
	if len(found) == 0 {
		return "", fmt.Errorf("ONNX Runtime is not in node_modules: run `make native`, or set %s", libraryVariable)
	}
	return found[0], nil
}

// openRuntime loads the library into this process; the returned function unloads it.
func openRuntime(library string) (version string, unload func() error, err error) {
	ort.SetSharedLibraryPath(library)
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return "", nil, fmt.Errorf("ONNX Runtime in %s: %w", library, err)
	}
	return ort.GetVersion(), ort.DestroyEnvironment, ort.DisableTelemetry()
}

// runtimeLimit measures the images a second that bare runs of the model give: one session, a run on each core, inputs
// and outputs in memory that is there already.
func runtimeLimit(ctx context.Context, o limitOptions, batch int64) (limit, error) {
	inputs, outputs, err := ort.GetInputOutputInfo(o.model)
	if err != nil {
		return limit{}, err
	}
	options, err := runtimeOptions()
	if err != nil {
		return limit{}, err
	}
	defer func() { _ = options.Destroy() }()
	session, err := ort.NewDynamicAdvancedSession(o.model, []string{inputs[0].Name}, []string{outputs[0].Name}, options)
	if err != nil {
		return limit{}, err
	}
	defer func() { _ = session.Destroy() }()

	var images atomic.Int64
	begun := time.Now()
	end := begun.Add(o.duration)
	err = onEachCore(func() error {
		n, err := runUntil(ctx, session, inputs[0].Dimensions, outputs[0].Dimensions, batch, end)
		images.Add(n)
		return err
	})
	rate := float64(images.Load()) / time.Since(begun).Seconds()
	return limit{Name: fmt.Sprintf("raw ONNX Runtime, batch %d", batch), PerSecond: rate, Unit: "images"}, err
}

// runtimeOptions are the server's: every run stays on the thread that asks for it.
func runtimeOptions() (*ort.SessionOptions, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	err = errors.Join(options.SetIntraOpNumThreads(1), options.SetInterOpNumThreads(1),
		options.SetGraphOptimizationLevel(ort.GraphOptimizationLevelEnableAll))
	return options, err
}

// onEachCore runs a function at the same time on as many goroutines as there are cores.
func onEachCore(work func() error) error {
	errs := make([]error, runtime.GOMAXPROCS(0))
	var workers sync.WaitGroup
	for i := range errs {
		workers.Go(func() { errs[i] = work() })
	}
	workers.Wait()
	return errors.Join(errs...)
}

// runUntil runs the model on one batch again and again, and counts the images.
func runUntil(
	ctx context.Context, session *ort.DynamicAdvancedSession, input, output ort.Shape, batch int64, end time.Time,
) (images int64, err error) {
	in, err := newTensor(input, batch)
	if err != nil {
		return 0, fmt.Errorf("input: %w", err)
	}
	defer func() { _ = in.Destroy() }()
	out, err := newTensor(output, batch)
	if err != nil {
		return 0, fmt.Errorf("output: %w", err)
	}
	defer func() { _ = out.Destroy() }()
	for i, data := 0, in.GetData(); i < len(data); i++ {
		data[i] = float32(i%17) / 16
	}
	for time.Now().Before(end) && ctx.Err() == nil {
		if err := session.Run([]ort.Value{in}, []ort.Value{out}); err != nil {
			return images, err
		}
		images += batch
	}
	return images, ctx.Err()
}

// newTensor makes an FP32 tensor of a shape whose open dimensions are the batch's.
func newTensor(shape ort.Shape, batch int64) (*ort.Tensor[float32], error) {
	shape = shape.Clone()
	for i := range shape {
		if shape[i] < 0 {
			shape[i] = batch
		}
	}
	return ort.NewEmptyTensor[float32](shape)
}
