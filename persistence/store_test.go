package persistence_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"sibyl/persistence"
	"sibyl/persistence/persistencetest"
)

// asIfDistributed has stores of setup say what they say to a database with Citus.
var asIfDistributed bool

// setup opens a store on a fresh database with the newest schema.
func setup(t testing.TB) (*persistence.Store, string) {
	t.Helper()
	url := persistencetest.Migrated(t)
	store, err := persistence.Open(t.Context(), url, persistence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if asIfDistributed {
		persistence.SetDistributed(store)
	}
	t.Cleanup(store.Close)
	return store, url
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// sample returns rows that can be recorded, of the image's bytes.
func sample(image []byte) (*persistence.Input, *persistence.Prediction) {
	inputID, id := persistence.NewInputID(), persistence.NewPredictionID()
	filename, className := "seven.png", "7"
	classIndex, confidence := 7, 0.75
	in := &persistence.Input{
		ID: inputID, CreatedAt: inputID.Time(), Filename: &filename, ContentType: "image/png",
		Width: 28, Height: 20, ByteSize: len(image), SHA256: persistence.DigestOf(image),
		StoredIn: persistence.StoredInDatabase,
	}
	return in, &persistence.Prediction{
		ID: id, InputID: inputID, CreatedAt: id.Time(), ModelName: "mnist", ModelVersion: 1,
		Source: persistence.SourceRequest, ClassIndex: &classIndex, ClassName: &className, Confidence: &confidence,
		Outputs:            json.RawMessage(`[{"data": [0.25, 0.75], "name": "probabilities"}]`),
		DecodeMicroseconds: 1, QueueMicroseconds: 2, InferenceMicroseconds: 3,
	}
}

// rows puts together what is recorded.
func rows(in *persistence.Input, image []byte, p *persistence.Prediction) *persistence.Record {
	return &persistence.Record{Input: in, Image: image, Prediction: p}
}

// record stores a new sample and returns it.
func record(t *testing.T, store *persistence.Store) (*persistence.Input, *persistence.Prediction) {
	t.Helper()
	in, p := sample([]byte("image"))
	if err := store.Record(t.Context(), rows(in, []byte("image"), p)); err != nil {
		t.Fatal(err)
	}
	return in, p
}

func TestOpenWaitsForABoundedTime(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // connections are made, and never answered
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	for _, address := range []string{"127.0.0.1:1", silent.Addr().String()} {
		nobody := "postgres://nobody:secret@" + address + "/none"
		_, err := persistence.Open(t.Context(), nobody, persistence.Options{ConnectTimeout: 300 * time.Millisecond})
		if !errors.Is(err, persistence.ErrUnavailable) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want ErrUnavailable without the password", address, err)
		}
	}
}

func TestOpenDoesNotWaitForTheRightPassword(t *testing.T) {
	t.Parallel()
	wrong, err := url.Parse(persistencetest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	wrong.User = url.UserPassword(wrong.User.Username(), "wrong")
	_, err = persistence.Open(t.Context(), wrong.String(), persistence.Options{ConnectTimeout: time.Hour})
	if err == nil || errors.Is(err, persistence.ErrUnavailable) {
		t.Errorf("got %v, want a refusal at once", err)
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	in, p := record(t, store)
	got, err := store.Input(t.Context(), in.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !got.CreatedAt.Equal(in.CreatedAt) || *got.Filename != *in.Filename || got.Width != 28 || got.Height != 20 ||
		got.ByteSize != 5 || got.SHA256.String() != in.SHA256.String() || got.StoredIn != persistence.StoredInDatabase {
		t.Errorf("input: got %+v, want %+v", got, in)
	}
	predictions, err := store.PredictionsByID(t.Context(), []persistence.PredictionID{p.ID})
	if err != nil || len(predictions) != 1 {
		t.Fatalf("PredictionsByID: %v, %v", predictions, err)
	}
	if g := predictions[0]; g.InputID != in.ID || !g.CreatedAt.Equal(p.CreatedAt) || *g.ClassIndex != 7 ||
		*g.Confidence != 0.75 || string(g.Outputs) != string(p.Outputs) || g.InferenceMicroseconds != 3 {
		t.Errorf("prediction: got %+v, want %+v", g, p)
	}
	image, err := store.Image(t.Context(), in.ID)
	if err != nil || string(image) != "image" {
		t.Errorf("Image: %q, %v", image, err)
	}
}

func TestRecordStoresNothingOnFailure(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	in, p := sample([]byte("image"))
	p.Source = "GUESS"
	if err := store.Record(t.Context(), rows(in, []byte("image"), p)); err == nil {
		t.Fatal("a prediction of no known source was stored")
	}
	if _, err := store.Input(t.Context(), in.ID); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("the input of a failed prediction: %v, want ErrNotFound", err)
	}
	bad := "a\x00b"
	in, p = sample([]byte("image"))
	in.Filename = &bad
	if err := store.Record(t.Context(), rows(in, []byte("image"), p)); !errors.Is(err, persistence.ErrInvalidText) {
		t.Errorf("a filename with NUL: %v, want ErrInvalidText", err)
	}
}

func TestRecordOfAnInputThatIsGone(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	_, p := sample(nil)
	if err := store.Record(t.Context(), &persistence.Record{Prediction: p}); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("a prediction of no input: %v, want ErrNotFound", err)
	}
}

func TestRecordTogether(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	records := make([]*persistence.Record, 300)
	for i := range records {
		in, p := sample([]byte("image"))
		records[i] = rows(in, []byte("image"), p)
	}
	if err := store.RecordTogether(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	if n := commits(t, connect(t, url)); n != 1 {
		t.Errorf("%d transactions, want 1", n)
	}
	in, bad := sample([]byte("image"))
	bad.Source = "GUESS"
	good, p := sample([]byte("image"))
	together := []*persistence.Record{rows(good, []byte("image"), p), rows(in, []byte("image"), bad)}
	if err := store.RecordTogether(t.Context(), together); err == nil {
		t.Error("a prediction of no known source was stored")
	}
	if _, err := store.Input(t.Context(), good.ID); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("the neighbour of a bad row: %v, want ErrNotFound", err)
	}
}

func TestRecordOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, p := sample([]byte("image"))
	if err := store.Record(ctx, rows(in, []byte("image"), p)); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that has gone: %v, want context.Canceled", err)
	}
}

// TestRecordThroughLostConnections cuts the connections of many recorders again and again: what was acknowledged must
// be there, and what was refused must not.
func TestRecordThroughLostConnections(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	killer := connect(t, url)
	var mu sync.Mutex
	outcomes := map[persistence.PredictionID]error{}
	stop := make(chan struct{})
	var recorders sync.WaitGroup
	for range 8 {
		recorders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				in, p := sample([]byte("image"))
				err := store.Record(context.Background(), rows(in, []byte("image"), p))
				mu.Lock()
				outcomes[p.ID] = err
				mu.Unlock()
			}
		})
	}
	for range 20 {
		const cut = `
SELECT count(pg_terminate_backend(pid))
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()`
		if _, err := killer.Exec(t.Context(), cut); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	close(stop)
	recorders.Wait()
	for id, outcome := range outcomes {
		found, err := store.PredictionsByID(t.Context(), []persistence.PredictionID{id})
		for errors.Is(err, persistence.ErrUnavailable) { // the last cut connections are still in the pool
			found, err = store.PredictionsByID(t.Context(), []persistence.PredictionID{id})
		}
		switch stored := len(found) == 1; {
		case err != nil:
			t.Fatal(err)
		case outcome == nil && !stored:
			t.Errorf("%v was acknowledged, but is not there", id)
		case outcome != nil && stored && !errors.Is(outcome, persistence.ErrStoredUnknown):
			t.Errorf("%v was refused (%v), but is there", id, outcome)
		}
	}
	t.Logf("%d predictions", len(outcomes))
}

// pages reads a whole list in pages of n, forward or backward, and returns its IDs in the list's order.
func pages(t *testing.T, store *persistence.Store, q persistence.PredictionQuery, n int, backward bool,
	between func(),
) []persistence.PredictionID {
	t.Helper()
	var ids []persistence.PredictionID
	p := persistence.Page{Limit: n, Backward: backward}
	for {
		got, err := store.Predictions(t.Context(), q, p)
		if err != nil {
			t.Fatal(err)
		}
		page := make([]persistence.PredictionID, len(got.Rows))
		for i, row := range got.Rows {
			page[i] = row.ID
		}
		if len(page) > n || got.More && len(page) < n {
			t.Fatalf("a page of %d has %d rows and more: %t", n, len(page), got.More)
		}
		if backward {
			ids = append(page, ids...)
			if len(page) > 0 {
				p.Before = keyOf(q, got.Rows[0])
			}
		} else {
			ids = append(ids, page...)
			if len(page) > 0 {
				p.After = keyOf(q, got.Rows[len(page)-1])
			}
		}
		if !got.More {
			return ids
		}
		between()
	}
}

// keyOf is a prediction's place in the list q.
func keyOf(q persistence.PredictionQuery, p *persistence.Prediction) *persistence.Key {
	key := &persistence.Key{ID: uuid.UUID(p.ID)}
	if q.Order.ByConfidence() {
		key.Confidence = p.Confidence
	}
	return key
}

func ptr[T any](v T) *T { return &v }

func TestPages(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	var oldest []persistence.PredictionID
	for range 23 {
		_, p := record(t, store)
		oldest = append(oldest, p.ID)
	}
	newest := slices.Clone(oldest)
	slices.Reverse(newest)
	for _, backward := range []bool{false, true} {
		for _, n := range []int{1, 2, 7, 22, 23, 24, 100} {
			t.Run(fmt.Sprintf("backward=%t of %d", backward, n), func(t *testing.T) {
				// Others insert while the list is read: what was there is neither missed nor repeated.
				for order, want := range [][]persistence.PredictionID{newest, oldest} {
					left := 5 // without a bound the end of an ascending list would run away
					insert := func() {
						if left--; left >= 0 {
							record(t, store)
						}
					}
					got := pages(t, store, persistence.PredictionQuery{Order: []persistence.PredictionOrder{persistence.OrderNewest, persistence.OrderOldest}[order]}, n, backward, insert)
					got = slices.DeleteFunc(got, func(id persistence.PredictionID) bool {
						return slices.Index(oldest, id) < 0
					})
					if !slices.Equal(got, want) {
						t.Errorf("order %d: got %v, want %v", order, got, want)
					}
				}
			})
		}
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	in, p := record(t, store)
	second, q := sample([]byte("other"))
	q.ModelName, q.ModelVersion, q.Source = "cifar", 2, persistence.SourceReplay
	if err := store.Record(t.Context(), rows(second, []byte("other"), q)); err != nil {
		t.Fatal(err)
	}
	future := time.Now().Add(time.Hour)
	first := persistence.PredictionFilter{InputID: &in.ID}
	for name, test := range map[string]struct {
		filters []persistence.PredictionFilter
		want    int
	}{
		"none":              {nil, 2},
		"model":             {[]persistence.PredictionFilter{{Model: ptr("cifar")}}, 1},
		"version":           {[]persistence.PredictionFilter{{Version: ptr(1)}}, 1},
		"input":             {[]persistence.PredictionFilter{first}, 1},
		"both of two":       {[]persistence.PredictionFilter{first, {Model: ptr("cifar")}}, 0},
		"one source":        {[]persistence.PredictionFilter{{Sources: []persistence.Source{"REPLAY"}}}, 1},
		"two sources":       {[]persistence.PredictionFilter{{Sources: []persistence.Source{"REPLAY", "REQUEST"}}}, 2},
		"no source":         {[]persistence.PredictionFilter{{Sources: []persistence.Source{}}}, 0},
		"from its time":     {[]persistence.PredictionFilter{{CreatedAt: persistence.TimeRange{From: &p.CreatedAt}}}, 2},
		"until its time":    {[]persistence.PredictionFilter{{CreatedAt: persistence.TimeRange{Until: &p.CreatedAt}}}, 0},
		"until the future":  {[]persistence.PredictionFilter{{CreatedAt: persistence.TimeRange{Until: &future}}}, 2},
		"from the future":   {[]persistence.PredictionFilter{{CreatedAt: persistence.TimeRange{From: &future}}}, 0},
		"before all time":   {[]persistence.PredictionFilter{{CreatedAt: persistence.TimeRange{Until: &time.Time{}}}}, 0},
		"NUL is no failure": {[]persistence.PredictionFilter{{Version: ptr(-1)}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			query := persistence.PredictionQuery{Filters: test.filters, Outputs: true}
			got, err := store.Predictions(t.Context(), query, persistence.Page{Limit: 10})
			if err != nil || len(got.Rows) != test.want {
				t.Errorf("got %d, %v; want %d", len(got.Rows), err, test.want)
			}
			if n, err := store.CountPredictions(t.Context(), query); err != nil || n != test.want {
				t.Errorf("count: got %d, %v; want %d", n, err, test.want)
			}
		})
	}
	_, err := store.Predictions(t.Context(), persistence.PredictionQuery{
		Filters: []persistence.PredictionFilter{{Model: ptr("a\x00b")}},
	}, persistence.Page{Limit: 1})
	if !errors.Is(err, persistence.ErrInvalidText) {
		t.Errorf("a model with NUL: %v, want ErrInvalidText", err)
	}
}

func TestPredictionsByInput(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	in, p := record(t, store)
	other, _ := record(t, store)
	ids := []persistence.InputID{in.ID, other.ID, persistence.NewInputID()}
	lists, err := store.PredictionsByInput(t.Context(), ids, persistence.PredictionQuery{Outputs: true},
		persistence.Page{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got := lists[in.ID]; len(got.Rows) != 1 || got.Rows[0].ID != p.ID || got.More || got.Rows[0].Outputs == nil {
		t.Errorf("got %+v", got)
	}
	if len(lists[ids[2]].Rows) != 0 {
		t.Errorf("an input that is not there has predictions")
	}
	counts, err := store.CountPredictionsByInput(t.Context(), ids, persistence.PredictionQuery{})
	if err != nil || counts[in.ID] != 1 || counts[other.ID] != 1 || counts[ids[2]] != 0 {
		t.Errorf("counts: %v, %v", counts, err)
	}
}

func TestModelVersionIsImmutableOnceItPredicted(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	kept := persistence.ModelVersion{
		Name: "mnist", Version: 1, CreatedAt: time.Now(), Fingerprint: "one", ClassNames: []string{"0"},
		Inputs: json.RawMessage("[]"), Outputs: json.RawMessage("[]"), Output: json.RawMessage("{}"),
	}
	changed := kept
	changed.Fingerprint = "two"
	for _, version := range []*persistence.ModelVersion{&kept, &changed, &kept} {
		if err := store.KeepModelVersion(t.Context(), version); err != nil {
			t.Fatalf("before the first prediction: %v", err)
		}
	}
	record(t, store)
	if err := store.KeepModelVersion(t.Context(), &changed); !errors.Is(err, persistence.ErrModelVersionChanged) {
		t.Errorf("another file under a number that has predicted: %v, want ErrModelVersionChanged", err)
	}
	if err := store.KeepModelVersion(t.Context(), &kept); err != nil {
		t.Errorf("the same again: %v", err)
	}
	got, err := store.ModelVersion(t.Context(), "mnist", 1)
	if err != nil || got.Fingerprint != "one" || !slices.Equal(got.ClassNames, []string{"0"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := store.ModelVersion(t.Context(), "mnist", 2); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("an unknown version: %v, want ErrNotFound", err)
	}
}
