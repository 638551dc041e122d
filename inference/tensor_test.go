package inference_test

import (
	"encoding/json"
	"testing"

	"sibyl/inference"
)

// TestAppendTensors: the JSON is the one that json.Marshal makes.
func TestAppendTensors(t *testing.T) {
	tensors := []inference.Tensor{
		{Name: "scores", Datatype: "FP32", Shape: []int{10, 1}, Data: json.RawMessage(`[0.5,"NaN"]`)},
		{Name: "a \"quoted\"\n<name>, é, \xff", Datatype: "INT64", Shape: []int{}, Data: json.RawMessage(`[-1]`)},
		{Name: "too large", Datatype: "BOOL", Shape: []int{1 << 40}},
	}
	for n := range len(tensors) + 1 {
		want, err := json.Marshal(tensors[:n])
		if err != nil {
			t.Fatal(err)
		}
		if got := inference.AppendTensors([]byte("before "), tensors[:n]); string(got) != "before "+string(want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
