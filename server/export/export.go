// Package export writes stored predictions as files for other programs: JSON Lines, CSV and Parquet.
//
// row.go has the columns, which are the same in every format. All of them are written row by row, with no more in memory
// than a row, or a row group of a Parquet file.
package export

import (
	"io"
	"iter"

	"sibyl/graph"
)

// Format is a file format.
type Format string

// The formats.
const (
	JSONL   Format = "jsonl"
	CSV     Format = "csv"
	Parquet Format = "parquet"
)

// mediaTypes are the formats that there are.
var mediaTypes = map[Format]string{
	JSONL: "application/jsonl", CSV: "text/csv; charset=utf-8", Parquet: "application/vnd.apache.parquet",
}

// MediaType is what HTTP says of the format; empty where there is no such format.
func (f Format) MediaType() string { return mediaTypes[f] }

// encoder writes one format.
type encoder interface {
	// encode writes a row; image is nil where there is none.
	encode(r row, image []byte) error
	// close ends the file, but not the writer below.
	close() error
}

// Write writes rows to w, with their images or without that column. It returns the first error of either; what has been
// written by then is no whole file.
func Write(w io.Writer, f Format, images bool, rows iter.Seq2[graph.Exported, error]) error {
	e, err := newEncoder(w, f, images)
	if err != nil {
		return err
	}
	for exported, err := range rows {
		if err != nil {
			return err
		}
		if err := e.encode(newRow(exported), exported.Image); err != nil {
			return err
		}
	}
	return e.close()
}

func newEncoder(w io.Writer, f Format, images bool) (encoder, error) {
	switch f {
	case CSV:
		return newCSV(w, images)
	case Parquet:
		return newParquet(w, images), nil
	default:
		return newJSONL(w, images), nil
	}
}
