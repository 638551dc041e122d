package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sibyl/persistence"
)

// subscribe opens a subscription, which ends with the test.
func subscribe(t testing.TB, store *persistence.Store, f persistence.PredictionFilter) *persistence.Subscription {
	t.Helper()
	sub, err := store.Subscribe(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sub.Close)
	return sub
}

// next waits for n predictions, and fails where one comes twice.
func next(t testing.TB, sub *persistence.Subscription, n int) map[persistence.PredictionID]*persistence.Prediction {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	got := make(map[persistence.PredictionID]*persistence.Prediction, n)
	for range n {
		p, err := sub.Next(ctx)
		if err != nil {
			t.Fatalf("after %d of %d: %v", len(got), n, err)
		}
		if got[p.ID] != nil {
			t.Fatalf("%s came twice", p.ID)
		}
		got[p.ID] = p
	}
	return got
}

// replica is another store on the database.
func replica(t testing.TB, url string, o persistence.Options) *persistence.Store {
	t.Helper()
	store, err := persistence.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// TestEverySubscriberGetsEachPrediction on both replicas, whichever of them it was made on, and in whichever way.
func TestEverySubscriberGetsEachPrediction(t *testing.T) {
	t.Parallel()
	first, url := setup(t)
	second := replica(t, url, persistence.Options{})
	old, _ := record(t, first)
	subs := []*persistence.Subscription{
		subscribe(t, first, persistence.PredictionFilter{}), subscribe(t, first, persistence.PredictionFilter{}),
		subscribe(t, second, persistence.PredictionFilter{}),
	}
	want := map[persistence.PredictionID]bool{}
	var mu sync.Mutex
	made := func(p *persistence.Prediction) {
		mu.Lock()
		defer mu.Unlock()
		want[p.ID] = true
	}
	const many, together = 200, 3 * persistence.GroupRows
	for _, store := range []*persistence.Store{first, second} {
		for _, err := range recordMany(t, store, many, func(_ int, p *persistence.Prediction) { made(p) }) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	var records []*persistence.Record
	for range together {
		in, p := sample([]byte("image"))
		made(p)
		records = append(records, rows(in, []byte("image"), p))
	}
	if err := first.RecordTogether(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	_, shadow := sample(nil)
	shadow.InputID, shadow.Source = old.ID, persistence.SourceShadow
	made(shadow)
	if err := second.Record(t.Context(), &persistence.Record{Prediction: shadow}); err != nil {
		t.Fatal(err)
	}
	for i, sub := range subs {
		for id, p := range next(t, sub, len(want)) {
			if !want[id] || *p.ClassName != "7" || p.Outputs != nil {
				t.Errorf("subscriber %d: %+v", i, p)
			}
		}
	}
}

// TestSubscriptionFilter picks the same as a list.
func TestSubscriptionFilter(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	sub := subscribe(t, store, persistence.PredictionFilter{})
	in, _ := record(t, store)
	if err := store.SetLabel(t.Context(), &persistence.Label{InputID: in.ID, ClassName: ptr("7"), ClassIndex: ptr(7)}); err != nil {
		t.Fatal(err)
	}
	for i := range 24 {
		fresh, p := sample([]byte("image"))
		record := rows(fresh, []byte("image"), p)
		p.ModelVersion, p.ModelName = 1+i%2, fmt.Sprint("model ", i%3)
		p.Source = []persistence.Source{persistence.SourceRequest, persistence.SourceReplay}[i/12]
		switch i % 4 {
		case 0:
			p.ClassName, p.ClassIndex, p.Confidence = nil, nil, nil
		case 1:
			p.Confidence, p.ClassName = ptr(0.25), ptr("6")
		case 2: // of an input that has a label
			record.Input, record.Image, p.InputID = nil, nil, in.ID
			p.ClassName = ptr([]string{"6", "7"}[i/12])
		}
		if err := store.Record(t.Context(), record); err != nil {
			t.Fatal(err)
		}
	}
	all := next(t, sub, 25)
	var times []time.Time
	for _, p := range all {
		times = append(times, p.CreatedAt)
	}
	slices.SortFunc(times, time.Time.Compare)
	between := times[12].Add(time.Microsecond)
	for name, f := range map[string]persistence.PredictionFilter{
		"none":       {},
		"model":      {Model: ptr("model 1")},
		"version":    {Version: ptr(2)},
		"both":       {Version: ptr(2), Model: ptr("model 1")},
		"input":      {InputID: &in.ID},
		"class":      {ClassName: ptr("6")},
		"confident":  {Confidence: persistence.FloatRange{GTE: ptr(0.75)}},
		"unsure":     {Confidence: persistence.FloatRange{LT: ptr(0.75)}},
		"labelled":   {Labelled: ptr(true)},
		"unlabelled": {Labelled: ptr(false)},
		"correct":    {Correct: ptr(true)},
		"mistaken":   {Correct: ptr(false)},
		"from":       {CreatedAt: persistence.TimeRange{From: &times[12]}},
		"until":      {CreatedAt: persistence.TimeRange{Until: &times[12]}},
		"between":    {CreatedAt: persistence.TimeRange{From: &between}},
		"replays":    {Sources: []persistence.Source{persistence.SourceReplay}},
		"no source":  {Sources: []persistence.Source{}},
	} {
		page, err := store.Predictions(t.Context(), persistence.PredictionQuery{Filters: []persistence.PredictionFilter{f}},
			persistence.Page{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		listed := map[persistence.PredictionID]bool{}
		for _, p := range page.Rows {
			listed[p.ID] = true
		}
		for id, p := range all {
			// What was given before its input had a label is as it was then.
			if got := persistence.Picks(f, p); got != listed[id] && p.InputID != in.ID || p.Labelled && got != listed[id] {
				t.Errorf("%s: %t of %+v, in the list %t", name, got, p, listed[id])
			}
		}
	}
}

// TestSubscriptionsShareWhatIsRead: two of them, one statement.
func TestSubscriptionsShareWhatIsRead(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	one, other := subscribe(t, store, persistence.PredictionFilter{}), subscribe(t, store, persistence.PredictionFilter{})
	in, made := record(t, store)
	p := next(t, one, 1)[made.ID]
	again := next(t, other, 1)[made.ID]
	if p.Batch() == nil || p.Batch() != again.Batch() {
		t.Fatal("not of one batch")
	}
	inputs, err := p.Batch().Inputs()
	if err != nil || inputs[in.ID] == nil || *inputs[in.ID].Filename != *in.Filename {
		t.Errorf("%v, %v", inputs, err)
	}
	outputs, err := p.Batch().Outputs()
	if err != nil || string(outputs[made.ID]) != string(made.Outputs) {
		t.Errorf("%s, %v", outputs, err)
	}
	if _, err := store.DeleteInput(t.Context(), in.ID); err != nil {
		t.Fatal(err)
	}
	if inputs, err = again.Batch().Inputs(); err != nil || inputs[in.ID] == nil {
		t.Errorf("read twice: %v, %v", inputs, err)
	}
}

// listeners are the sessions that listen.
const listeners = `
SELECT pid
FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'sibyl listener'`

// TestListenerLosesNothing cuts its connection again and again while predictions are stored on another replica.
func TestListenerLosesNothing(t *testing.T) {
	t.Parallel()
	writer, url := setup(t)
	store := replica(t, url, persistence.Options{})
	sub := subscribe(t, store, persistence.PredictionFilter{})
	want := map[persistence.PredictionID]bool{}
	stop, stored := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stored)
		for {
			var mu sync.Mutex
			for _, err := range recordMany(t, writer, 20, func(_ int, p *persistence.Prediction) {
				mu.Lock()
				defer mu.Unlock()
				want[p.ID] = true
			}) {
				if err != nil {
					t.Error(err)
				}
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	got := map[persistence.PredictionID]bool{}
	take := func(n int) {
		for id := range next(t, sub, n) {
			if got[id] {
				t.Errorf("%s came twice", id)
			}
			got[id] = true
		}
	}
	conn := connect(t, url)
	for range 4 {
		take(50)
		if err := endListeners(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
		take(50)
	}
	close(stop)
	<-stored
	take(len(want) - len(got))
	for id := range got {
		if !want[id] {
			t.Errorf("%s was never stored", id)
		}
	}
	// Nothing is left over.
	_, last := record(t, writer)
	if next(t, sub, 1)[last.ID] == nil {
		t.Error("one came twice")
	}
}

// TestNobodyListensWithoutSubscribers: neither is there a connection, nor are there notifications.
func TestNobodyListensWithoutSubscribers(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	conn := connect(t, url)
	if _, err := conn.Exec(t.Context(), "LISTEN predictions"); err != nil {
		t.Fatal(err)
	}
	record(t, store)
	sub := subscribe(t, store, persistence.PredictionFilter{})
	_, told := record(t, store)
	next(t, sub, 1)
	sub.Close()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	var pid int32
	for ctx.Err() == nil && !errors.Is(conn.QueryRow(ctx, listeners).Scan(&pid), pgx.ErrNoRows) {
		time.Sleep(time.Millisecond)
	}
	record(t, store)
	_, err := conn.Exec(t.Context(), "SELECT pg_notify('predictions', 'last')")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{persistence.Announcement(told.ID), "last"} {
		if n, err := conn.WaitForNotification(ctx); err != nil || n.Payload != want {
			t.Errorf("%v, %v, want %s", n, err, want)
		}
	}
}

// TestSlowSubscriberIsEnded alone.
func TestSlowSubscriberIsEnded(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	slow := subscribe(t, store, persistence.PredictionFilter{})
	elsewhere := subscribe(t, store, persistence.PredictionFilter{Model: ptr("another")})
	fast := subscribe(t, store, persistence.PredictionFilter{})
	var records []*persistence.Record
	for range persistence.GroupRows {
		in, p := sample([]byte("image"))
		records = append(records, rows(in, []byte("image"), p))
	}
	for stored := 0; stored <= persistence.MaxPending; stored += len(records) {
		for _, r := range records {
			r.Input.ID, r.Prediction.ID = persistence.NewInputID(), persistence.NewPredictionID()
			r.Prediction.InputID = r.Input.ID
		}
		if err := store.RecordTogether(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		next(t, fast, len(records))
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for ctx.Err() == nil && store.Statistics().Subscribers == 3 {
		time.Sleep(time.Millisecond)
	}
	if _, err := slow.Next(ctx); !errors.Is(err, persistence.ErrSlowSubscriber) {
		t.Errorf("the slow one: %v", err)
	}
	in, p := sample([]byte("image"))
	p.ModelName = "another"
	if err := store.Record(t.Context(), rows(in, []byte("image"), p)); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []*persistence.Subscription{elsewhere, fast} {
		if next(t, sub, 1)[p.ID] == nil {
			t.Error("another one was given something else")
		}
	}
}

// TestSubscribeWithoutDatabase fails at once, and Close ends those that there are.
func TestSubscribeWithoutDatabase(t *testing.T) {
	t.Parallel()
	_, url := setup(t)
	const nobody = "postgres://nobody:secret@127.0.0.1:1/none"
	store := replica(t, url, persistence.Options{ListenURL: nobody})
	if _, err := store.Subscribe(t.Context(), persistence.PredictionFilter{}); !errors.Is(err, persistence.ErrUnavailable) {
		t.Error(err)
	}
	store = replica(t, url, persistence.Options{})
	sub := subscribe(t, store, persistence.PredictionFilter{})
	store.Close()
	if _, err := sub.Next(t.Context()); !errors.Is(err, persistence.ErrUnavailable) {
		t.Error(err)
	}
	if _, err := store.Subscribe(t.Context(), persistence.PredictionFilter{}); !errors.Is(err, persistence.ErrUnavailable) {
		t.Error(err)
	}
}
