package persistence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// retryPause lies between two attempts to learn an outcome.
const retryPause = 50 * time.Millisecond

// Record is the rows of one prediction. It must not be changed once it is handed over; where the image went is told in
// the Input's StoredIn, and what the label of an input that is stored already says in the Prediction's Labelled and Correct.
type Record struct {
	// Input is nil where it is stored already.
	Input *Input
	// Image are the bytes of Input.
	Image      []byte
	Prediction *Prediction
	// Key is what a client asked with, so that asking again stores nothing; nil where it gave none.
	Key *IdempotencyKey
}

// bytes is about what the record takes in a message to the database.
func (r *Record) bytes() int { return len(r.Image) + len(r.Prediction.Outputs) + recordOverhead }

// recordOverhead is what the small columns of a record take, roughly.
const recordOverhead = 512

const insertInput = `
INSERT INTO inputs (id, created_at, filename, content_type, width, height, byte_size, sha256, stored_in, image)
`

// insertOneInput is insertInputs for one row, which costs the database less than arrays of one element do.
const insertOneInput = insertInput + `VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`

const insertInputs = insertInput + `SELECT *
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::integer[], $6::integer[], $7::integer[],
  $8::bytea[], $9::text[], $10::bytea[])`

const insertPrediction = `
INSERT INTO predictions (id, input_id, created_at, model, version, source, class_index, class_name, confidence, outputs,
  decode_microseconds, queue_microseconds, inference_microseconds)
`

// insertOnePrediction is insertPredictions for one row.
const insertOnePrediction = insertPrediction + `VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`

const insertPredictions = insertPrediction + `SELECT *
FROM ` + predictionRows

const predictionRows = `unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::integer[], $6::text[],
  $7::integer[], $8::text[], $9::double precision[], $10::jsonb[], $11::bigint[], $12::bigint[], $13::bigint[])`

// shareInputs keeps labels as they are until the predictions that copy them are there, and waits for one that is being
// written: the next statement sees it.
const shareInputs = `
SELECT i.id
FROM inputs i
WHERE i.id = ANY($1)
ORDER BY i.id
FOR KEY SHARE`

// insertLabelled is insertPredictions for inputs that are stored already, and may have a label.
const insertLabelled = `
INSERT INTO predictions (id, input_id, created_at, model, version, source, class_index, class_name, confidence, outputs,
  decode_microseconds, queue_microseconds, inference_microseconds, labelled, correct)
SELECT p.*, l.input_id IS NOT NULL, l.class_name = p.class_name
FROM ` + predictionRows + ` AS p (id, input_id, created_at, model, version, source, class_index, class_name, confidence,
  outputs, decode_microseconds, queue_microseconds, inference_microseconds)
LEFT JOIN labels l ON l.input_id = p.input_id
RETURNING id, labelled, correct`

// copyLabels does for predictions that were stored without what insertLabelled does at once, where rows that come with a
// statement cannot be joined with a distributed table. What keeps labels as they are is then the lock of the foreign key.
const copyLabels = `
UPDATE predictions p
SET labelled = true, correct = (l.class_name = p.class_name)
FROM labels l
WHERE l.input_id = p.input_id
  AND p.input_id = ANY($1)
  AND p.id = ANY($2)
RETURNING p.id, p.labelled, p.correct`

// insert sends records as one transaction.
func (p pool) insert(ctx context.Context, conn *pgxpool.Conn, records []*Record) error {
	var batch pgx.Batch
	for len(records) > 0 {
		group := records[:groupLength(records)]
		p.queueGroup(&batch, group)
		records = records[len(group):]
	}
	return p.together(ctx, conn, &batch)
}

// queueGroup queues the statements of one group. New inputs come first: what says that they are there already says so
// of all that goes with them.
func (p pool) queueGroup(batch *pgx.Batch, group []*Record) {
	var fresh, stored, keyed []*Record
	for _, r := range group {
		if r.Input != nil {
			fresh = append(fresh, r)
		} else {
			stored = append(stored, r)
		}
		if r.Key != nil {
			keyed = append(keyed, r)
		}
	}
	switch len(fresh) {
	case 0:
	case 1:
		batch.Queue(insertOneInput, inputValues(fresh[0])...)
		batch.Queue(insertOnePrediction, predictionValues(fresh[0])...)
	default:
		batch.Queue(insertInputs, inputColumnsOf(fresh)...)
		batch.Queue(insertPredictions, predictionColumnsOf(fresh)...)
	}
	if len(stored) > 0 {
		p.queueStored(batch, stored)
	}
	if len(keyed) > 0 {
		batch.Queue(insertKeys, keyColumnsOf(keyed)...)
	}
	batch.Queue(announce, announcement(group))
}

// queueStored queues the predictions of inputs that are stored already.
func (p pool) queueStored(batch *pgx.Batch, stored []*Record) {
	// The foreign key locks inputs in the order of the rows: it must be that of all others who lock several.
	slices.SortFunc(stored, func(a, b *Record) int {
		return slices.Compare(a.Prediction.InputID[:], b.Prediction.InputID[:])
	})
	inputs := column(stored, func(r *Record) InputID { return r.Prediction.InputID })
	if p.distributed {
		batch.Queue(insertPredictions, predictionColumnsOf(stored)...)
		batch.Queue(copyLabels, inputs, column(stored, func(r *Record) PredictionID { return r.Prediction.ID })).
			Query(copiesOf(stored))
		return
	}
	batch.Queue(shareInputs, inputs)
	batch.Queue(insertLabelled, predictionColumnsOf(stored)...).Query(copiesOf(stored))
}

// copiesOf takes over what the labels said, so that an answer has it as it is stored.
func copiesOf(stored []*Record) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		predictions := make(map[PredictionID]*Prediction, len(stored))
		for _, r := range stored {
			predictions[r.Prediction.ID] = r.Prediction
		}
		var id PredictionID
		var labelled bool
		var correct *bool
		_, err := pgx.ForEachRow(rows, []any{&id, &labelled, &correct}, func() error {
			predictions[id].Labelled, predictions[id].Correct = labelled, correct
			return nil
		})
		return err
	}
}

// groupLength is how many of the records go into one pair of statements: PostgreSQL takes no message near 1 GiB.
func groupLength[R interface{ bytes() int }](records []R) int {
	n, bytes := 0, 0
	for n < len(records) && n < groupRows && (n == 0 || bytes+records[n].bytes() <= groupBytes) {
		bytes += records[n].bytes()
		n++
	}
	return n
}

// column collects one value of each record, in a form that pgx sends without reflection.
func column[R, T any](group []R, value func(R) T) pgtype.FlatArray[T] {
	values := make(pgtype.FlatArray[T], len(group))
	for i, r := range group {
		values[i] = value(r)
	}
	return values
}

func inputColumnsOf(group []*Record) []any {
	return []any{
		column(group, func(r *Record) InputID { return r.Input.ID }),
		column(group, func(r *Record) time.Time { return r.Input.CreatedAt }),
		column(group, func(r *Record) *string { return r.Input.Filename }),
		column(group, func(r *Record) string { return r.Input.ContentType }),
		column(group, func(r *Record) int32 { return int32(r.Input.Width) }),
		column(group, func(r *Record) int32 { return int32(r.Input.Height) }),
		column(group, func(r *Record) int32 { return int32(r.Input.ByteSize) }),
		column(group, func(r *Record) []byte { return r.Input.SHA256 }),
		column(group, func(r *Record) StoredIn { return r.Input.StoredIn }),
		column(group, func(r *Record) []byte { return r.Image }),
	}
}

// inputValues are what inputColumnsOf has of one record.
func inputValues(r *Record) []any {
	in := r.Input
	return []any{
		in.ID, in.CreatedAt, in.Filename, in.ContentType, int32(in.Width), int32(in.Height), int32(in.ByteSize),
		[]byte(in.SHA256), string(in.StoredIn), r.Image,
	}
}

func predictionColumnsOf(group []*Record) []any {
	return []any{
		column(group, func(r *Record) PredictionID { return r.Prediction.ID }),
		column(group, func(r *Record) InputID { return r.Prediction.InputID }),
		column(group, func(r *Record) time.Time { return r.Prediction.CreatedAt }),
		column(group, func(r *Record) string { return r.Prediction.ModelName }),
		column(group, func(r *Record) int32 { return int32(r.Prediction.ModelVersion) }),
		column(group, func(r *Record) string { return string(r.Prediction.Source) }),
		column(group, func(r *Record) *int { return r.Prediction.ClassIndex }),
		column(group, func(r *Record) *string { return r.Prediction.ClassName }),
		column(group, func(r *Record) *float64 { return r.Prediction.Confidence }),
		column(group, func(r *Record) []byte { return r.Prediction.Outputs }),
		column(group, func(r *Record) int64 { return r.Prediction.DecodeMicroseconds }),
		column(group, func(r *Record) int64 { return r.Prediction.QueueMicroseconds }),
		column(group, func(r *Record) int64 { return r.Prediction.InferenceMicroseconds }),
	}
}

// predictionValues are what predictionColumnsOf has of one record.
func predictionValues(r *Record) []any {
	p := r.Prediction
	return []any{
		p.ID, p.InputID, p.CreatedAt, p.ModelName, int32(p.ModelVersion), string(p.Source), p.ClassIndex, p.ClassName,
		p.Confidence, []byte(p.Outputs), p.DecodeMicroseconds, p.QueueMicroseconds, p.InferenceMicroseconds,
	}
}

// commit stores a group in one transaction and returns its outcome: nil, an error after which nothing is stored, or
// ErrStoredUnknown.
//
// A group whose connection was lost is sent again. The rows' own IDs make that safe: the database waits for what the
// lost connection may still be committing, and then either takes the rows or says that it has them. One that the database
// has chosen to end a deadlock is sent again too: none of it is stored.
func (p pool) commit(ctx context.Context, group []*Record) error {
	for inDoubt := false; ; {
		conn, err := p.Acquire(ctx)
		if err == nil {
			err = p.insert(ctx, conn, group)
			conn.Release()
			if err == nil {
				return nil
			}
			if inDoubt && isUniqueViolation(err) && !isKeyTaken(err) {
				p.recall(ctx, group)
				return nil
			}
			if answered(err) && !inDoubt && !isDeadlock(err) || isKeyTaken(err) {
				return classify(err)
			}
			inDoubt = inDoubt || !answered(err) && !pgconn.SafeToRetry(err)
		} else if !inDoubt {
			// ctx is the writer's own: that it ended says that the database did not answer.
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		select {
		case <-ctx.Done():
			if inDoubt {
				return fmt.Errorf("%w: %w", ErrStoredUnknown, err)
			}
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		case <-time.After(retryPause):
		}
	}
}

// recall takes over what labels said when a group was stored, whose answer was lost. It is stored, whether that can be
// read or not.
func (p pool) recall(ctx context.Context, group []*Record) {
	const query = `
SELECT p.id, p.labelled, p.correct
FROM predictions p
WHERE p.id = ANY($1)`
	rows, err := p.Query(ctx, query, column(group, func(r *Record) PredictionID { return r.Prediction.ID }))
	if err == nil {
		_ = copiesOf(group)(rows)
	}
}

// answered tells whether the server has said what went wrong, so that it is certain that nothing was committed. A
// server that ends the connection says so in the same way, but may have committed.
func answered(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.SeverityUnlocalized != "FATAL" && answer.SeverityUnlocalized != "PANIC"
}

func isDeadlock(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code == stateDeadlock
}

func isUniqueViolation(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code == stateUniqueViolation
}
