package inference

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// JSON has no words for these; the strings are those of the contract's Tensor.data.
const (
	jsonNaN              = `"NaN"`
	jsonInfinity         = `"Infinity"`
	jsonNegativeInfinity = `"-Infinity"`
)

// tensorJSON is the tensor's values as one JSON array. Floats are the shortest decimals that read back as the same
// value of their datatype. Where a string is not UTF-8, or has a NUL, which PostgreSQL does not store, it has U+FFFD.
func tensorJSON(raw rawTensor, datatype string) json.RawMessage {
	if datatype == bytesType && len(raw.strings) > 0 {
		texts := slices.Clone(raw.strings)
		for i, text := range texts {
			texts[i] = strings.ReplaceAll(text, "\x00", "\ufffd")
		}
		text, _ := json.Marshal(texts) // strings always can be marshalled
		return text
	}
	size := max(elementSize(datatype), 1)
	dst := make([]byte, 0, 2+13*len(raw.data)/size)
	dst = append(dst, '[')
	for i := 0; i < len(raw.data); i += size {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSON(dst, raw.data[i:i+size], datatype)
	}
	return append(dst, ']')
}

// appendJSON appends one value, in the machine's byte order, as JSON.
func appendJSON(dst, value []byte, datatype string) []byte {
	native := binary.NativeEndian
	switch datatype {
	case fp32:
		return appendFloat(dst, float64(math.Float32frombits(native.Uint32(value))), 32)
	case fp64:
		return appendFloat(dst, math.Float64frombits(native.Uint64(value)), 64)
	case fp16:
		return appendFloat(dst, float64(float16ToFloat32(native.Uint16(value))), 32)
	case bf16:
		return appendFloat(dst, float64(math.Float32frombits(uint32(native.Uint16(value))<<16)), 32)
	case "INT8":
		return strconv.AppendInt(dst, int64(int8(value[0])), 10)
	case "INT16":
		return strconv.AppendInt(dst, int64(int16(native.Uint16(value))), 10)
	case "INT32":
		return strconv.AppendInt(dst, int64(int32(native.Uint32(value))), 10)
	case "INT64":
		return strconv.AppendInt(dst, int64(native.Uint64(value)), 10)
	case uint8Type:
		return strconv.AppendUint(dst, uint64(value[0]), 10)
	case "UINT16":
		return strconv.AppendUint(dst, uint64(native.Uint16(value)), 10)
	case "UINT32":
		return strconv.AppendUint(dst, uint64(native.Uint32(value)), 10)
	case "UINT64":
		return strconv.AppendUint(dst, native.Uint64(value), 10)
	}
	return strconv.AppendBool(dst, value[0] != 0)
}

func appendFloat(dst []byte, value float64, bits int) []byte {
	switch {
	case math.IsNaN(value):
		return append(dst, jsonNaN...)
	case math.IsInf(value, 1):
		return append(dst, jsonInfinity...)
	case math.IsInf(value, -1):
		return append(dst, jsonNegativeInfinity...)
	}
	return strconv.AppendFloat(dst, value, 'g', -1, bits)
}
