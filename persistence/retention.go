package persistence

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Bounds of a transaction that removes what is old: others must not have to wait for it.
const (
	removeRows  = 500
	removeBytes = 64 << 20
)

// RemoveImages removes the bytes of the inputs that were made before a time, the oldest first, and keeps all else of
// them. It tells how many it has removed, also where it returns an error, after which it may be called again. What was
// in object storage is left to CollectObjects, as another input may have the same bytes. It may run beside others.
func (s *Store) RemoveImages(ctx context.Context, before time.Time) (removed int, err error) {
	const query = `
SELECT i.id, CASE i.stored_in WHEN 'database' THEN i.byte_size ELSE 0 END
FROM inputs i
WHERE i.id < $1
  AND i.stored_in <> 'removed'
ORDER BY i.id
LIMIT $2`
	const remove = `
UPDATE inputs
SET stored_in = 'removed', image = NULL
WHERE id = ANY($1)
  AND stored_in <> 'removed'`
	s = s.inBackground()
	for {
		rows, err := s.pool.Query(ctx, query, firstUUID(before), removeRows)
		if err != nil {
			return removed, classify(err)
		}
		var ids []InputID
		var id InputID
		all, size, bytes := 0, 0, 0
		_, err = pgx.ForEachRow(rows, []any{&id, &size}, func() error {
			if bytes += size; all == len(ids) && (all == 0 || bytes <= removeBytes) {
				ids = append(ids, id)
			}
			all++
			return nil
		})
		if err != nil || len(ids) == 0 {
			return removed, classify(err)
		}
		tag, err := s.pool.Exec(ctx, remove, ids)
		if err != nil {
			return removed, classify(err)
		}
		removed += int(tag.RowsAffected())
	}
}

// RemovePredictions removes the predictions that were made before a time, the oldest first, and with the last one of an
// input the input with its image and its label. It tells how many predictions it has removed, also where it returns an
// error, after which it may be called again. It may run beside others.
func (s *Store) RemovePredictions(ctx context.Context, before time.Time) (removed int, err error) {
	s = s.inBackground()
	for _, source := range allSources {
		for after := (uuid.UUID{}); ; {
			page, err := s.predictionsBefore(ctx, source, after, firstUUID(before))
			if err != nil || len(page) == 0 {
				if err != nil {
					return removed, err
				}
				break
			}
			n, err := s.removePredictions(ctx, page)
			if removed += n; err != nil {
				return removed, err
			}
			after = uuid.UUID(page[len(page)-1].ID)
		}
	}
	return removed, nil
}

// predictionKey is the primary key of a prediction.
type predictionKey struct {
	InputID InputID
	ID      PredictionID
}

// predictionsBefore returns some of the oldest predictions of a source, of those with IDs between two.
func (s *Store) predictionsBefore(
	ctx context.Context, source Source, after, before uuid.UUID,
) ([]predictionKey, error) {
	const query = `
SELECT p.input_id, p.id
FROM predictions p
WHERE p.source = $1
  AND p.id > $2
  AND p.id < $3
ORDER BY p.id
LIMIT $4`
	rows, err := s.pool.Query(ctx, query, source, after, before, removeRows)
	if err != nil {
		return nil, classify(err)
	}
	page, err := pgx.CollectRows(rows, pgx.RowToStructByPos[predictionKey])
	return page, classify(err)
}

// removePredictions removes predictions, and the inputs that have none left: nobody adds one to them meanwhile, as they
// are locked one by one, in an order.
func (s *Store) removePredictions(ctx context.Context, page []predictionKey) (removed int, err error) {
	const remove = `
DELETE FROM predictions
WHERE input_id = ANY($1)
  AND id = ANY($2)`
	const removeInputs = `
DELETE FROM inputs i
WHERE i.id = ANY($1)
  AND NOT EXISTS (SELECT 1 FROM predictions p WHERE p.input_id = i.id)`
	inputs := column(page, func(k predictionKey) InputID { return k.InputID })
	slices.SortFunc(inputs, func(a, b InputID) int { return slices.Compare(a[:], b[:]) })
	inputs = slices.Compact(inputs)
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var batch pgx.Batch
		for _, id := range inputs {
			batch.Queue(lockInput, id)
		}
		ids := column(page, func(k predictionKey) PredictionID { return k.ID })
		batch.Queue(remove, inputs, ids).Exec(func(tag pgconn.CommandTag) error {
			removed = int(tag.RowsAffected())
			return nil
		})
		batch.Queue(removeInputs, inputs)
		return tx.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		return 0, classify(err)
	}
	return removed, nil
}
