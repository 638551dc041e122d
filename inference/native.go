package inference

import (
	"fmt"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"
)

// nativeTensor is a tensor in memory of our own, which lives until its value is destroyed.
type nativeTensor struct {
	value ort.Value
	shape []int
	// data are the values in the machine's byte order; nil for a scalar, which ONNX Runtime's binding copies.
	data []byte
}

// newNativeTensor makes a tensor of zeros.
func newNativeTensor(datatype string, shape []int) (nativeTensor, error) {
	if len(shape) == 0 {
		value, err := newScalar(datatype)
		return nativeTensor{value: value, shape: shape}, err
	}
	n, size := volume(shape), elementSize(datatype)
	if n <= 0 || size == 0 {
		return nativeTensor{}, fmt.Errorf("no memory can be set aside for %s %v", datatype, shape)
	}
	words := make([]uint64, (n*size+7)/8) // aligned for every datatype
	data := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n*size)
	dimensions := make(ort.Shape, len(shape))
	for i, size := range shape {
		dimensions[i] = int64(size)
	}
	value, err := ort.NewCustomDataTensor(dimensions, data, ort.TensorElementDataType(elementType(datatype)))
	if err != nil {
		return nativeTensor{}, err
	}
	return nativeTensor{value: value, shape: shape, data: data}, nil
}

func newScalar(datatype string) (ort.Value, error) {
	switch datatype {
	case fp32:
		return ort.NewEmptyScalar[float32]()
	case fp64:
		return ort.NewEmptyScalar[float64]()
	case "INT64":
		return ort.NewEmptyScalar[int64]()
	case "INT32":
		return ort.NewEmptyScalar[int32]()
	case "BOOL":
		return ort.NewEmptyScalar[bool]()
	}
	return nil, fmt.Errorf("a scalar of %s is not supported", datatype)
}

// readTensor gives the values of a tensor that the library keeps in Go's memory. They stay valid when it is destroyed.
func readTensor(value ort.Value, datatype string) (rawTensor, error) {
	raw := rawTensor{shape: make([]int, 0, 4)}
	for _, size := range value.GetShape() {
		raw.shape = append(raw.shape, int(size))
	}
	switch tensor := value.(type) {
	case *ort.StringTensor:
		strings, err := tensor.GetContents()
		raw.strings = strings
		return raw, err
	case *ort.CustomDataTensor:
		raw.data = tensor.GetData()
	}
	switch datatype {
	case fp32:
		raw.data = bytesOf[float32](value)
	case fp64:
		raw.data = bytesOf[float64](value)
	case "BOOL":
		raw.data = bytesOf[bool](value)
	case uint8Type:
		raw.data = bytesOf[uint8](value)
	case "INT8":
		raw.data = bytesOf[int8](value)
	case "INT16":
		raw.data = bytesOf[int16](value)
	case "UINT16":
		raw.data = bytesOf[uint16](value)
	case "INT32":
		raw.data = bytesOf[int32](value)
	case "UINT32":
		raw.data = bytesOf[uint32](value)
	case "INT64":
		raw.data = bytesOf[int64](value)
	case "UINT64":
		raw.data = bytesOf[uint64](value)
	}
	if volume(raw.shape) == -1 {
		return raw, fmt.Errorf("%v has more than %d values", raw.shape, maxTensorValues)
	}
	if len(raw.data) != volume(raw.shape)*elementSize(datatype) {
		return raw, fmt.Errorf("%s %v came with %d bytes", datatype, raw.shape, len(raw.data))
	}
	return raw, nil
}

// readSpread puts together an output that was spread.
func readSpread(values, shape ort.Value, datatype string) (rawTensor, error) {
	wide := datatype
	if datatype == fp16 || datatype == bf16 {
		wide = fp32
	}
	raw, err := readTensor(values, wide)
	if err != nil {
		return raw, err
	}
	dimensions, ok := shape.(*ort.Tensor[int64])
	if !ok {
		return raw, fmt.Errorf("its shape came as %T", shape)
	}
	raw.shape = make([]int, 0, 4)
	for _, size := range dimensions.GetData() {
		raw.shape = append(raw.shape, int(size))
	}
	if wide != datatype {
		raw.data = narrowed(raw, datatype)
	}
	return raw, nil
}

// bytesOf views a tensor's or a scalar's values as bytes.
func bytesOf[T ort.TensorData](value ort.Value) []byte {
	var values []T
	switch tensor := value.(type) {
	case *ort.Tensor[T]:
		values = tensor.GetData()
	case *ort.Scalar[T]:
		values = []T{tensor.GetData()}
	}
	if len(values) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), len(values)*int(unsafe.Sizeof(values[0])))
}
