package persistence

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/georgysavva/scany/v2/pgxscan"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// IdempotencyKey is what a client sends with a request so that it can send it again without doing it twice.
type IdempotencyKey struct {
	Key string
	// Fingerprint, a SHA-256, covers all that was asked.
	Fingerprint []byte
	CreatedAt   time.Time
	// InputID and PredictionID are what it led to. They need not be set in a Record, which has them.
	InputID      InputID
	PredictionID PredictionID
}

// IdempotencyTime is how long a key is kept.
const IdempotencyTime = 24 * time.Hour

// idempotencyConstraint is the one that a second prediction with the same key violates.
const idempotencyConstraint = "idempotency_keys_pkey"

const insertKeys = `
INSERT INTO idempotency_keys (key, fingerprint, created_at, input_id, prediction_id)
SELECT *
FROM unnest($1::text[], $2::bytea[], $3::timestamptz[], $4::uuid[], $5::uuid[]) AS k (key)
ORDER BY k.key`

func keyColumnsOf(keyed []*Record) []any {
	return []any{
		column(keyed, func(r *Record) string { return r.Key.Key }),
		column(keyed, func(r *Record) []byte { return r.Key.Fingerprint }),
		column(keyed, func(r *Record) time.Time { return r.Key.CreatedAt }),
		column(keyed, func(r *Record) InputID { return r.Prediction.InputID }),
		column(keyed, func(r *Record) PredictionID { return r.Prediction.ID }),
	}
}

// IdempotencyKey returns what a key led to. It returns ErrNotFound for a key that was not used, or so long ago that it
// had expired at the time now; that one is deleted, so that it can be used again.
func (s *Store) IdempotencyKey(ctx context.Context, key string, now time.Time) (*IdempotencyKey, error) {
	const query = `
SELECT k.key, k.fingerprint, k.created_at, k.input_id, k.prediction_id
FROM idempotency_keys k
WHERE k.key = $1`
	const remove = `
DELETE FROM idempotency_keys
WHERE key = $1
  AND created_at <= $2`
	var k IdempotencyKey
	if err := pgxscan.Get(ctx, s.pool, &k, query, key); err != nil {
		return nil, classify(err)
	}
	if oldest := now.Add(-IdempotencyTime); !k.CreatedAt.After(oldest) {
		if _, err := s.pool.Exec(ctx, remove, key, oldest); err != nil {
			return nil, classify(err)
		}
		return nil, ErrNotFound
	}
	return &k, nil
}

// isKeyTaken tells that somebody else's prediction has the key.
func isKeyTaken(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && violates(answer, idempotencyConstraint)
}

// violates tells that a row was refused for a unique constraint. Citus names that of a shard, in the message alone.
func violates(answer *pgconn.PgError, constraint string) bool {
	return answer.Code == stateUniqueViolation &&
		(answer.ConstraintName == constraint || answer.ConstraintName == "" && strings.Contains(answer.Message, constraint))
}

// ExpireIdempotencyKeys deletes the keys that have expired at the time now, in small transactions, and tells how many.
// It may run beside others.
func (s *Store) ExpireIdempotencyKeys(ctx context.Context, now time.Time) (deleted int, err error) {
	const query = `
SELECT k.key
FROM idempotency_keys k
WHERE k.created_at <= $1
ORDER BY k.created_at
LIMIT $2`
	const remove = `
DELETE FROM idempotency_keys
WHERE key = ANY($1)
  AND created_at <= $2`
	s, oldest := s.inBackground(), now.Add(-IdempotencyTime)
	for {
		rows, err := s.pool.Query(ctx, query, oldest, removeRows)
		if err != nil {
			return deleted, classify(err)
		}
		keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(keys) == 0 {
			return deleted, classify(err)
		}
		tag, err := s.pool.Exec(ctx, remove, keys, oldest)
		if err != nil {
			return deleted, classify(err)
		}
		deleted += int(tag.RowsAffected())
	}
}
