package inference

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// Tensor is one output of one run for one image, as the model gave it and without the batch dimension.
// Its JSON form is what a stored prediction keeps.
type Tensor struct {
	// Name is the output's name in the ONNX file.
	Name string `json:"name"`
	// Datatype is the Open Inference Protocol's name: FP32, FP16, FP64, INT64, UINT8, BOOL …
	Datatype string `json:"datatype"`
	// Shape has no batch dimension; a scalar's is empty. It may be shared with other results and must not be changed.
	Shape []int `json:"shape"`
	// Data is a JSON array, row-major and flattened. NaN and infinities are the strings "NaN", "Infinity" and
	// "-Infinity". It is nil where the tensor has more values than Options.MaxOutputValues.
	Data json.RawMessage `json:"data"`
}

// AppendTensors appends the JSON of tensors, which is what json.Marshal makes of them; that would check their data once
// more, which takes longer than all else.
func AppendTensors(dst []byte, tensors []Tensor) []byte {
	dst = append(dst, '[')
	for i := range tensors {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = tensors[i].appendJSON(dst)
	}
	return append(dst, ']')
}

func (t *Tensor) appendJSON(dst []byte) []byte {
	name, _ := json.Marshal(t.Name) // strings have no error
	dst = slices.Grow(dst, len(name)+len(t.Data)+128)
	dst = append(append(dst, `{"name":`...), name...)
	dst = append(append(append(dst, `,"datatype":"`...), t.Datatype...), `","shape":[`...)
	for i, n := range t.Shape {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(n), 10)
	}
	dst = append(dst, `],"data":`...)
	if t.Data == nil {
		dst = append(dst, "null"...)
	}
	return append(append(dst, t.Data...), '}')
}

// TensorSpec describes an input or an output of a model.
type TensorSpec struct {
	Name string `json:"name"`
	// Datatype is the Open Inference Protocol's name, as in Tensor.
	Datatype string `json:"datatype"`
	// Shape includes the batch dimension; -1 stands for a dimension that is not fixed.
	Shape []int `json:"shape"`
}

// The datatypes that the engine itself computes with, by the Open Inference Protocol's names.
const (
	fp16      = "FP16"
	bf16      = "BF16"
	fp32      = "FP32"
	fp64      = "FP64"
	uint8Type = "UINT8"
	bytesType = "BYTES"
)

// datatypes are the Open Inference Protocol's names in the order of onnx.TensorProto.DataType, which is ONNX Runtime's
// too; empty where the protocol has no name.
var datatypes = [...]string{
	"", fp32, uint8Type, "INT8", "UINT16", "INT16", "INT32", "INT64", bytesType, "BOOL", fp16, fp64, "UINT32", "UINT64",
	"", "", bf16,
}

// datatypeOf names an onnx.TensorProto.DataType; empty where it has no name in the protocol.
func datatypeOf(element uint64) string {
	if element < uint64(len(datatypes)) {
		return datatypes[element]
	}
	return ""
}

// elementType is the inverse of datatypeOf.
func elementType(datatype string) int { return slices.Index(datatypes[:], datatype) }

// elementSize is the bytes of one value; 0 where values have no fixed size.
func elementSize(datatype string) int {
	switch datatype {
	case uint8Type, "INT8", "BOOL":
		return 1
	case fp16, bf16, "UINT16", "INT16":
		return 2
	case fp32, "UINT32", "INT32":
		return 4
	case fp64, "UINT64", "INT64":
		return 8
	}
	return 0
}

// isFloat tells whether values are of floating point.
func isFloat(datatype string) bool {
	switch datatype {
	case fp16, bf16, fp32, fp64:
		return true
	}
	return false
}

// maxTensorValues bounds the tensors that the engine sets aside, so that a model cannot ask for all memory there is.
const maxTensorValues = 1 << 28

// volume is the number of values of a shape, -1 where a dimension is open or there are more than maxTensorValues.
func volume(shape []int) int {
	n := 1
	for _, size := range shape {
		if size < 0 || size > maxTensorValues {
			return -1
		}
		if n *= size; n > maxTensorValues {
			return -1
		}
	}
	return n
}

// rawTensor is an output in ONNX Runtime's own form: values in the machine's byte order, or strings for BYTES.
type rawTensor struct {
	shape   []int
	data    []byte
	strings []string
	// isPart tells that it is what belongs to one image of a batch.
	isPart bool
}

// differences counts which of n values are not the other's.
func (r rawTensor) differences(other rawTensor, n int) int {
	count, size := 0, len(r.data)/max(n, 1)
	for i := range n {
		from, to := i*size, (i+1)*size
		if r.strings != nil && r.strings[i] != other.strings[i] || !bytes.Equal(r.data[from:to], other.data[from:to]) {
			count++
		}
	}
	return count
}

// isOf tells that the first dimension may be a batch of so many.
func (r rawTensor) isOf(batch int) bool { return len(r.shape) > 0 && r.shape[0] == batch }

// float is value i of a floating-point tensor.
func (r rawTensor) float(i int, datatype string) float64 {
	native := binary.NativeEndian
	switch datatype {
	case fp32:
		return float64(math.Float32frombits(native.Uint32(r.data[4*i:])))
	case fp64:
		return math.Float64frombits(native.Uint64(r.data[8*i:]))
	case fp16:
		return float64(float16ToFloat32(native.Uint16(r.data[2*i:])))
	}
	return float64(math.Float32frombits(uint32(native.Uint16(r.data[2*i:])) << 16)) // BF16
}

// item is the part of a batch's output that belongs to its image i. It shares the batch's memory.
func (r rawTensor) item(i, batch int) rawTensor {
	r.shape, r.isPart = r.shape[1:], true
	if size := len(r.data) / batch; r.data != nil {
		r.data = r.data[i*size : (i+1)*size]
	}
	if size := len(r.strings) / batch; r.strings != nil {
		r.strings = r.strings[i*size : (i+1)*size]
	}
	return r
}
