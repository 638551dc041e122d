package inference

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"sibyl/inference/oip"
)

// FuzzRemoteAnswer reads whatever a server may send for a batch of two: an error, never a panic, and where there is
// none each image's outputs can be stored.
func FuzzRemoteAnswer(f *testing.F) {
	x := &remote{
		input:   &imageInput{batched: true, open: true},
		outputs: []onnxValue{{name: "y", datatype: fp32, shape: []int{-1, 3}}, {name: "s", datatype: bytesType}},
		ranks:   []int{1, 0},
		slots:   make([]remoteSlot, 1),
	}
	for _, seed := range []*oip.ModelInferResponse{
		{
			Outputs: []*oip.ModelInferResponse_InferOutputTensor{
				{Name: "y", Datatype: "FP32", Shape: []int64{2, 3}},
				{Name: "s", Datatype: "BYTES", Shape: []int64{2}},
			},
			RawOutputContents: [][]byte{make([]byte, 24), []byte("\x01\x00\x00\x00a\x00\x00\x00\x00")},
		},
		{
			Outputs: []*oip.ModelInferResponse_InferOutputTensor{
				{
					Name: "s", Datatype: "BYTES", Shape: []int64{2},
					Contents: &oip.InferTensorContents{BytesContents: [][]byte{{1}, {2}}},
				},
				{
					Name: "y", Datatype: "FP32", Shape: []int64{2, 3},
					Contents: &oip.InferTensorContents{Fp32Contents: make([]float32, 6)},
				},
			},
		},
	} {
		data, err := proto.Marshal(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var answer oip.ModelInferResponse
		if proto.Unmarshal(data, &answer) != nil {
			return
		}
		results, err := x.read(&answer, 2)
		if err != nil {
			return
		}
		x.slots[0] = remoteSlot{sent: 2, results: results}
		tasks := []*task{newTask(), newTask()}
		x.unload(0, tasks)
		for _, task := range tasks {
			if n := len(task.outputs[0].data); n != 12 || len(task.outputs[1].strings) != 1 {
				t.Errorf("%d bytes, texts %q", n, task.outputs[1].strings)
			}
			for i, output := range task.outputs {
				if text := tensorJSON(output, x.outputs[i].datatype); !strings.HasPrefix(string(text), "[") {
					t.Errorf("%s", text)
				}
			}
		}
	})
}

func TestBreaker(t *testing.T) {
	b := newBreaker()
	for range 2 * breakerThreshold { // never so many in a row
		b.record(ErrUnavailable)
		b.record(errors.New("the server says no"))
		if err := b.allow(); err != nil {
			t.Fatal(err)
		}
	}
	for range breakerThreshold {
		if err := b.allow(); err != nil {
			t.Fatal(err)
		}
		b.record(ErrUnavailable)
		b.record(context.DeadlineExceeded) // a caller's
	}
	b.record(nil) // the answer to a call of before
	if err := b.allow(); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	b.probed(ErrUnavailable)
	if err := b.allow(); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	b.probed(nil)
	if err := b.allow(); err != nil || !b.healthy() {
		t.Error(err)
	}
	select {
	case <-b.trouble:
	default:
		t.Error("who probes was not told")
	}
}
