package inference

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadProfile reads what ONNX Runtime writes, and what it does not.
func TestReadProfile(t *testing.T) {
	const node = `{"cat":"Node","name":"n%d_kernel_time","args":{"op_name":%q,"provider":%q}}`
	for text, want := range map[string][2]int{
		"[]": {0, 0},
		"[" + strings.Join([]string{
			`{"cat":"Session","name":"model_run","args":{}}`,
			fmt.Sprintf(node, 1, "Conv", "WebGpuExecutionProvider"),
			fmt.Sprintf(node, 2, "MemcpyToHost", "WebGpuExecutionProvider"),
			fmt.Sprintf(node, 3, "LogSoftmax", "CPUExecutionProvider"),
		}, ",") + "]": {1, 2},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "run.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		on, all, err := readProfile(dir, "WebGpuExecutionProvider")
		if err != nil || on != want[0] || all != want[1] {
			t.Errorf("%d of %d, %v; want %v", on, all, err, want)
		}
	}
	broken := t.TempDir()
	if _, _, err := readProfile(broken, ""); err == nil {
		t.Error("no error for no profile")
	}
	if err := os.WriteFile(filepath.Join(broken, "run.json"), []byte("[{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readProfile(broken, ""); err == nil {
		t.Error("no error for half a profile")
	}
}
