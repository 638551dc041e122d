package persistence

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"
)

// Prediction is one run of a model version on an input. It must not be changed.
type Prediction struct {
	ID      PredictionID
	InputID InputID
	// Input is what InputID names; nil where it was not asked for with the prediction.
	Input *Input
	// CreatedAt is the ID's millisecond.
	CreatedAt time.Time
	// ModelName and ModelVersion are what ran.
	ModelName    string
	ModelVersion int
	Source       Source
	// ClassIndex and ClassName are of the likeliest class, Confidence its score in [0, 1]; nil where the model is no
	// classifier or a score is no finite number.
	ClassIndex *int
	ClassName  *string
	Confidence *float64
	// Labelled tells whether the input has a label, and Correct whether the likeliest class is it; Correct is nil where
	// there is no label or no class, and where the label is a value. Both are as the database has them: what is recorded
	// here is ignored.
	Labelled bool
	Correct  *bool
	// Outputs are the model's tensors as JSON; nil where they were not asked for.
	Outputs json.RawMessage
	// DecodeMicroseconds and its neighbours tell how long each stage of the run took.
	DecodeMicroseconds, QueueMicroseconds, InferenceMicroseconds int64
	// batch is what a subscription gave it in.
	batch *Batch
}

// IsNode marks a prediction as an object with a global ID.
func (Prediction) IsNode() {}

// IsPredictResult marks a prediction as what may become of an image.
func (Prediction) IsPredictResult() {}

// ClassScore is a class and its score.
type ClassScore struct {
	Index int
	Name  string
	// Confidence is in [0, 1].
	Confidence float64
}

// LikelyClass returns the likeliest class, or nil where there is none.
func (p *Prediction) LikelyClass() *ClassScore {
	if p.ClassIndex == nil || p.ClassName == nil || p.Confidence == nil {
		return nil
	}
	return &ClassScore{Index: *p.ClassIndex, Name: *p.ClassName, Confidence: *p.Confidence}
}

// Timing is how long each stage of a run took, in milliseconds.
type Timing struct {
	Decode, Queue, Inference float64
}

// Timing returns how long each stage took.
func (p *Prediction) Timing() *Timing {
	return &Timing{
		Decode:    float64(p.DecodeMicroseconds) / 1000,
		Queue:     float64(p.QueueMicroseconds) / 1000,
		Inference: float64(p.InferenceMicroseconds) / 1000,
	}
}

// Stages are the stages of the run in their order, by name, with how long each took.
func (p *Prediction) Stages() iter.Seq2[string, time.Duration] {
	return func(yield func(string, time.Duration) bool) {
		_ = yield("decode", time.Duration(p.DecodeMicroseconds)*time.Microsecond) &&
			yield("queue", time.Duration(p.QueueMicroseconds)*time.Microsecond) &&
			yield("inference", time.Duration(p.InferenceMicroseconds)*time.Microsecond)
	}
}

// Source says why a prediction was made.
type Source string

// The sources of predictions.
const (
	SourceRequest Source = "REQUEST"
	SourceShadow  Source = "SHADOW"
	SourceReplay  Source = "REPLAY"
)

var allSources = []Source{SourceRequest, SourceShadow, SourceReplay}

// MarshalGQL writes the source as a GraphQL enum value.
func (s Source) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(string(s))) }

// UnmarshalGQL reads the source from a GraphQL enum value.
func (s *Source) UnmarshalGQL(v any) error {
	name, _ := v.(string)
	switch source := Source(name); source {
	case SourceRequest, SourceShadow, SourceReplay:
		*s = source
		return nil
	}
	return fmt.Errorf("%v is not a PredictionSource", v)
}
