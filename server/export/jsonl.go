package export

import (
	"encoding/json"
	"io"
)

// jsonl writes an object a line (jsonlines.org). The tensors are JSON in JSON, as the API gives them.
type jsonl struct {
	encoder *json.Encoder
	images  bool
}

func newJSONL(w io.Writer, images bool) *jsonl {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return &jsonl{e, images}
}

func (j *jsonl) encode(r row, image []byte) error {
	if j.images {
		return j.encoder.Encode(&imageRow{r, image})
	}
	return j.encoder.Encode(&r)
}

func (j *jsonl) close() error { return nil }
