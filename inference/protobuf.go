package inference

import (
	"encoding/binary"
	"errors"
)

var errProtobuf = errors.New("not a protobuf message")

// protoFields calls visit with the number and the bytes of each field of a protobuf message, in order: the content of
// a string, message or packed field, the bytes of a number. Groups, which ONNX has none of, are errors.
// It returns visit's first error. Source: protobuf.dev, "Encoding".
func protoFields(data []byte, visit func(number int, value []byte) error) error {
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29-1 {
			return errProtobuf
		}
		data = data[n:]
		start, end, ok := protoExtent(data, int(tag&7))
		if !ok {
			return errProtobuf
		}
		if err := visit(int(tag>>3), data[start:end]); err != nil {
			return err
		}
		data = data[end:]
	}
	return nil
}

// protoExtent tells where in data the value of a field of the wire type lies.
func protoExtent(data []byte, wireType int) (start, end int, ok bool) {
	switch wireType {
	case 0:
		_, n := binary.Uvarint(data)
		return 0, n, n > 0
	case 1:
		return 0, 8, len(data) >= 8
	case 2:
		size, n := binary.Uvarint(data)
		if n <= 0 || size > uint64(len(data)-n) {
			return 0, 0, false
		}
		return n, n + int(size), true
	case 5:
		return 0, 4, len(data) >= 4
	}
	return 0, 0, false
}

// protoVarint is the number whose bytes protoFields gave; 0 where they are none.
func protoVarint(value []byte) uint64 {
	n, _ := binary.Uvarint(value)
	return n
}

// protoString is the last field of that number in a message, as protobuf reads one that is repeated by mistake.
func protoString(data []byte, number int) string {
	text := ""
	_ = protoFields(data, func(n int, value []byte) error {
		if n == number {
			text = string(value)
		}
		return nil
	})
	return text
}

// protoAppend appends a field that is a string, a message or packed.
func protoAppend(dst []byte, number int, value []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(number)<<3|2)
	return append(binary.AppendUvarint(dst, uint64(len(value))), value...)
}

// protoAppendVarint appends a field that is a number.
func protoAppendVarint(dst []byte, number int, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(number)<<3), value)
}
