package persistence_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sibyl/persistence"
	"sibyl/persistence/persistencetest"
)

// recordMany records n predictions at once and returns their errors; change may spoil one.
func recordMany(t *testing.T, store *persistence.Store, n int, change func(i int, p *persistence.Prediction)) []error {
	t.Helper()
	errs := make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			in, p := sample([]byte("image"))
			change(i, p)
			errs[i] = store.Record(context.Background(), rows(in, []byte("image"), p))
		})
	}
	group.Wait()
	return errs
}

// block keeps every writer from storing until the returned function is called.
func block(t *testing.T, url string) (unblock func()) {
	t.Helper()
	tx, err := connect(t, url).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE inputs IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		if err := tx.Rollback(context.Background()); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
			t.Error(err)
		}
	})
}

// beforeQueue is how many records the writers may have taken, and not stored, before any waits.
const beforeQueue = 2 * persistence.GroupRows

// commits counts the transactions that stored predictions.
func commits(t *testing.T, conn *pgx.Conn) (count int) {
	t.Helper()
	const query = `SELECT count(DISTINCT xmin::text) FROM predictions`
	if err := conn.QueryRow(t.Context(), query).Scan(&count); err != nil {
		t.Fatal(err)
	}
	return count
}

func TestRecordSharesTransactions(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	unblock := block(t, url)
	const n = 500
	waiting := make(chan []error)
	go func() { waiting <- recordMany(t, store, n, func(int, *persistence.Prediction) {}) }()
	awaitQueue(t, store, n-beforeQueue)
	unblock()
	for _, err := range <-waiting {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := commits(t, connect(t, url)); got > n/10 {
		t.Errorf("%d predictions took %d transactions", n, got)
	}
}

func TestRecordOfABadRowFailsAlone(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	unblock := block(t, url)
	const n, bad = 400, 17
	waiting := make(chan []error)
	go func() {
		waiting <- recordMany(t, store, n, func(i int, p *persistence.Prediction) {
			if i == bad {
				p.Source = "GUESS"
			}
		})
	}()
	awaitQueue(t, store, n-beforeQueue)
	unblock()
	for i, err := range <-waiting {
		if (err != nil) != (i == bad) {
			t.Errorf("record %d: %v", i, err)
		}
	}
	count, err := store.CountPredictions(t.Context(), persistence.PredictionQuery{})
	if err != nil || count != n-1 {
		t.Errorf("%d are stored, %v; want %d", count, err, n-1)
	}
}

func TestRecordRefusesAtOnceWhatIsTooMuch(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	unblock := block(t, url)
	defer unblock()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var waiting sync.WaitGroup
	var refused atomic.Int64
	// What the writers have taken they give up after a while: on a busy machine the queue has room again by then.
	offered := int64(0)
	for ; refused.Load() == 0; offered++ {
		waiting.Go(func() {
			in, p := sample(nil)
			if errors.Is(store.Record(ctx, rows(in, []byte{}, p)), persistence.ErrOverloaded) {
				refused.Add(1)
			}
		})
		runtime.Gosched()
	}
	if taken := offered - refused.Load(); taken < persistence.QueueRows {
		t.Errorf("%d records were taken, and then others refused", taken)
	}
	cancel() // those that wait leave the queue, the writers' own have an outcome once they can store
	awaitQueue(t, store, 0)
	unblock()
	waiting.Wait()
	count, err := store.CountPredictions(t.Context(), persistence.PredictionQuery{})
	if err != nil || count > 2*persistence.GroupRows {
		t.Errorf("%d are stored, %v; want those alone that a writer had taken", count, err)
	}
}

func TestCloseStoresWhatWaits(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	unblock := block(t, url)
	const n = 400
	waiting := make(chan []error)
	go func() { waiting <- recordMany(t, store, n, func(int, *persistence.Prediction) {}) }()
	awaitQueue(t, store, n-beforeQueue)
	closed := make(chan struct{})
	go func() {
		store.Close()
		close(closed)
	}()
	unblock()
	stored := 0
	for _, err := range <-waiting {
		switch {
		case err == nil:
			stored++
		case !errors.Is(err, persistence.ErrUnavailable): // one that came after Close
			t.Error(err)
		}
	}
	<-closed
	var count int
	if err := connect(t, url).QueryRow(t.Context(), `SELECT count(*) FROM predictions`).Scan(&count); err != nil ||
		count != stored || count < n-beforeQueue {
		t.Errorf("%d are stored, %v; %d were acknowledged", count, err, stored)
	}
}

// awaitQueue waits until at least, or where n is 0 at most, n records wait to be written.
func awaitQueue(t *testing.T, store *persistence.Store, n int) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		waiting := persistence.Waiting(store)
		if n == 0 && waiting == 0 || n > 0 && waiting >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d records wait, not %d", waiting, n)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestRecordWithoutAConnection has all connections taken by others for longer than a writer waits: nothing was sent, so
// that the outcome is known, and no record waits for the turns of others.
func TestRecordWithoutAConnection(t *testing.T) {
	t.Parallel()
	url := persistencetest.Migrated(t)
	store, err := persistence.Open(t.Context(), url, persistence.Options{MaxConnections: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	unblock := block(t, url)
	defer unblock()
	reader, stop := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = store.CountInputs(reader, persistence.InputFilter{}) })
	awaitBlocked(t, url)
	start := time.Now()
	for i, err := range recordMany(t, store, 50, func(int, *persistence.Prediction) {}) {
		if !errors.Is(err, persistence.ErrUnavailable) {
			t.Errorf("record %d: %v, want ErrUnavailable", i, err)
		}
	}
	t.Logf("refused after %v", time.Since(start))
	stop()
	reading.Wait()
}

// awaitBlocked waits until somebody waits for the lock of block.
func awaitBlocked(t *testing.T, url string) {
	t.Helper()
	conn := connect(t, url)
	for deadline := time.Now().Add(time.Minute); ; {
		var blocked bool
		const query = `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`
		if err := conn.QueryRow(t.Context(), query).Scan(&blocked); err != nil {
			t.Fatal(err)
		}
		if blocked {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody waits for the lock")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestRecordThroughADeadlock: a group that the database has chosen to end a deadlock is sent again.
func TestRecordThroughADeadlock(t *testing.T) {
	t.Parallel()
	s, url := setup(t)
	first, second := madeAt(time.Now(), []byte("image")), madeAt(time.Now(), []byte("image"))
	store(t, s, first, second)
	other := connect(t, url)
	const lock = `SELECT FROM inputs WHERE id = $1 FOR UPDATE`
	tx, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), lock, second.Input.ID); err != nil {
		t.Fatal(err)
	}
	recorded := make(chan error, 1)
	go func() {
		recorded <- s.RecordTogether(t.Context(), []*persistence.Record{
			another(second, time.Now(), persistence.SourceReplay), another(first, time.Now(), persistence.SourceReplay),
		})
	}()
	awaitBlocked(t, url)
	if _, err := tx.Exec(t.Context(), lock, first.Input.ID); err != nil {
		t.Logf("the other one was chosen, as it was late: %v", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-recorded; err != nil || count(t, s) != 4 {
		t.Errorf("%d predictions, want 4, %v", count(t, s), err)
	}
}
