package inference

import (
	"errors"
	"slices"
)

// onnxModel is what an ONNX file says about itself, read before any of it is given to ONNX Runtime.
type onnxModel struct {
	// inputs are those that a caller must fill: initialisers that old files list among them are left out.
	inputs []onnxValue
	// outputs are those that are tensors, and in place of a ZipMap's sequence of maps the tensor that it is made from.
	// Other sequences and maps are left out, and what is listed again, which ONNX Runtime fills once.
	outputs []onnxValue
	// metadata are the file's metadata_props.
	metadata map[string]string
	// beside are texts that name the classes in files beside it, the likeliest first: only what names none itself needs them.
	beside     []string
	classifier classifierNodes
	// decides tells that there are nodes which run a part of the model, or run it again, by what they are given: for all
	// images of a run together.
	decides bool
	// counts tells that there are nodes whose results are as long as what they are given makes them, as a detector's boxes.
	counts bool
	// external are the locations of data outside of the file, as the file names them, with repetitions.
	external []string
	// depth of graphs inside of graphs where the parser stands.
	depth int
}

// maxGraphDepth is as deep as protobuf itself reads messages inside of messages, and more.
const maxGraphDepth = 100

// onnxValue is an input or an output as the file declares it.
type onnxValue struct {
	name string
	// datatype is the Open Inference Protocol's name; empty where the value is no tensor (a sequence, a map).
	datatype string
	// shape has -1 for a dimension that is not fixed; nil where the file declares no shape, empty for a scalar.
	shape []int
	// batch is the name of the first dimension, where it is not fixed and has one.
	batch string
	// tensor is what is read in place of an output that is none; empty for all others.
	tensor string
}

// errNotONNX is returned when bytes are not a whole ONNX file.
var errNotONNX = errors.New("model.onnx is not an ONNX file, or a truncated one")

// parseONNX reads the parts of a ModelProto (onnx/onnx.proto3) that it takes to run the model safely.
// It returns errNotONNX when data is no protobuf message or holds no graph, and an error when no output is a tensor of a known datatype.
func parseONNX(data []byte) (*onnxModel, error) {
	m, initialised, hasGraph := &onnxModel{metadata: map[string]string{}}, make(map[string]bool), false
	m.classifier.zipped = make(map[string]string)
	err := protoFields(data, func(number int, value []byte) error {
		switch number {
		case 7: // graph
			hasGraph = true
			return m.graph(value, initialised)
		case 14: // metadata_props
			m.metadata[protoString(value, 1)] = protoString(value, 2)
		case 20: // training_info
			return protoFields(value, func(number int, graph []byte) error {
				if number == 1 || number == 2 { // initialization, algorithm
					return m.subgraph(graph)
				}
				return nil
			})
		case 25: // functions
			return m.function(value)
		}
		return nil
	})
	if err != nil || !hasGraph {
		return nil, errNotONNX
	}
	m.inputs = slices.DeleteFunc(m.inputs, func(input onnxValue) bool { return initialised[input.name] })
	for i, output := range m.outputs {
		m.outputs[i] = m.classifier.unzipped(output)
	}
	given := make(map[string]bool)
	m.outputs = slices.DeleteFunc(m.outputs, func(output onnxValue) bool {
		again := given[output.name]
		given[output.name] = true
		return output.datatype == "" || again
	})
	if len(m.outputs) == 0 {
		return nil, errors.New("no output of the model is a tensor of a datatype that is read")
	}
	return m, nil
}

// graph reads a GraphProto's inputs and outputs, and what lies below it.
func (m *onnxModel) graph(data []byte, initialised map[string]bool) error {
	return protoFields(data, func(number int, value []byte) error {
		switch number {
		case 5: // initializer
			initialised[protoString(value, 8)] = true
		case 11: // input
			input, err := parseValue(value)
			m.inputs = append(m.inputs, input)
			return err
		case 12: // output
			output, err := parseValue(value)
			m.outputs = append(m.outputs, output)
			return err
		case 1: // node
			m.classifier.read(value)
		}
		return m.graphField(number, value)
	})
}

// subgraph looks for external data in a GraphProto whose inputs and outputs are of no interest.
func (m *onnxModel) subgraph(data []byte) error {
	if m.depth == maxGraphDepth {
		return errProtobuf
	}
	m.depth++
	defer func() { m.depth-- }()
	return protoFields(data, m.graphField)
}

func (m *onnxModel) graphField(number int, value []byte) error {
	switch number {
	case 1: // node
		return m.node(value)
	case 5: // initializer
		return m.tensor(value)
	case 15: // sparse_initializer
		return m.sparseTensor(value)
	}
	return nil
}

func (m *onnxModel) function(data []byte) error {
	return protoFields(data, func(number int, value []byte) error {
		switch number {
		case 7: // node
			return m.node(value)
		case 11: // attribute_proto
			return m.attribute(value)
		}
		return nil
	})
}

func (m *onnxModel) node(data []byte) error {
	return protoFields(data, func(number int, value []byte) error {
		switch number {
		case 4: // op_type
			switch string(value) {
			case "If", "Loop":
				m.decides = true
			case "NonMaxSuppression", "NonZero", "Unique", "Compress":
				m.counts = true
			}
		case 5: // attribute
			return m.attribute(value)
		}
		return nil
	})
}

func (m *onnxModel) attribute(data []byte) error {
	return protoFields(data, func(number int, value []byte) error {
		switch number {
		case 5, 10: // t, tensors
			return m.tensor(value)
		case 6, 11: // g, graphs
			return m.subgraph(value)
		case 22, 23: // sparse_tensor, sparse_tensors
			return m.sparseTensor(value)
		}
		return nil
	})
}

func (m *onnxModel) sparseTensor(data []byte) error {
	return protoFields(data, func(number int, value []byte) error {
		if number == 1 || number == 2 { // values, indices
			return m.tensor(value)
		}
		return nil
	})
}

func (m *onnxModel) tensor(data []byte) error {
	return protoFields(data, func(number int, value []byte) error {
		if number != 13 { // external_data
			return nil
		}
		if protoString(value, 1) == "location" {
			m.external = append(m.external, protoString(value, 2))
		}
		return nil
	})
}

// parseValue reads a ValueInfoProto.
func parseValue(data []byte) (onnxValue, error) {
	v := onnxValue{}
	err := protoFields(data, func(number int, value []byte) error {
		switch number {
		case 1:
			v.name = string(value)
		case 2:
			return protoFields(value, func(number int, value []byte) error {
				if number == 1 { // tensor_type
					return v.tensorType(value)
				}
				return nil
			})
		}
		return nil
	})
	return v, err
}

func (v *onnxValue) tensorType(data []byte) error {
	return protoFields(data, func(number int, value []byte) error {
		switch number {
		case 1: // elem_type
			v.datatype = datatypeOf(protoVarint(value))
		case 2: // shape
			v.shape = make([]int, 0, 4)
			return protoFields(value, func(number int, dimension []byte) error {
				if number != 1 {
					return nil
				}
				if len(v.shape) == 0 {
					v.batch = protoString(dimension, 2)
				}
				v.shape = append(v.shape, parseDimension(dimension))
				return nil
			})
		}
		return nil
	})
}

// mayMix tells that an image may get what belongs to others of its run, however the first runs go: where the model decides
// for all of them, or has an output that may be as long as there are boxes, for its first dimension is not named as the
// batch is.
func (m *onnxModel) mayMix(image onnxValue) bool {
	return m.decides || m.counts && slices.ContainsFunc(m.outputs, func(output onnxValue) bool {
		return output.shape == nil ||
			len(output.shape) > 0 && output.shape[0] == -1 && (output.batch == "" || output.batch != image.batch)
	})
}

// parseDimension gives -1 for one that is named, or neither named nor a number.
func parseDimension(data []byte) int {
	size := -1
	_ = protoFields(data, func(number int, value []byte) error {
		if number == 1 {
			size = int(int64(protoVarint(value)))
		}
		return nil
	})
	return max(size, -1)
}
