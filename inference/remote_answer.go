package inference

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"sibyl/inference/oip"
)

// mismatch is what the model that was loaded does not answer.
type mismatch string

func (m mismatch) Error() string { return string(m) }

// read gives the outputs of an answer for so many images in the model's order, in the form of a local run's. Nothing
// in the answer is trusted: what is too short or long for its shape is an error, and what another model would give is a
// mismatch.
func (x *remote) read(answer *oip.ModelInferResponse, sent int) ([]rawTensor, error) {
	if got := answer.GetModelVersion(); x.answering != "" && got != x.answering {
		return nil, mismatch(fmt.Sprintf(
			"version %.50q of the model answers in the place of %q: release it under a new version number", got, x.answering))
	}
	raw, err := rawContents(answer)
	if err != nil {
		return nil, err
	}
	results := make([]rawTensor, len(x.outputs))
	for o, want := range x.outputs {
		i := slices.IndexFunc(answer.GetOutputs(), func(got *oip.ModelInferResponse_InferOutputTensor) bool {
			return got.GetName() == want.name
		})
		if i < 0 {
			return nil, mismatch(fmt.Sprintf("there is no output %q", want.name))
		}
		if results[o], err = readRemote(answer.GetOutputs()[i], raw[i], want); err == nil {
			err = x.checkRank(o, results[o], sent)
		}
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", want.name, err)
		}
	}
	return results, nil
}

// rawContents are the raw contents beside each output; nil where it has contents of its own. MLServer sends empty ones
// with the raw ones.
func rawContents(answer *oip.ModelInferResponse) ([][]byte, error) {
	rest := answer.GetRawOutputContents()
	raw := make([][]byte, len(answer.GetOutputs()))
	for i, output := range answer.GetOutputs() {
		if len(rest) == 0 || proto.Size(output.GetContents()) > 0 {
			continue
		}
		raw[i], rest = rest[0], rest[1:]
		if raw[i] == nil {
			raw[i] = []byte{}
		}
	}
	if len(rest) > 0 {
		return nil, errors.New("there are more raw contents than outputs")
	}
	return raw, nil
}

func readRemote(got *oip.ModelInferResponse_InferOutputTensor, raw []byte, want onnxValue) (rawTensor, error) {
	if got.GetDatatype() != want.datatype {
		return rawTensor{}, mismatch(fmt.Sprintf("it is %.20q, not %s", got.GetDatatype(), want.datatype))
	}
	shape, ok := toInts(got.GetShape(), 0)
	n := volume(shape)
	if !ok || n < 0 || !fits(shape, want.shape) {
		return rawTensor{}, mismatch(fmt.Sprintf("the shape %.200v is none of %v", fmt.Sprint(got.GetShape()), want.shape))
	}
	r := rawTensor{shape: shape}
	switch {
	case want.datatype == bytesType && raw != nil:
		r.strings, ok = splitStrings(raw, n)
	case want.datatype == bytesType:
		for _, value := range got.GetContents().GetBytesContents() {
			r.strings = append(r.strings, string(value))
		}
		ok = len(r.strings) == n
	case raw != nil:
		r.data, ok = raw, len(raw) == n*elementSize(want.datatype)
	default:
		r.data = appendContents(nil, got.GetContents(), want.datatype)
		ok = len(r.data) == n*elementSize(want.datatype)
	}
	if !ok {
		return rawTensor{}, fmt.Errorf("its contents are not the %d values of the shape %v", n, shape)
	}
	return r, nil
}

// checkRank refuses an output whose first dimension should be the batch and is not: each image would get all of it.
func (x *remote) checkRank(output int, r rawTensor, sent int) error {
	if x.ranks == nil || len(x.input.part(output, r, 0, sent).shape) == x.ranks[output] {
		return nil
	}
	return fmt.Errorf("the shape %v is not of %d images", r.shape, sent)
}

// toInts takes over a shape from the wire, with dimensions from least on; false where one is none.
func toInts(wire []int64, least int64) ([]int, bool) {
	shape := make([]int, len(wire))
	for i, size := range wire {
		if size < least || size > math.MaxInt32 {
			return nil, false
		}
		shape[i] = int(size)
	}
	return shape, true
}

// fits tells whether a shape is one that was declared, where any was.
func fits(shape, declared []int) bool {
	if declared == nil {
		return true
	}
	return slices.EqualFunc(shape, declared, func(size, declared int) bool { return declared == -1 || size == declared })
}

// splitStrings reads n strings, each after its length in four bytes, which must be all of raw.
func splitStrings(raw []byte, n int) ([]string, bool) {
	if n > len(raw)/4 {
		return nil, false
	}
	texts := make([]string, n)
	for i := range texts {
		if len(raw) < 4 {
			return nil, false
		}
		size := binary.LittleEndian.Uint32(raw)
		if raw = raw[4:]; uint64(size) > uint64(len(raw)) {
			return nil, false
		}
		texts[i], raw = string(raw[:size]), raw[size:]
	}
	return texts, len(raw) == 0
}

// appendContents appends typed values in the machine's byte order. A datatype without a field of its own has none.
func appendContents(dst []byte, c *oip.InferTensorContents, datatype string) []byte {
	switch datatype {
	case "BOOL":
		for _, value := range c.GetBoolContents() {
			dst = append(dst, 0)
			if value {
				dst[len(dst)-1] = 1
			}
		}
		return dst
	case "INT8", "INT16", "INT32":
		return appendValues(dst, c.GetIntContents(), elementSize(datatype), func(v int32) uint64 { return uint64(v) })
	case "INT64":
		return appendValues(dst, c.GetInt64Contents(), 8, func(v int64) uint64 { return uint64(v) })
	case uint8Type, "UINT16", "UINT32":
		return appendValues(dst, c.GetUintContents(), elementSize(datatype), func(v uint32) uint64 { return uint64(v) })
	case "UINT64":
		return appendValues(dst, c.GetUint64Contents(), 8, func(v uint64) uint64 { return v })
	case fp32:
		return appendValues(dst, c.GetFp32Contents(), 4, func(v float32) uint64 { return uint64(math.Float32bits(v)) })
	case fp64:
		return appendValues(dst, c.GetFp64Contents(), 8, math.Float64bits)
	}
	return dst
}

// appendValues appends the low bytes of each value.
func appendValues[T any](dst []byte, values []T, size int, bits func(T) uint64) []byte {
	dst = slices.Grow(dst, size*len(values))
	for _, value := range values {
		switch b := bits(value); size {
		case 1:
			dst = append(dst, byte(b))
		case 2:
			dst = binary.NativeEndian.AppendUint16(dst, uint16(b))
		case 4:
			dst = binary.NativeEndian.AppendUint32(dst, uint32(b))
		default:
			dst = binary.NativeEndian.AppendUint64(dst, b)
		}
	}
	return dst
}
