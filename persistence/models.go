package persistence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/georgysavva/scany/v2/pgxscan"
	"github.com/jackc/pgx/v5"
)

// ModelVersion is a model version that has served, kept so that old predictions can be read as they were made. The
// specifications are JSON of the engine's types.
type ModelVersion struct {
	Name    string
	Version int
	// CreatedAt is when the version was first loaded.
	CreatedAt time.Time
	// SHA256 of the model file, hexadecimal; nil where there is none.
	SHA256 *string
	// Fingerprint covers all that makes the version answer as it does.
	Fingerprint string
	ClassNames  []string
	Inputs      json.RawMessage
	Outputs     json.RawMessage
	Output      json.RawMessage
}

const hasPredicted = `
SELECT p.id
FROM predictions p
WHERE p.source IN ('REQUEST', 'SHADOW', 'REPLAY')
  AND p.model = $1
  AND p.version = $2
LIMIT 1`

// A version that has not predicted yet may still change; the first prediction settles it.
const upsertModelVersion = `
INSERT INTO model_versions AS m (created_at, version, name, sha256, fingerprint, class_names, inputs, outputs, output)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (name, version) DO UPDATE
SET sha256 = excluded.sha256, fingerprint = excluded.fingerprint, class_names = excluded.class_names,
  inputs = excluded.inputs, outputs = excluded.outputs, output = excluded.output
WHERE m.fingerprint = excluded.fingerprint
  OR NOT $10`

// KeepModelVersion keeps a version that is about to serve. It returns ErrModelVersionChanged where another one of that
// number has predicted. Two replicas that load different files under a number that has never predicted are not told
// apart until one of them starts again.
func (s *Store) KeepModelVersion(ctx context.Context, m *ModelVersion) error {
	var by PredictionID
	err := s.pool.QueryRow(ctx, hasPredicted, m.Name, m.Version).Scan(&by)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return classify(err)
	}
	tag, err := s.pool.Exec(ctx, upsertModelVersion, m.CreatedAt, m.Version, m.Name, m.SHA256, m.Fingerprint,
		m.ClassNames, m.Inputs, m.Outputs, m.Output, err == nil)
	if err != nil {
		return classify(err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("%w: model %q version %d", ErrModelVersionChanged, m.Name, m.Version)
	}
	return nil
}

// ModelVersion returns a version that has served, or ErrNotFound.
func (s *Store) ModelVersion(ctx context.Context, name string, version int) (*ModelVersion, error) {
	const query = `
SELECT m.name, m.version, m.created_at, m.sha256, m.fingerprint, m.class_names, m.inputs, m.outputs, m.output
FROM model_versions m
WHERE m.name = $1
  AND m.version = $2`
	var m ModelVersion
	if err := pgxscan.Get(ctx, s.pool, &m, query, name, version); err != nil {
		return nil, classify(err)
	}
	return &m, nil
}
