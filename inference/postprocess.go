package inference

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// Scores are the scores of all classes in the model's order, after the activation: in 0…1 where the activation is
// softmax or sigmoid, else as the model gave them. outputs may be fresh or stored. It is nil where the version is no
// classifier, the tensor's data was not kept, or a score is NaN or infinite. The caller owns the slice.
func (v *ModelVersion) Scores(outputs []Tensor) []float64 {
	if v.Output.Kind != KindClassification {
		return nil
	}
	scores := v.answer(outputs)
	switch v.Output.Activation {
	case ActivationSoftmax:
		softmax(scores)
	case ActivationSigmoid:
		for i, x := range scores {
			scores[i] = 1 / (1 + math.Exp(-x))
		}
	}
	if !finite(scores) {
		return nil
	}
	return scores
}

// Values are what a regression model returned, flattened. It is nil where the version is no regression, the tensor's
// data was not kept, or a value is NaN or infinite. The caller owns the slice.
func (v *ModelVersion) Values(outputs []Tensor) []float64 {
	if v.Output.Kind != KindRegression {
		return nil
	}
	values := v.answer(outputs)
	if !finite(values) {
		return nil
	}
	return values
}

// ClassName is the label of a class, or its index in digits where the version has no such label.
func (v *ModelVersion) ClassName(index int) string {
	if index >= 0 && index < len(v.ClassNames) {
		return v.ClassNames[index]
	}
	return strconv.Itoa(index)
}

// ClassIndex is the class of a name as ClassName gives it; -1 where no class has it. Of several the first is meant.
func (v *ModelVersion) ClassIndex(name string) int {
	for index := range v.Output.Classes {
		if v.ClassName(index) == name {
			return index
		}
	}
	return -1
}

// Top are the indices of the n highest scores, likeliest first and the lower index first among equals; all of them
// where there are fewer.
func Top(scores []float64, n int) []int {
	n = min(max(n, 0), len(scores))
	top := make([]int, 0, n)
	for i, score := range scores {
		if len(top) == n {
			if n == 0 || !(score > scores[top[n-1]]) {
				continue
			}
			top = top[:n-1]
		}
		place, _ := slices.BinarySearchFunc(top, score, func(other int, score float64) int {
			if scores[other] >= score {
				return -1
			}
			return 1
		})
		top = slices.Insert(top, place, i)
	}
	return top
}

// answer is the version's answering output as numbers; nil where it is missing or was not kept.
func (v *ModelVersion) answer(outputs []Tensor) []float64 {
	for i := range outputs {
		if outputs[i].Name == v.Output.Name {
			return parseValues(outputs[i].Data, outputs[i].Datatype)
		}
	}
	return nil
}

// parseValues reads the JSON array of a Tensor; nil where it is none, or is not of numbers. Datatypes of up to 32 bits
// are read as such, so that a stored value is the very one that the model gave.
func parseValues(data json.RawMessage, datatype string) []float64 {
	inner, opened := bytes.CutPrefix(bytes.TrimSpace(data), []byte{'['})
	inner, closed := bytes.CutSuffix(inner, []byte{']'})
	if !opened || !closed {
		return nil
	}
	bits := 64
	if datatype == fp32 || datatype == fp16 || datatype == bf16 {
		bits = 32
	}
	values := make([]float64, 0, 1+bytes.Count(inner, []byte{','}))
	for part := range bytes.SplitSeq(inner, []byte{','}) {
		value, err := parseNumber(bytes.TrimSpace(part), bits)
		if err != nil {
			return nil
		}
		values = append(values, value)
	}
	return values
}

func parseNumber(text []byte, bits int) (float64, error) {
	switch string(text) {
	case jsonNaN:
		return math.NaN(), nil
	case jsonInfinity:
		return math.Inf(1), nil
	case jsonNegativeInfinity:
		return math.Inf(-1), nil
	case "true":
		return 1, nil
	case "false":
		return 0, nil
	}
	return strconv.ParseFloat(string(text), bits)
}

// softmax turns logits into probabilities in place.
func softmax(values []float64) {
	if len(values) == 0 {
		return
	}
	highest, sum := slices.Max(values), 0.0
	for i, x := range values {
		values[i] = math.Exp(x - highest)
		sum += values[i]
	}
	for i := range values {
		values[i] /= sum
	}
}

func finite(values []float64) bool {
	for _, x := range values {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}
