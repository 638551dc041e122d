package persistence

import (
	"context"
	"time"

	"github.com/georgysavva/scany/v2/pgxscan"
	"github.com/jackc/pgx/v5"
)

// Label is the truth about an input: a class, or a value.
type Label struct {
	InputID InputID
	// ClassIndex and ClassName are of a class; nil where the label is a value.
	ClassIndex *int
	ClassName  *string
	// Value is nil where the label is a class.
	Value     *float64
	CreatedAt time.Time
}

// lockInput keeps other transactions from adding predictions to an input, which take a key share lock on it, until the
// label and its copies on all predictions are written: none is missed.
const lockInput = `
SELECT i.id
FROM inputs i
WHERE i.id = $1
FOR UPDATE`

// SetLabel stores a label in the place of the input's last one. It returns ErrNotFound where the input is not there.
func (s *Store) SetLabel(ctx context.Context, l *Label) error {
	const upsert = `
INSERT INTO labels (input_id, created_at, value, class_index, class_name)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (input_id) DO UPDATE
SET created_at = excluded.created_at, value = excluded.value, class_index = excluded.class_index,
  class_name = excluded.class_name`
	const copies = `
UPDATE predictions
SET labelled = true, correct = (class_name = $2)
WHERE input_id = $1`
	var batch pgx.Batch
	batch.Queue(lockInput, l.InputID)
	batch.Queue(upsert, l.InputID, l.CreatedAt, l.Value, l.ClassIndex, l.ClassName)
	batch.Queue(copies, l.InputID, l.ClassName)
	return classify(s.pool.together(ctx, s.pool, &batch))
}

// RemoveLabel takes an input's label back, if it has one.
func (s *Store) RemoveLabel(ctx context.Context, id InputID) error {
	const remove = `
DELETE FROM labels
WHERE input_id = $1`
	const copies = `
UPDATE predictions
SET labelled = false, correct = NULL
WHERE input_id = $1
  AND labelled`
	var batch pgx.Batch
	batch.Queue(lockInput, id)
	batch.Queue(remove, id)
	batch.Queue(copies, id)
	return classify(s.pool.together(ctx, s.pool, &batch))
}

// LabelsByInput returns the labels of those inputs that have one, in one statement.
func (s *Store) LabelsByInput(ctx context.Context, ids []InputID) (map[InputID]*Label, error) {
	const query = `
SELECT l.input_id, l.class_index, l.class_name, l.value, l.created_at
FROM labels l
WHERE l.input_id = ANY($1)`
	var rows []*Label
	if err := pgxscan.Select(ctx, s.pool, &rows, query, ids); err != nil {
		return nil, classify(err)
	}
	labels := make(map[InputID]*Label, len(rows))
	for _, l := range rows {
		labels[l.InputID] = l
	}
	return labels, nil
}

// ModelKey names a version of a model.
type ModelKey struct {
	Name    string `db:"model"`
	Version int
}

// ModelsOfInput returns the versions that have predicted an input, that of the newest prediction first.
func (s *Store) ModelsOfInput(ctx context.Context, id InputID) ([]ModelKey, error) {
	const query = `
SELECT p.model, p.version
FROM (
  SELECT DISTINCT ON (p.model, p.version) p.model, p.version, p.id
  FROM predictions p
  WHERE p.input_id = $1
  ORDER BY p.model, p.version, p.id DESC
) p
ORDER BY p.id DESC`
	var models []ModelKey
	return models, classify(pgxscan.Select(ctx, s.pool, &models, query, id))
}
