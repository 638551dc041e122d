package persistence

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// PredictionsByInput returns the same part of each input's own list q, which is by time, in one statement.
func (s *Store) PredictionsByInput(
	ctx context.Context, ids []InputID, q PredictionQuery, p Page,
) (map[InputID]Slice[*Prediction], error) {
	rows, err := s.nested(ctx, ids, q, p)
	if err != nil {
		return nil, classify(err)
	}
	lists := make(map[InputID][]*Prediction, len(ids))
	for _, row := range rows {
		lists[row.InputID] = append(lists[row.InputID], row)
	}
	parts := make(map[InputID]Slice[*Prediction], len(ids))
	for _, id := range ids {
		parts[id] = slice(lists[id], p)
	}
	return parts, nil
}

// nested reads the parts of all lists: where Citus distributes them in a round trip with a statement for each, as no
// part of one can be cut out on its shard.
func (s *Store) nested(ctx context.Context, ids []InputID, q PredictionQuery, p Page) (rows []*Prediction, err error) {
	if !s.pool.distributed {
		query, args := q.nested(ids, p)
		return selectPredictions(ctx, s.pool, query, args...)
	}
	var batch pgx.Batch
	for _, id := range ids {
		query, args := q.ofInput(id, p)
		batch.Queue(query, args...).Query(func(part pgx.Rows) error {
			more, err := scanPredictions(part)
			rows = append(rows, more...)
			return err
		})
	}
	return rows, s.pool.SendBatch(ctx, &batch).Close()
}

// ofInput is the statement that reads a part of one input's list.
func (q PredictionQuery) ofInput(id InputID, p Page) (query string, args []any) {
	c := q.conditions(conditions{args: []any{id}, clauses: []string{"p.input_id = $1"}}).sourced(q.sources())
	o := byID("p.id", q.Order.descending())
	c.within(p.bounds(), o)
	return `
SELECT ` + q.columns() + `
FROM predictions p` + c.where() + o.clause(p.Backward, p.Limit+1), c.args
}

// nested is the statement of PredictionsByInput.
func (q PredictionQuery) nested(ids []InputID, p Page) (query string, args []any) {
	c := q.conditions(conditions{args: []any{ids}, clauses: []string{"p.input_id = parent.id"}}).sourced(q.sources())
	o := byID("p.id", q.Order.descending())
	c.within(p.bounds(), o)
	return `
SELECT p.*
FROM unnest($1::uuid[]) AS parent (id)
CROSS JOIN LATERAL (
SELECT ` + q.columns() + `
FROM predictions p` + c.where() + o.clause(p.Backward, p.Limit+1) + `
) p`, c.args
}

// CountPredictionsByInput counts what is in each input's own list q, in one statement.
func (s *Store) CountPredictionsByInput(
	ctx context.Context, ids []InputID, q PredictionQuery,
) (map[InputID]int, error) {
	c := q.conditions(conditions{args: []any{ids}, clauses: []string{"p.input_id = ANY($1)"}}).sourced(q.sources())
	rows, err := s.pool.Query(ctx, `
SELECT p.input_id, count(*)
FROM predictions p`+c.where()+`
GROUP BY p.input_id`, c.args...)
	if err != nil {
		return nil, classify(err)
	}
	counts := make(map[InputID]int, len(ids))
	for rows.Next() {
		var id InputID
		var count int
		if err := rows.Scan(&id, &count); err != nil {
			rows.Close()
			return nil, classify(err)
		}
		counts[id] = count
	}
	return counts, classify(rows.Err())
}
