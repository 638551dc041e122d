package persistence

import (
	"context"
	"time"

	"github.com/georgysavva/scany/v2/pgxscan"
)

// ModelRoute is somebody's choice of the versions of a model that answer and that shadow.
type ModelRoute struct {
	Model   string
	Serving int
	// Shadow is nil where none shadows.
	Shadow    *int
	ChangedAt time.Time
}

// ModelRoutes returns every route. There are as few as models.
func (s *Store) ModelRoutes(ctx context.Context) ([]ModelRoute, error) {
	const query = `
SELECT r.model, r.serving, r.shadow, r.changed_at
FROM model_routes r`
	var routes []ModelRoute
	if err := pgxscan.Select(ctx, s.pool, &routes, query); err != nil {
		return nil, classify(err)
	}
	return routes, nil
}

// SetModelRoute stores a route in the place of the model's last one.
func (s *Store) SetModelRoute(ctx context.Context, r ModelRoute) error {
	const statement = `
INSERT INTO model_routes (changed_at, serving, shadow, model)
VALUES ($1, $2, $3, $4)
ON CONFLICT (model) DO UPDATE
SET changed_at = excluded.changed_at, serving = excluded.serving, shadow = excluded.shadow`
	_, err := s.pool.Exec(ctx, statement, r.ChangedAt, r.Serving, r.Shadow, r.Model)
	return classify(err)
}
