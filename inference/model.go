package inference

import (
	"fmt"
	"io"
	"strconv"
	"time"
)

// Model is a model of the repository: a name and its versions. It is a snapshot, as ModelVersion is.
type Model struct {
	Name string
	// Versions are in ascending order.
	Versions []*ModelVersion
	// Serving is the one of Versions that answers requests that name none; nil where none can. It is FAILED where its
	// files were changed for the worse: it is in memory as it was. It is LOADING while the server that runs it has another
	// model, and requests are ErrUnavailable.
	Serving *ModelVersion
	// Shadow is the one of Versions that runs beside Serving; nil where none does.
	Shadow *ModelVersion
}

// ModelVersion describes one version of a model. It is a snapshot: a version that moves on is a new value, so it is
// safe to share and must not be changed.
type ModelVersion struct {
	Name    string
	Version int
	State   ModelState
	// StateReason tells why the version is FAILED, naming the config key or the fact of the ONNX file, or what keeps it
	// LOADING; else nil.
	StateReason *string
	// LoadDuration is the time from the files to READY or FAILED.
	LoadDuration time.Duration
	// SHA256 of the model file, hexadecimal; nil where it was never read, as that of a remote model.
	SHA256 *string
	// ExecutionProvider is that which runs the version, never ProviderAuto, or `remote` where another server does; nil
	// where nothing runs it.
	ExecutionProvider *string
	Inputs            []TensorSpec
	Outputs           []TensorSpec
	// ClassNames are in the model's order: those of labels.txt, else those of the model file, else those of a config.json
	// beside it; empty where there are none.
	ClassNames []string
	// Output tells how the outputs are read.
	Output Output
	// Fingerprint, hexadecimal SHA-256, covers all that makes the version answer as it does: the model file, its
	// labels, and the `input` and `output` sections of its configuration. Under one version number it must never change
	// once the version has predicted.
	Fingerprint string
}

// ModelState is a step in the life of a version: LOADING, then READY or FAILED, and RETIRED when it has left the
// repository.
type ModelState string

// The states of a version.
const (
	ModelLoading ModelState = "LOADING"
	ModelReady   ModelState = "READY"
	ModelFailed  ModelState = "FAILED"
	ModelRetired ModelState = "RETIRED"
)

// MarshalGQL writes the state as a GraphQL enum value.
func (s ModelState) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(string(s))) }

// UnmarshalGQL reads the state from a GraphQL enum value.
func (s *ModelState) UnmarshalGQL(v any) error {
	name, _ := v.(string)
	switch state := ModelState(name); state {
	case ModelLoading, ModelReady, ModelFailed, ModelRetired:
		*s = state
		return nil
	}
	return fmt.Errorf("%v is not a ModelState", v)
}

// OutputKind says what an output means.
type OutputKind string

// The kinds of output. KindNone leaves only the raw tensors.
const (
	KindClassification OutputKind = "classification"
	KindRegression     OutputKind = "regression"
	KindNone           OutputKind = "none"
)

// Activation turns the raw values of a classification into scores.
type Activation string

// The activations.
const (
	ActivationNone    Activation = "none"
	ActivationSoftmax Activation = "softmax"
	ActivationSigmoid Activation = "sigmoid"
)

// Output says which of a version's outputs answers, and how it is read. All of it is resolved: no `auto` is left.
// Its JSON form is kept with the version, so that stored tensors are read the same for ever.
type Output struct {
	// Name of the output in the ONNX file.
	Name       string     `json:"name"`
	Kind       OutputKind `json:"kind"`
	Activation Activation `json:"activation"`
	// Classes is how many a classification tells apart; 0 where it is none.
	Classes int `json:"classes,omitempty"`
}

// IsNode marks a version as an object with a global ID.
func (ModelVersion) IsNode() {}
