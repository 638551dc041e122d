package inference

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	ort "github.com/yalue/onnxruntime_go"
)

// target says where a session runs.
type target struct {
	provider Provider
	// device and memoryLimit are Options.GPUDevice and Options.GPUMemoryLimit.
	device      int
	memoryLimit int64
	// whole keeps a session from being opened that would run nodes elsewhere, on the CPU.
	whole bool
	// profile is the beginning of the path where the session leaves a profile when it is closed; empty: nowhere.
	profile string
	// least and most are the smallest and the largest shapes of the inputs, and half tells of 16-bit floats among them,
	// for TensorRT, which is built for them; the shapes are nil where the model fixes them.
	least, most map[string][]int
	half        bool
}

// turn is the right to use a device that takes one session at a time; a nil one is everybody's at once.
type turn chan struct{}

// webGPU is the turn of the sessions on the process's one WebGPU device: up to ONNX Runtime 1.31 the process crashes
// where two of them are on it.
var webGPU = make(turn, 1)

// take waits for the turn, which the caller gives back. It returns ctx's error where that ends before.
func (t turn) take(ctx context.Context) error {
	if t == nil {
		return nil
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() {
	if t != nil {
		<-t
	}
}

func (t target) turn() turn {
	if t.provider == ProviderWebGPU {
		return webGPU
	}
	return nil
}

// configure makes a session's options ask for the target. Nodes that it cannot run are the CPU's, unless it is whole.
func (t target) configure(o *ort.SessionOptions) error {
	var errs []error
	if t.whole {
		errs = append(errs, o.AddSessionConfigEntry("session.disable_cpu_ep_fallback", "1"))
	}
	if t.profile != "" {
		errs = append(errs, o.EnableProfiling(t.profile))
	}
	switch t.provider {
	case ProviderWebGPU:
		errs = append(errs, notBuilt(o.AppendExecutionProvider("WebGPU", nil)))
	case ProviderCUDA:
		errs = append(errs, t.appendCUDA(o))
	case ProviderTensorRT:
		errs = append(errs, t.appendTensorRT(o))
		if !t.whole { // it would run what TensorRT does not
			errs = append(errs, t.appendCUDA(o))
		}
	}
	return errors.Join(errs...)
}

// notBuilt says in our words that ONNX Runtime was built without a provider.
func notBuilt(err error) error {
	if err != nil && (strings.Contains(err.Error(), "this build") || strings.Contains(err.Error(), "Unknown provider")) {
		return errors.New("not in this build")
	}
	return err
}

func (t target) appendCUDA(o *ort.SessionOptions) error {
	options, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return notBuilt(err)
	}
	defer func() { _ = options.Destroy() }() // never fails
	return errors.Join(options.Update(t.cudaOptions()), o.AppendExecutionProviderCUDA(options))
}

func (t target) cudaOptions() map[string]string {
	options := map[string]string{
		"device_id": strconv.Itoa(t.device),
		// What is set aside is what is needed, and not the next power of two: several models share the GPU.
		"arena_extend_strategy": "kSameAsRequested",
		// The default tries every algorithm at each new shape.
		"cudnn_conv_algo_search": "HEURISTIC",
		// Replicas without a GPU must give the same answers; TF32 has 10 bits of mantissa.
		"use_tf32": "0",
	}
	if t.memoryLimit > 0 {
		options["gpu_mem_limit"] = strconv.FormatInt(t.memoryLimit, 10)
	}
	return options
}

func (t target) appendTensorRT(o *ort.SessionOptions) error {
	options, err := ort.NewTensorRTProviderOptions()
	if err != nil {
		return notBuilt(err)
	}
	defer func() { _ = options.Destroy() }() // never fails
	return errors.Join(options.Update(t.tensorRTOptions()), o.AppendExecutionProviderTensorRT(options))
}

// tensorRTOptions have one engine built for all batches: else TensorRT builds another for each that it meets.
func (t target) tensorRTOptions() map[string]string {
	options := map[string]string{"device_id": strconv.Itoa(t.device)}
	if t.memoryLimit > 0 {
		options["trt_max_workspace_size"] = strconv.FormatInt(t.memoryLimit, 10)
	}
	if t.half {
		options["trt_fp16_enable"] = "1"
	}
	if least, most := tensorRTShapes(t.least), tensorRTShapes(t.most); least != "" {
		options["trt_profile_min_shapes"], options["trt_profile_opt_shapes"] = least, most
		options["trt_profile_max_shapes"] = most
	}
	return options
}

// tensorRTShapes writes shapes as `image:1x3x224x224,mask:1x1`; empty where a name cannot be said so.
func tensorRTShapes(shapes map[string][]int) string {
	var all []string
	for name, shape := range shapes {
		if strings.ContainsAny(name, ":,") {
			return ""
		}
		sizes := make([]string, len(shape))
		for i, size := range shape {
			sizes[i] = strconv.Itoa(size)
		}
		all = append(all, name+":"+strings.Join(sizes, "x"))
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

// forModel is the target for a model's datatypes, and for batches that go from one size to another.
func (t target) forModel(inputs []onnxValue, in *imageInput) (target, error) {
	t.half = inputs[in.index].datatype == fp16
	if !in.open {
		return t, nil
	}
	least, err := in.allShapes(inputs, 1)
	if err != nil {
		return t, err
	}
	most, err := in.allShapes(inputs, in.limit)
	if err != nil {
		return t, err
	}
	t.least, t.most = make(map[string][]int), make(map[string][]int)
	for i, input := range inputs {
		if slices.Contains(input.shape, -1) {
			t.least[input.name], t.most[input.name] = least[i], most[i]
		}
	}
	return t, nil
}

// String is how a target is told in errors.
func (t target) String() string { return fmt.Sprintf("execution provider %s", t.provider) }
