package persistence

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// batchTimeout bounds the reading of what belongs to a batch: no subscriber's departure ends it.
const batchTimeout = 10 * time.Second

// Batch is predictions that subscriptions were given together. What belongs to them is read once for all subscribers of
// this process, when the first asks for it. It is safe for concurrent use.
type Batch struct {
	inputs  func() (map[InputID]*Input, error)
	outputs func() (map[PredictionID]json.RawMessage, error)
}

// Batch returns what a prediction came in; nil where no subscription gave it.
func (p *Prediction) Batch() *Batch { return p.batch }

// Inputs are those of the predictions, which must not be changed. One that has been deleted meanwhile is not there.
func (b *Batch) Inputs() (map[InputID]*Input, error) { return b.inputs() }

// Outputs are those of the predictions. Of one that has been deleted meanwhile there are none.
func (b *Batch) Outputs() (map[PredictionID]json.RawMessage, error) { return b.outputs() }

// bind makes a batch of predictions.
func (s *Store) bind(predictions []*Prediction) {
	b := new(Batch)
	inputs, ids := make([]InputID, len(predictions)), make([]PredictionID, len(predictions))
	for i, p := range predictions {
		inputs[i], ids[i], p.batch = p.InputID, p.ID, b
	}
	b.inputs = sync.OnceValues(func() (map[InputID]*Input, error) {
		return within(func(ctx context.Context) ([]*Input, error) { return s.InputsByID(ctx, inputs, true) },
			func(in *Input) (InputID, *Input) { return in.ID, in })
	})
	b.outputs = sync.OnceValues(func() (map[PredictionID]json.RawMessage, error) {
		return within(func(ctx context.Context) ([]*Prediction, error) { return s.PredictionsByID(ctx, ids) },
			func(p *Prediction) (PredictionID, json.RawMessage) { return p.ID, p.Outputs })
	})
}

// within reads rows in bounded time, and puts them under their keys.
func within[K comparable, R, V any](
	read func(context.Context) ([]R, error), entry func(R) (K, V),
) (map[K]V, error) {
	ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
	defer cancel()
	rows, err := read(ctx)
	if err != nil {
		return nil, err
	}
	entries := make(map[K]V, len(rows))
	for _, row := range rows {
		key, value := entry(row)
		entries[key] = value
	}
	return entries, nil
}
