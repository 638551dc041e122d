package persistence

import (
	"context"
	"strings"
	"time"

	"github.com/georgysavva/scany/v2/pgxscan"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Input is a stored image as a client sent it, without its bytes. It must not be changed.
type Input struct {
	ID InputID
	// CreatedAt is the ID's millisecond.
	CreatedAt time.Time
	// Filename is the name the client gave; nil where it gave none.
	Filename *string
	// ContentType is the media type found in the bytes, for example `image/png`.
	ContentType string
	// Width and Height are pixels, after EXIF orientation.
	Width, Height int
	ByteSize      int
	SHA256        Digest
	// StoredIn is where the bytes are.
	StoredIn StoredIn
}

// IsNode marks an input as an object with a global ID.
func (Input) IsNode() {}

// InputFilter picks inputs; every condition given must hold.
type InputFilter struct {
	CreatedAt   TimeRange
	ContentType *string
	// Labelled picks those that have a label, or none.
	Labelled *bool
	// ClassName is that of the label.
	ClassName *string
}

// TimeRange is From inclusive, Until exclusive; nil is open.
type TimeRange struct {
	From, Until *time.Time
}

func (r TimeRange) picks(t time.Time) bool {
	return (r.From == nil || !t.Before(*r.From)) && (r.Until == nil || t.Before(*r.Until))
}

// inputKeys are the columns of an input without what is told of its image.
const (
	inputKeys    = "i.id, i.created_at, i.filename"
	inputColumns = inputKeys + ", i.content_type, i.width, i.height, i.byte_size, i.sha256, i.stored_in"
)

// inputOfPrediction are the columns of Prediction.Input, with or without what is told of the image.
func inputOfPrediction(image bool) string {
	columns := inputKeys
	if image {
		columns = inputColumns
	}
	aliased := strings.Split(columns, ", ")
	for i, column := range aliased {
		aliased[i] = column + ` AS "` + inputPrefix + strings.TrimPrefix(column, "i.") + `"`
	}
	return strings.Join(aliased, ", ")
}

// Input returns one input, or ErrNotFound.
func (s *Store) Input(ctx context.Context, id InputID) (*Input, error) {
	const query = `
SELECT ` + inputColumns + `
FROM inputs i
WHERE i.id = $1`
	var in Input
	if err := pgxscan.Get(ctx, s.pool, &in, query, id); err != nil {
		return nil, classify(err)
	}
	return &in, nil
}

// InputsByID returns the inputs of ids that exist, in one statement and in no order. Without image they come without
// what is told of it, from ContentType on.
func (s *Store) InputsByID(ctx context.Context, ids []InputID, image bool) ([]*Input, error) {
	const all = `
SELECT ` + inputColumns + `
FROM inputs i
WHERE i.id = ANY($1)`
	const keys = `
SELECT ` + inputKeys + `
FROM inputs i
WHERE i.id = ANY($1)`
	query := keys
	if image {
		query = all
	}
	var rows []*Input
	if err := pgxscan.Select(ctx, s.pool, &rows, query, ids); err != nil {
		return nil, classify(err)
	}
	return rows, nil
}

// Inputs returns a part of the inputs that f picks, newest first.
func (s *Store) Inputs(ctx context.Context, f InputFilter, p Page) (Slice[*Input], error) {
	rows, err := s.inputs(ctx, f, p.bounds(), p.Backward, p.Limit+1)
	if err != nil {
		return Slice[*Input]{}, err
	}
	return slice(rows, p), nil
}

// AnyInputs tells whether the list has a row at the key or beyond it: forward in the list's order, or backward.
func (s *Store) AnyInputs(ctx context.Context, f InputFilter, at Key, forward bool) (bool, error) {
	rows, err := s.inputs(ctx, f, onwards(at, forward), !forward, 1)
	return len(rows) > 0, err
}

func (s *Store) inputs(
	ctx context.Context, f InputFilter, bounds []bound, backward bool, limit int,
) ([]*Input, error) {
	query, args := f.statement(bounds, backward, limit)
	var rows []*Input
	if err := pgxscan.Select(ctx, s.pool, &rows, query, args...); err != nil {
		return nil, classify(err)
	}
	return rows, nil
}

// statement reads inputs within bounds, the newest first or backward.
func (f InputFilter) statement(bounds []bound, backward bool, limit int) (query string, args []any) {
	from, id := f.from()
	c := f.conditions(id)
	newest := byID(id, true)
	c.within(bounds, newest)
	return `
SELECT ` + inputColumns + from + c.where() + newest.clause(backward, limit), c.args
}

// CountInputs counts the inputs that f picks.
func (s *Store) CountInputs(ctx context.Context, f InputFilter) (count int, err error) {
	from, id := f.from()
	c := f.conditions(id)
	err = s.pool.QueryRow(ctx, `
SELECT count(*)`+from+c.where(), c.args...).Scan(&count)
	return count, classify(err)
}

// from names the tables and the column that has the ID. Where a label is asked for the labels lead: they may be few.
func (f InputFilter) from() (clause, id string) {
	if f.ClassName != nil || f.Labelled != nil && *f.Labelled {
		return `
FROM labels l
JOIN inputs i ON i.id = l.input_id`, "l.input_id"
	}
	return `
FROM inputs i`, "i.id"
}

func (f InputFilter) conditions(id string) *conditions {
	var c conditions
	c.createdAt(f.CreatedAt, id)
	if f.ContentType != nil {
		c.add("i.content_type = $?", *f.ContentType)
	}
	if f.ClassName != nil {
		c.add("l.class_name = $?", *f.ClassName)
	}
	if f.Labelled != nil && !*f.Labelled {
		c.add("NOT EXISTS (SELECT 1 FROM labels n WHERE n.input_id = i.id)")
	}
	return &c
}

// DeleteInput deletes an input with its image, its label and its predictions, which it counts. It returns ErrNotFound
// where the input is not there.
func (s *Store) DeleteInput(ctx context.Context, id InputID) (predictions int, err error) {
	const count = `
SELECT count(*)
FROM predictions p
WHERE p.input_id = $1`
	const remove = `
DELETE FROM inputs
WHERE id = $1`
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var batch pgx.Batch
		batch.Queue(lockInput, id) // nobody adds a prediction that would not be counted
		batch.Queue(count, id).QueryRow(func(row pgx.Row) error { return row.Scan(&predictions) })
		batch.Queue(remove, id).Exec(func(tag pgconn.CommandTag) error {
			if tag.RowsAffected() == 0 {
				return ErrNotFound
			}
			return nil
		})
		return tx.SendBatch(ctx, &batch).Close()
	})
	return predictions, classify(err)
}

// createdAt adds a range of time as the range of IDs that were made in it.
func (c *conditions) createdAt(r TimeRange, column string) {
	if r.From != nil {
		c.add(column+" >= $?", firstUUID(*r.From))
	}
	if r.Until != nil {
		c.add(column+" < $?", firstUUID(*r.Until))
	}
}
