package persistence_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sibyl/persistence"
	"sibyl/persistence/persistencetest"
)

// sessions are the server's processes of a store.
func sessions(t *testing.T, conn *pgx.Conn) (pids []int32) {
	t.Helper()
	const query = `
SELECT pid
FROM pg_stat_activity
WHERE datname = current_database()
  AND application_name = 'sibyl'`
	rows, err := conn.Query(t.Context(), query)
	if err == nil {
		pids, err = pgx.CollectRows(rows, pgx.RowTo[int32])
	}
	if err != nil {
		t.Fatal(err)
	}
	return pids
}

// TestReadOnlyServer: the connections to a server that was written to before a failover are not kept, and the store
// works again when there is one that can be written to.
func TestReadOnlyServer(t *testing.T) {
	plain, url := setup(t)
	plain.Close()
	store, err := persistence.Open(t.Context(), url, persistence.Options{MaxConnections: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	in, _ := record(t, store)
	direct := connect(t, url)
	before := sessions(t, direct)
	if len(before) == 0 {
		t.Fatal("no session has the store's name")
	}
	setReadOnly := func(to string) {
		conn, err := pgx.Connect(context.Background(), persistencetest.Server(t))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		for _, statement := range []string{
			`ALTER SYSTEM SET default_transaction_read_only = ` + to, `SELECT pg_reload_conf()`,
		} {
			if _, err := conn.Exec(context.Background(), statement); err != nil {
				t.Fatal(err)
			}
		}
	}
	setReadOnly("on")
	defer setReadOnly("off")
	more := func() error {
		p := again(in)
		return store.Record(t.Context(), &persistence.Record{Prediction: p})
	}
	eventually(t, "a refusal", func() bool { return more() != nil })
	for range 5 {
		if err := more(); !errors.Is(err, persistence.ErrUnavailable) {
			t.Errorf("while the server is read-only: %v", err)
		}
	}
	eventually(t, "the end of the old sessions", func() bool { return len(sessions(t, direct)) == 0 })
	if err := store.Ready(t.Context()); !errors.Is(err, persistence.ErrUnavailable) {
		t.Errorf("ready: %v", err)
	}
	setReadOnly("off")
	eventually(t, "a prediction", func() bool { return more() == nil })
}

// TestConnectionsAreCut: whoever asks meanwhile is told, and nothing that was acknowledged is lost.
func TestConnectionsAreCut(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	direct := connect(t, url)
	var callers sync.WaitGroup
	var mu sync.Mutex
	var acknowledged []persistence.PredictionID
	stop := make(chan struct{})
	for range 8 {
		callers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				in, p := sample([]byte("image"))
				err := store.Record(t.Context(), rows(in, []byte("image"), p))
				if err == nil {
					mu.Lock()
					acknowledged = append(acknowledged, p.ID)
					mu.Unlock()
					_, err = store.Input(t.Context(), in.ID)
				}
				if err != nil && !errors.Is(err, persistence.ErrUnavailable) && !errors.Is(err, persistence.ErrStoredUnknown) {
					t.Error(err)
				}
			}
		})
	}
	stored := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged)
	}
	for range 5 {
		before := stored()
		eventually(t, "predictions", func() bool { return stored() > before+10 })
		const cut = `
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE datname = current_database()
  AND application_name = 'sibyl'`
		if _, err := direct.Exec(t.Context(), cut); err != nil {
			t.Fatal(err)
		}
	}
	before := stored()
	eventually(t, "predictions", func() bool { return stored() > before+10 })
	close(stop)
	callers.Wait()
	if left, err := store.PredictionsByID(t.Context(), acknowledged); err != nil || len(left) != len(acknowledged) {
		t.Errorf("%d of %d predictions are there, %v", len(left), len(acknowledged), err)
	}
}

// TestStatementTimeout ends what takes too long, and says that.
func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	plain, url := setup(t)
	in, _ := record(t, plain)
	store, err := persistence.Open(t.Context(), url, persistence.Options{StatementTimeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	tx, err := connect(t, url).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM inputs FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	if _, err := store.DeleteInput(t.Context(), in.ID); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a locked row: %v", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.DeleteInput(t.Context(), in.ID); err != nil {
		t.Error(err)
	}
}
