package inference

import (
	"fmt"
	"math"
)

// sample is what the warm-up runs gave for one output: the shape for one picture, and the values of each run, which are
// only read where they are needed: there may be millions.
type sample struct {
	shape []int
	runs  func() [][]float64
}

// newOutput says how a version's outputs are read: as the configuration says, and where that is `auto`, by the output's
// shape and what the warm-up runs gave. outputs are the specs in the order of samples. The second result is the number
// of classes; 0 where the version is no classifier. The error names the key.
func newOutput(c *config, outputs []onnxValue, samples func(i int) sample) (Output, int, error) {
	index, err := findOutput(outputs, c, samples)
	if err != nil {
		return Output{}, 0, err
	}
	value, s := outputs[index], samples(index)
	out := Output{Name: value.name, Kind: c.output.kind, Activation: ActivationNone}
	if out.Kind == auto {
		out.Kind = kindOf(value.datatype, s.shape)
	}
	switch out.Kind {
	case KindNone:
		return out, 0, c.checkActivation(out.Kind)
	case KindRegression:
		if value.datatype == bytesType || volume(s.shape) <= 0 {
			return out, 0, c.errorf("output.kind", "%q is %s %v, no numbers", value.name, value.datatype, s.shape)
		}
		return out, 0, c.checkActivation(out.Kind)
	}
	if value.datatype == bytesType || volume(s.shape) <= 0 || longAxes(s.shape) > 1 {
		return out, 0, c.errorf("output.kind", "%q is %s %v, no list of classes", value.name, value.datatype, s.shape)
	}
	out.Activation, err = newActivation(c, value.datatype, s)
	return out, volume(s.shape), err
}

// findOutput is the index of the output that answers: the one that is named, else the first. But of a label and scores,
// as scikit-learn's classifiers give them, it is the scores.
func findOutput(outputs []onnxValue, c *config, samples func(i int) sample) (int, error) {
	if c.output.name == "" {
		isLabel := len(outputs) == 2 && !isFloat(outputs[0].datatype) && longAxes(samples(0).shape) == 0
		if isLabel && isFloat(outputs[1].datatype) && longAxes(samples(1).shape) == 1 {
			return 1, nil
		}
		return 0, nil
	}
	for i, output := range outputs {
		if output.name == c.output.name {
			return i, nil
		}
	}
	return 0, c.errorf("output.name", "the model has no output %q, it has %s", c.output.name, quoted(outputs))
}

// kindOf tells an output's kind by its shape for one picture.
func kindOf(datatype string, shape []int) OutputKind {
	switch {
	case datatype == bytesType || volume(shape) <= 0 || longAxes(shape) > 1:
		return KindNone
	case longAxes(shape) == 1:
		return KindClassification
	}
	return KindRegression
}

// longAxes counts the dimensions above 1.
func longAxes(shape []int) int {
	n := 0
	for _, size := range shape {
		if size > 1 {
			n++
		}
	}
	return n
}

// checkActivation refuses an activation where there are no classes to score.
func (c *config) checkActivation(kind OutputKind) error {
	if a := c.output.activation; a == ActivationSoftmax || a == ActivationSigmoid {
		return c.errorf("output.activation", "%s is for classifications, but the output's kind is %s", a, kind)
	}
	return nil
}

func newActivation(c *config, datatype string, s sample) (Activation, error) {
	switch {
	case c.output.activation != auto:
		return c.output.activation, nil
	case volume(s.shape) == 1:
		return "", c.errorf("output.activation", "cannot be told from one value: set none or sigmoid")
	}
	activation := ActivationSoftmax
	for _, scores := range s.runs() {
		switch {
		case !finite(scores): // as of a model that divides by the deviation of a black picture; tells nothing
		case !areProbabilities(scores, datatype):
			return ActivationSoftmax, nil
		default:
			activation = ActivationNone
		}
	}
	return activation, nil
}

// areProbabilities tells whether scores lie in 0…1 and sum to 1, as far as the datatype can tell.
func areProbabilities(scores []float64, datatype string) bool {
	tolerance := 1e-3
	if datatype == fp16 || datatype == bf16 {
		tolerance = 1e-2
	}
	sum := 0.0
	for _, score := range scores {
		if !(score >= 0 && score <= 1+tolerance) {
			return false
		}
		sum += score
	}
	return math.Abs(sum-1) <= tolerance
}

// checkLabels refuses labels that are not one a class.
func checkLabels(labels []string, classes int) error {
	if classes > 0 && len(labels) > 0 && len(labels) != classes {
		return fmt.Errorf("labels.txt: %d labels, but the model has %d classes", len(labels), classes)
	}
	return nil
}
