package export

import (
	"time"

	"sibyl/graph"
)

// row has the columns of every format, in their order. Its tags are the names and, for Parquet, the types; what can be
// NULL is a pointer or a slice.
type row struct {
	ID          string   `json:"id" parquet:"id"`
	CreatedAt   instant  `json:"created_at" parquet:"created_at,timestamp(millisecond:utc)"`
	Model       string   `json:"model" parquet:"model,dict"`
	Version     int32    `json:"version" parquet:"version"`
	Source      string   `json:"source" parquet:"source,dict"`
	ClassIndex  *int32   `json:"class_index" parquet:"class_index,optional"`
	ClassName   *string  `json:"class_name" parquet:"class_name,optional,dict"`
	Confidence  *float64 `json:"confidence" parquet:"confidence,optional"`
	Scores      numbers  `json:"scores" parquet:"scores,optional,list"`
	Values      numbers  `json:"values" parquet:"values,optional,list"`
	Outputs     jsonText `json:"outputs" parquet:"outputs,string"`
	Labelled    bool     `json:"labelled" parquet:"labelled"`
	Correct     *bool    `json:"correct" parquet:"correct,optional"`
	LabelIndex  *int32   `json:"label_class_index" parquet:"label_class_index,optional"`
	LabelName   *string  `json:"label_class_name" parquet:"label_class_name,optional,dict"`
	LabelValue  *float64 `json:"label_value" parquet:"label_value,optional"`
	LabelledAt  *instant `json:"labelled_at" parquet:"labelled_at,optional,timestamp(millisecond:utc)"`
	Decode      int64    `json:"decode_microseconds" parquet:"decode_microseconds"`
	Queue       int64    `json:"queue_microseconds" parquet:"queue_microseconds"`
	Inference   int64    `json:"inference_microseconds" parquet:"inference_microseconds"`
	InputID     string   `json:"input_id" parquet:"input_id"`
	Filename    *string  `json:"filename" parquet:"filename,optional"`
	ContentType string   `json:"content_type" parquet:"content_type,dict"`
	Width       int32    `json:"width" parquet:"width"`
	Height      int32    `json:"height" parquet:"height"`
	ByteSize    int32    `json:"byte_size" parquet:"byte_size"`
	SHA256      string   `json:"sha256" parquet:"sha256"`
}

// imageRow is a row with the image's bytes, which are in Base64 where a format is text; NULL where retention has removed
// them.
type imageRow struct {
	row
	Image []byte `json:"image" parquet:"image,optional"`
}

type (
	// instant is milliseconds since 1970.
	instant int64
	// numbers are all finite.
	numbers []float64
	// jsonText is JSON, which the formats that have no such thing have as text.
	jsonText []byte
)

// instantLayout is that of the API's DateTime.
const instantLayout = "2006-01-02T15:04:05.000Z"

func (i instant) append(dst []byte) []byte {
	return time.UnixMilli(int64(i)).UTC().AppendFormat(dst, instantLayout)
}

// MarshalJSON writes the instant as the API does.
func (i instant) MarshalJSON() ([]byte, error) { return append(i.append([]byte{'"'}), '"'), nil }

// MarshalJSON gives the JSON as it is.
func (j jsonText) MarshalJSON() ([]byte, error) { return j, nil }

func newRow(e graph.Exported) row {
	r := row{
		ID: e.ID.String(), CreatedAt: instant(e.CreatedAt.UnixMilli()),
		Model: e.ModelName, Version: int32(e.ModelVersion), Source: string(e.Source),
		ClassIndex: toInt32(e.ClassIndex), ClassName: e.ClassName, Confidence: e.Confidence,
		Scores: e.Scores, Values: e.Values, Outputs: jsonText(e.Outputs),
		Labelled: e.Labelled, Correct: e.Correct,
		Decode: e.DecodeMicroseconds, Queue: e.QueueMicroseconds, Inference: e.InferenceMicroseconds,
		InputID: e.InputID.String(), Filename: e.Input.Filename, ContentType: e.Input.ContentType,
		Width: int32(e.Input.Width), Height: int32(e.Input.Height), ByteSize: int32(e.Input.ByteSize),
		SHA256: e.Input.SHA256.String(),
	}
	if l := e.Label; l != nil {
		at := instant(l.CreatedAt.UnixMilli())
		r.LabelIndex, r.LabelName, r.LabelValue, r.LabelledAt = toInt32(l.ClassIndex), l.ClassName, l.Value, &at
	}
	return r
}

func toInt32(n *int) *int32 {
	if n == nil {
		return nil
	}
	i := int32(*n)
	return &i
}
