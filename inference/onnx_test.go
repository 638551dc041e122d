package inference

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func FuzzParseONNX(f *testing.F) {
	files, err := filepath.Glob("testdata/models/*/1/model.onnx")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := parseONNX(data); (m == nil) == (err == nil) {
			t.Error(m, err)
		}
	})
}

// TestParseONNXNested holds the parser to a bounded depth: a crafted file must not exhaust the stack.
func TestParseONNXNested(t *testing.T) {
	field := func(number byte, content []byte) []byte {
		return append(binary.AppendUvarint([]byte{number<<3 | 2}, uint64(len(content))), content...)
	}
	nested := func(depth int) []byte {
		graph := []byte{}
		for range depth {
			graph = field(1, field(5, field(6, graph))) // node, attribute, g
		}
		output := field(12, field(2, field(1, []byte{1 << 3, 1}))) // output, type, tensor_type, elem_type FLOAT
		return field(7, append(graph, output...))
	}
	if _, err := parseONNX(nested(maxGraphDepth)); err != nil {
		t.Error(err)
	}
	if _, err := parseONNX(nested(maxGraphDepth + 1)); err == nil {
		t.Error("a file with graphs in graphs in … passes")
	}
}

// TestMayMix tells the models whose outputs are not known to be each image's own by their files alone.
func TestMayMix(t *testing.T) {
	for model, want := range map[string]bool{
		"first": true, "rows4": true, "found": true, "decides": true, // boxes, or branches
		"nchw": false, "fp16open": false, // the latter's dimensions have other names, but nothing counts
		"boxes": false, // [2, boxes] has no place for a batch
	} {
		data, err := os.ReadFile(filepath.Join("testdata", "models", model, "1", "model.onnx"))
		if err != nil {
			t.Fatal(err)
		}
		m, err := parseONNX(data)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.mayMix(m.inputs[0]); got != want {
			t.Errorf("%s: %t", model, got)
		}
	}
	most100 := onnxModel{counts: true, outputs: []onnxValue{{shape: []int{-1, 100, 6}, batch: "N"}}}
	if most100.mayMix(onnxValue{batch: "N"}) || !most100.mayMix(onnxValue{batch: "M"}) {
		t.Error("the batch's name does not tell that there are boxes for each image")
	}
}

func TestParseLabels(t *testing.T) {
	for text, want := range map[string]int{"a\nb": 2, "a\r\nb\r\n": 2, "\ufeffa\n\n": 1, "a b \n c\n": 2} {
		if labels, err := parseLabels(text); err != nil || len(labels) != want {
			t.Errorf("%q: %q %v", text, labels, err)
		}
	}
	for _, text := range []string{"", "\n", "a\n\nb", "a\xff", "a\x00b"} {
		if labels, err := parseLabels(text); err == nil {
			t.Errorf("%q passes: %q", text, labels)
		}
	}
	if labels, _ := parseLabels("a\r\n\tb \n"); !bytes.Equal([]byte(labels[1]), []byte("b")) {
		t.Errorf("%q", labels)
	}
}

func TestRuntimeErrorIsClean(t *testing.T) {
	for message, want := range map[string]string{
		"Error running network: Non-zero status code returned while running Reshape node. Status Message: " +
			"/onnxruntime_src/core/tensor/reshape_helper.h:47 onnxruntime::ReshapeHelper::ReshapeHelper(const " +
			"onnxruntime::TensorShape &, bool) size != 0 was false.": "ONNX Runtime: Non-zero status code returned while " +
			"running Reshape node. Status Message: size != 0 was false.",
		"Error creating C session from file: Load model from /srv/models/a/1/model.onnx failed:\n bad": "ONNX Runtime: " +
			"Load model from model.onnx failed: bad",
		"Error creating C session: Deserialize tensor w failed.endian_utils.cc:66 CopyLittleEndian source and destination " +
			"differ": "ONNX Runtime: Deserialize tensor w failed.source and destination differ",
		"Error creating C session: Exception: element_wise_ops.cc:2256 operator() Integer modulo by zero": "ONNX Runtime: " +
			"Exception: Integer modulo by zero",
	} {
		if got := runtimeError(errors.New(message), "/srv/models/a/1").Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
