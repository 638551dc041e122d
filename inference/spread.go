package inference

import (
	"encoding/binary"
	"slices"
)

// The library that binds ONNX Runtime reads no output that is a scalar, and none of 16-bit floats whose shape is not
// known before the run. So such an output is spread: nodes that are appended to the model give its values, as 32-bit
// floats where they are of 16, and its shape as two vectors.

// isSpread tells whether an output is read as two vectors: one that is, or may be, a scalar, one of 16-bit floats, and
// one that stands for what the file does not give as an output.
func (v onnxValue) isSpread() bool {
	return v.tensor != "" || v.datatype == fp16 || v.datatype == bf16 || len(v.shape) == 0 && v.datatype != bytesType
}

// fetches are the names by which ONNX Runtime is asked for an output.
func (v onnxValue) fetches() []string {
	if !v.isSpread() {
		return []string{v.name}
	}
	return []string{v.name + "/sibyl/values", v.name + "/sibyl/shape"}
}

// anyLength is the initializer of that name, [-1] as a shape.
const anyLength = "sibyl/any_length"

// spreadOutputs gives a model, whose bytes are not changed, the nodes that its outputs need. Messages of protobuf are
// merged when they follow each other, so what is appended is a graph of its own.
func spreadOutputs(model []byte, outputs []onnxValue) []byte {
	var graph []byte
	for _, output := range outputs {
		if output.isSpread() {
			graph = output.appendSpread(graph)
		}
	}
	if graph == nil {
		return model
	}
	length := protoAppend(protoAppendVarint(protoAppendVarint(nil, 1, 1), 2, 7), 7, binary.AppendUvarint(nil, 1<<64-1))
	graph = protoAppend(graph, 5, protoAppend(length, 8, []byte(anyLength))) // initializer: INT64 [1], -1
	return protoAppend(slices.Clip(model), 7, graph)
}

// appendSpread appends the nodes and outputs of one output to a GraphProto.
func (v onnxValue) appendSpread(graph []byte) []byte {
	tensor, element := v.name, uint64(elementType(v.datatype))
	if v.tensor != "" {
		tensor = v.tensor
	}
	names, values := v.fetches(), tensor
	if v.datatype == fp16 || v.datatype == bf16 {
		element, values = 1, v.name+"/sibyl/wide"
		to := protoAppendVarint(protoAppendVarint(protoAppend(nil, 1, []byte("to")), 3, element), 20, 2)
		graph = protoAppend(graph, 1, protoAppend(protoNode("Cast", values, tensor), 5, to))
	}
	graph = protoAppend(graph, 1, protoNode("Reshape", names[0], values, anyLength))
	graph = protoAppend(graph, 1, protoNode("Shape", names[1], tensor))
	for i, name := range names {
		tensorType := protoAppend(nil, 1, protoAppendVarint(nil, 1, []uint64{element, 7}[i])) // INT64 of the shape
		graph = protoAppend(graph, 12, protoAppend(protoAppend(nil, 1, []byte(name)), 2, tensorType))
	}
	return graph
}

// protoNode is a NodeProto.
func protoNode(op, output string, inputs ...string) []byte {
	var node []byte
	for _, input := range inputs {
		node = protoAppend(node, 1, []byte(input))
	}
	return protoAppend(protoAppend(node, 2, []byte(output)), 4, []byte(op))
}

// narrowed are the values of an FP32 tensor as the 16-bit floats that they were, which is exact.
func narrowed(wide rawTensor, datatype string) []byte {
	data := make([]byte, 0, len(wide.data)/2)
	for i := range len(wide.data) / 4 {
		bits := binary.NativeEndian.Uint32(wide.data[4*i:])
		half := uint16(bits >> 16)
		if datatype == fp16 {
			half = float32ToFloat16(float32(wide.float(i, fp32)))
		}
		data = binary.NativeEndian.AppendUint16(data, half)
	}
	return data
}
