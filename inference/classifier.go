package inference

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// classifierNodes are what a graph's nodes of ai.onnx.ml, as scikit-learn's models are made of, tell of its outputs.
type classifierNodes struct {
	// labels are the classes' names, in order, of the last node that has any.
	labels []string
	// zipped are the tensors that ZipMaps make sequences of maps from, by these sequences' names.
	zipped map[string]string
}

// read takes a NodeProto into account.
func (c *classifierNodes) read(node []byte) {
	if protoString(node, 7) != "ai.onnx.ml" { // domain
		return
	}
	if protoString(node, 4) == "ZipMap" { // op_type; input and output are 1 and 2
		c.zipped[protoString(node, 2)] = protoString(node, 1)
	}
	_ = protoFields(node, func(number int, attribute []byte) error {
		if number == 5 && strings.HasPrefix(protoString(attribute, 1), "classlabels_") {
			c.labels = attributeList(attribute)
		}
		return nil
	})
}

// attributeList is an attribute's list of strings or of whole numbers.
func attributeList(attribute []byte) []string {
	var list []string
	_ = protoFields(attribute, func(number int, value []byte) error {
		switch number {
		case 8: // ints, one or many a field
			for len(value) > 0 {
				n, size := binary.Uvarint(value)
				if size <= 0 {
					return errProtobuf
				}
				list, value = append(list, strconv.FormatInt(int64(n), 10)), value[size:]
			}
		case 9: // strings
			list = append(list, string(value))
		}
		return nil
	})
	return list
}

// unzipped puts the tensor that a ZipMap is given in the place of what it makes of it.
func (c *classifierNodes) unzipped(output onnxValue) onnxValue {
	if tensor := c.zipped[output.name]; output.datatype == "" && tensor != "" {
		return onnxValue{name: output.name, datatype: fp32, tensor: tensor}
	}
	return output
}
