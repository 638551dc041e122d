package persistence

import (
	"context"
	"fmt"
	"strings"

	"github.com/georgysavva/scany/v2/pgxscan"
	"github.com/jackc/pgx/v5"
)

// predictionPlaces tell where each column of predictions goes. They are read by these, not by scany: finding the fields of
// each row by reflection took a quarter of the time of a page.
var predictionPlaces = map[string]func(*Prediction) any{
	"id":                         func(p *Prediction) any { return &p.ID },
	"input_id":                   func(p *Prediction) any { return &p.InputID },
	"created_at":                 func(p *Prediction) any { return &p.CreatedAt },
	"model":                      func(p *Prediction) any { return &p.ModelName },
	"version":                    func(p *Prediction) any { return &p.ModelVersion },
	"source":                     func(p *Prediction) any { return &p.Source },
	"class_index":                func(p *Prediction) any { return &p.ClassIndex },
	"class_name":                 func(p *Prediction) any { return &p.ClassName },
	"confidence":                 func(p *Prediction) any { return &p.Confidence },
	"labelled":                   func(p *Prediction) any { return &p.Labelled },
	"correct":                    func(p *Prediction) any { return &p.Correct },
	"outputs":                    func(p *Prediction) any { return (*[]byte)(&p.Outputs) }, // which need not be checked again
	"decode_microseconds":        func(p *Prediction) any { return &p.DecodeMicroseconds },
	"queue_microseconds":         func(p *Prediction) any { return &p.QueueMicroseconds },
	"inference_microseconds":     func(p *Prediction) any { return &p.InferenceMicroseconds },
	inputPrefix + "id":           func(p *Prediction) any { return &p.Input.ID },
	inputPrefix + "created_at":   func(p *Prediction) any { return &p.Input.CreatedAt },
	inputPrefix + "filename":     func(p *Prediction) any { return &p.Input.Filename },
	inputPrefix + "content_type": func(p *Prediction) any { return &p.Input.ContentType },
	inputPrefix + "width":        func(p *Prediction) any { return &p.Input.Width },
	inputPrefix + "height":       func(p *Prediction) any { return &p.Input.Height },
	inputPrefix + "byte_size":    func(p *Prediction) any { return &p.Input.ByteSize },
	inputPrefix + "sha256":       func(p *Prediction) any { return &p.Input.SHA256 },
	inputPrefix + "stored_in":    func(p *Prediction) any { return &p.Input.StoredIn },
}

// inputPrefix begins the names of columns that are of a prediction's input.
const inputPrefix = "input."

// selectPredictions reads the predictions that a statement gives, from a pool or one of its connections.
func selectPredictions(ctx context.Context, db pgxscan.Querier, query string, args ...any) ([]*Prediction, error) {
	rows, err := db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return scanPredictions(rows)
}

// scanPredictions reads the rows of a list, and closes them.
func scanPredictions(rows pgx.Rows) (all []*Prediction, err error) {
	defer rows.Close()
	columns := rows.FieldDescriptions()
	places, withInput := make([]func(*Prediction) any, len(columns)), false
	for i, column := range columns {
		if places[i] = predictionPlaces[column.Name]; places[i] == nil {
			return nil, fmt.Errorf("predictions have no place for the column %q", column.Name)
		}
		withInput = withInput || strings.HasPrefix(column.Name, inputPrefix)
	}
	fields := make([]any, len(columns))
	for rows.Next() {
		p := new(Prediction)
		if withInput {
			p.Input = new(Input)
		}
		for i, place := range places {
			fields[i] = place(p)
		}
		if err := rows.Scan(fields...); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, rows.Err()
}
