package persistence

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Announce is the statement that tells listeners.
const Announce = announce

// The bounds of the writer, for its tests.
const (
	QueueRows = queueRows
	GroupRows = groupRows
	Writers   = writers
)

// InsertGroup stores records in one transaction, without the writer.
func InsertGroup(ctx context.Context, connections *pgxpool.Pool, records []*Record) error {
	conn, err := connections.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return pool{}.insert(ctx, conn, records)
}

// Waiting tells how many records wait to be written.
func Waiting(s *Store) int {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	return len(s.writer.pending)
}

// StartJobs is Store.StartJobs with another time between two signs of life of a job.
func StartJobs(ctx context.Context, s *Store, jobs []Job, beat time.Duration) (*Jobs, error) {
	return s.startJobs(ctx, jobs, slog.New(slog.DiscardHandler), beat)
}

// JobLease is how long after the last one a job counts as running.
const JobLease = jobLease

// Statement is SQL with its arguments.
type Statement struct {
	SQL  string
	Args []any
}

// ListStatements are all that may be needed to read a page of the list q.
func ListStatements(q PredictionQuery, p Page) (statements []Statement) {
	segments := q.segments()
	for i, s := range segments {
		if within, any := reach(segments, i, p.bounds()); any {
			sql, args := q.segment(s, within, p.Backward, p.Limit+1)
			statements = append(statements, Statement{sql, args})
		}
	}
	return statements
}

// NestedStatement reads a page of each input's own list q.
func NestedStatement(q PredictionQuery, ids []InputID, p Page) Statement {
	sql, args := q.nested(ids, p)
	return Statement{sql, args}
}

// InputStatement reads a page of the inputs that f picks.
func InputStatement(f InputFilter, p Page) Statement {
	sql, args := f.statement(p.bounds(), p.Backward, p.Limit+1)
	return Statement{sql, args}
}

// ExportStatement reads a page of an export of what f picks, between two rows.
func ExportStatement(f PredictionFilter, after, last Key, rows int) Statement {
	e := export{query: exportQuery(f), after: &after, last: &last, rows: rows}
	sql, args := e.statement()
	return Statement{sql, args}
}

// RefreshAge is the age from which an object is written again.
const RefreshAge = refreshAge

// RemoveRows is how many rows retention removes in a transaction.
const RemoveRows = removeRows

// MaxPending is what a subscription may hold.
const MaxPending = maxPending

// Picks tells whether a subscription with the filter gives the prediction.
func Picks(f PredictionFilter, p *Prediction) bool { return f.picks(p) }

// Announcement is what listeners are told of a prediction.
func Announcement(id PredictionID) string {
	return announcement([]*Record{{Prediction: &Prediction{ID: id}}})
}

// SetDistributed has a store that has just been opened say what it says to a database with Citus.
func SetDistributed(s *Store) {
	s.pool.distributed, s.background.distributed, s.writer.pool.distributed = true, true, true
}

// SetMargin has a store that nobody has subscribed to yet look that far back when it has lost the listener's connection,
// and remember for as long what subscribers were given.
func SetMargin(s *Store, margin time.Duration) {
	s.listener.mu.Lock()
	defer s.listener.mu.Unlock()
	s.listener.margin, s.listener.told = margin, newRecent(margin)
}
