package inference

import (
	"os"
	"path/filepath"
	"testing"
)

// TestProviderOptions holds what CUDA and TensorRT are told: a wrong key or shape would only be seen on a GPU.
func TestProviderOptions(t *testing.T) {
	m, err := os.ReadFile(filepath.Join("testdata", "models", "nchw", "1", "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	model, err := parseONNX(m)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseConfig([]byte("max_batch_size: 8"))
	if err != nil {
		t.Fatal(err)
	}
	in, err := newImageInput(model.inputs, c)
	if err != nil {
		t.Fatal(err)
	}
	with, err := target{provider: ProviderTensorRT, device: 2, memoryLimit: 1 << 30}.forModel(model.inputs, in)
	if err != nil {
		t.Fatal(err)
	}
	name := model.inputs[0].name
	for key, want := range map[string]string{
		"device_id": "2", "trt_max_workspace_size": "1073741824", "trt_profile_min_shapes": name + ":1x3x8x8",
		"trt_profile_opt_shapes": name + ":8x3x8x8", "trt_profile_max_shapes": name + ":8x3x8x8",
	} {
		if got := with.tensorRTOptions()[key]; got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	for key, want := range map[string]string{
		"device_id": "2", "gpu_mem_limit": "1073741824", "cudnn_conv_algo_search": "HEURISTIC",
		"arena_extend_strategy": "kSameAsRequested",
	} {
		if got := with.cudaOptions()[key]; got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	if _, half := with.tensorRTOptions()["trt_fp16_enable"]; half {
		t.Error("FP32 is to be FP16")
	}
	if _, limited := (target{}).cudaOptions()["gpu_mem_limit"]; limited {
		t.Error("a limit of 0 is given as one")
	}
}
