package persistence_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sibyl/persistence"
)

// insertAgain inserts a prediction like one that there is.
func insertAgain(t *testing.T, tx pgx.Tx, id, like persistence.PredictionID) {
	t.Helper()
	const statement = `
INSERT INTO predictions (id, input_id, created_at, model, version, source, outputs, decode_microseconds,
  queue_microseconds, inference_microseconds)
SELECT $1, p.input_id, now(), p.model, p.version, p.source, p.outputs, 1, 1, 1
FROM predictions p
WHERE p.id = $2`
	if tag, err := tx.Exec(t.Context(), statement, id, like); err != nil || tag.RowsAffected() != 1 {
		t.Fatal(tag, err)
	}
}

// tellOf does what a writer does that looks for listeners.
func tellOf(t *testing.T, tx pgx.Tx, ids ...persistence.PredictionID) {
	t.Helper()
	for _, id := range ids {
		if _, err := tx.Exec(t.Context(), persistence.Announce, persistence.Announcement(id)); err != nil {
			t.Fatal(err)
		}
	}
}

// begin begins a transaction on a connection of its own.
func begin(t *testing.T, url string) pgx.Tx {
	t.Helper()
	tx, err := connect(t, url).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func commit(t *testing.T, tx pgx.Tx) {
	t.Helper()
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// endListeners ends the sessions that listen, when there is one, and returns when they are gone.
func endListeners(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		tag, err := conn.Exec(ctx, `SELECT pg_terminate_backend(l.pid, 60000) FROM (`+listeners+`) l`)
		if err != nil || tag.RowsAffected() > 0 {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// TestListenerGivesNothingOlder: what was there before the first subscriber came is not given when the connection is lost.
func TestListenerGivesNothingOlder(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	conn := connect(t, url)
	record(t, store)
	for range 2 { // those who come when all others have left are the first, too
		sub := subscribe(t, store, persistence.PredictionFilter{})
		if err := endListeners(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_, p := record(t, store)
			if next(t, sub, 1)[p.ID] == nil {
				t.Error("an older one came")
			}
		}
		sub.Close()
	}
}

// TestListenerLooksBackFarEnough: many bytes are long on their way.
func TestListenerLooksBackFarEnough(t *testing.T) {
	t.Parallel()
	writer, url := setup(t)
	conn := connect(t, url)
	store := replica(t, url, persistence.Options{RecordTimeout: time.Nanosecond, RecordBytes: 4 << 30})
	_, p := record(t, writer)
	sub := subscribe(t, store, persistence.PredictionFilter{})
	id := persistence.NewPredictionID()
	made := time.Now().Add(-persistence.OutcomeTimeout(4 << 30)).UnixMilli()
	for i := range 6 {
		id[i] = byte(made >> (40 - 8*i))
	}
	tx := begin(t, url)
	insertAgain(t, tx, id, p.ID)
	if err := endListeners(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	commit(t, tx)
	if next(t, sub, 1)[id] == nil {
		t.Error("another came")
	}
}

// logFunc is called for each record of a log.
type logFunc func(message string)

func (f logFunc) Enabled(context.Context, slog.Level) bool { return true }
func (f logFunc) WithAttrs([]slog.Attr) slog.Handler       { return f }
func (f logFunc) WithGroup(string) slog.Handler            { return f }

func (f logFunc) Handle(_ context.Context, r slog.Record) error {
	f(r.Message)
	return nil
}

// TestListenerFallsBehind loses the connection while there is more on it to be heard, which was stored longer ago than the
// margin.
func TestListenerFallsBehind(t *testing.T) {
	t.Parallel()
	writer, url := setup(t)
	conn := connect(t, url)
	store := replica(t, url, persistence.Options{Logger: slog.New(logFunc(func(message string) {
		if message != "odd notification" {
			return
		}
		if err := endListeners(context.Background(), conn); err != nil {
			t.Error(err)
		}
	}))})
	persistence.SetMargin(store, 0)
	sub := subscribe(t, store, persistence.PredictionFilter{})
	_, p := record(t, writer)
	next(t, sub, 1)
	tx := begin(t, url)
	first, second := persistence.NewPredictionID(), persistence.NewPredictionID()
	insertAgain(t, tx, first, p.ID)
	tellOf(t, tx, first)
	if _, err := tx.Exec(t.Context(), "SELECT pg_notify('predictions', 'odd')"); err != nil {
		t.Fatal(err)
	}
	insertAgain(t, tx, second, p.ID)
	tellOf(t, tx, second)
	commit(t, tx)
	if got := next(t, sub, 2); got[first] == nil || got[second] == nil {
		t.Error("others came")
	}
}

// TestListenerHearsOfWhatItHasRead: what is committed while the listener reads what it has missed is told of, too, and given
// once, however long it took.
func TestListenerHearsOfWhatItHasRead(t *testing.T) {
	t.Parallel()
	writer, url := setup(t)
	conn := connect(t, url)
	store := replica(t, url, persistence.Options{})
	persistence.SetMargin(store, 0)
	sub := subscribe(t, store, persistence.PredictionFilter{})
	_, p := record(t, writer)
	next(t, sub, 1)
	tx := begin(t, url)
	if _, err := tx.Exec(t.Context(), `LOCK predictions IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	if err := endListeners(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a listener that reads", func() (reads bool) {
		const query = `
SELECT EXISTS (
  SELECT FROM (` + listeners + `) s
  JOIN pg_locks l ON l.pid = s.pid
  WHERE l.relation = 'predictions'::regclass AND NOT l.granted)`
		if err := conn.QueryRow(t.Context(), query).Scan(&reads); err != nil {
			t.Fatal(err)
		}
		return reads
	})
	began := persistence.NewPredictionID().Time()
	var ids []persistence.PredictionID
	for len(ids) < 5 {
		id := persistence.NewPredictionID()
		if !id.Time().After(began) {
			continue // it may have been made before the listener began to read
		}
		insertAgain(t, tx, id, p.ID)
		ids = append(ids, id)
	}
	tellOf(t, tx, ids...)
	commit(t, tx)
	got := next(t, sub, len(ids))
	for _, id := range ids {
		if got[id] == nil {
			t.Errorf("%s did not come", id)
		}
	}
	_, last := record(t, writer)
	if next(t, sub, 1)[last.ID] == nil {
		t.Error("one came twice")
	}
}

// TestListenerWaitsForWhoHasLooked holds up a transaction that found no listener until there is one.
func TestListenerWaitsForWhoHasLooked(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	conn := connect(t, url)
	sub := subscribe(t, store, persistence.PredictionFilter{})
	_, p := record(t, store)
	next(t, sub, 1)
	tx := begin(t, url)
	id := persistence.NewPredictionID()
	insertAgain(t, tx, id, p.ID)
	if err := endListeners(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	tellOf(t, tx, id)
	eventually(t, "a listener", func() (there bool) {
		if err := conn.QueryRow(t.Context(), `SELECT EXISTS (`+listeners+`)`).Scan(&there); err != nil {
			t.Fatal(err)
		}
		return there
	})
	time.Sleep(200 * time.Millisecond) // in which it would read what was stored
	commit(t, tx)
	if next(t, sub, 1)[id] == nil {
		t.Error("something else came")
	}
}

// TestListenerHearsOfLongTransactions: one that has found no listener, and commits long after there is one.
func TestListenerHearsOfLongTransactions(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	_, p := record(t, store)
	tx := begin(t, url)
	id := persistence.NewPredictionID()
	insertAgain(t, tx, id, p.ID)
	tellOf(t, tx, id)
	sub := subscribe(t, store, persistence.PredictionFilter{})
	commit(t, tx)
	_, other := record(t, store)
	if got := next(t, sub, 2); got[id] == nil || got[other.ID] == nil {
		t.Error("others came")
	}
}

// TestListenerReadsWhatBecomesVisible: of a distributed table rows may be told of before they are there.
func TestListenerReadsWhatBecomesVisible(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	persistence.SetDistributed(store)
	sub := subscribe(t, store, persistence.PredictionFilter{})
	_, p := record(t, store)
	next(t, sub, 1)
	slow, quick := begin(t, url), begin(t, url)
	gone, id := persistence.NewPredictionID(), persistence.NewPredictionID()
	insertAgain(t, slow, id, p.ID)
	tellOf(t, quick, gone, id)
	commit(t, quick)
	_, other := record(t, store)
	if next(t, sub, 1)[other.ID] == nil { // which was told of after the others
		t.Error("another came")
	}
	commit(t, slow)
	if next(t, sub, 1)[id] == nil {
		t.Error("another came")
	}
	_, last := record(t, store)
	if next(t, sub, 1)[last.ID] == nil {
		t.Error("one came twice")
	}
}
