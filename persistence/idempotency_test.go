package persistence_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sibyl/persistence"
)

// keyed returns a record of a new sample with a key.
func keyed(key string) *persistence.Record {
	in, p := sample([]byte("image"))
	r := rows(in, []byte("image"), p)
	r.Key = &persistence.IdempotencyKey{Key: key, Fingerprint: []byte(key), CreatedAt: time.Now()}
	return r
}

// TestKeyIsTakenOnce sends many records with one key, and others between them, at the same time.
func TestKeyIsTakenOnce(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	unblock := block(t, url)
	const n = 400
	var stored, taken atomic.Int64
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			r := keyed("one")
			if i%2 == 1 {
				r.Key = nil
			}
			switch err := store.Record(context.Background(), r); {
			case err == nil && r.Key != nil:
				stored.Add(1)
			case errors.Is(err, persistence.ErrKeyTaken):
				taken.Add(1)
			case err != nil:
				t.Error(err)
			}
		})
	}
	awaitQueue(t, store, n-beforeQueue)
	unblock()
	group.Wait()
	if stored.Load() != 1 || taken.Load() != n/2-1 {
		t.Errorf("%d stored, %d taken; want 1 and %d", stored.Load(), taken.Load(), n/2-1)
	}
	count, err := store.CountPredictions(t.Context(), persistence.PredictionQuery{})
	if err != nil || count != n/2+1 {
		t.Errorf("%d predictions, %v; want %d", count, err, n/2+1)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	if _, err := store.IdempotencyKey(t.Context(), "k", time.Now()); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("a key that was not used: %v, want ErrNotFound", err)
	}
	r := keyed("k")
	if err := store.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	got, err := store.IdempotencyKey(t.Context(), "k", time.Now())
	if err != nil || got.PredictionID != r.Prediction.ID || got.InputID != r.Input.ID || string(got.Fingerprint) != "k" {
		t.Errorf("%+v, %v", got, err)
	}
	tomorrow := time.Now().Add(persistence.IdempotencyTime + time.Second)
	if _, err := store.IdempotencyKey(t.Context(), "k", tomorrow); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("a key of yesterday: %v, want ErrNotFound", err)
	}
	if err := store.Record(t.Context(), keyed("k")); err != nil {
		t.Errorf("used again: %v", err)
	}
}

func TestExpireIdempotencyKeys(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	for _, key := range []string{"a", "b", "c"} {
		if err := store.Record(t.Context(), keyed(key)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := store.ExpireIdempotencyKeys(t.Context(), time.Now()); err != nil || n != 0 {
		t.Errorf("today: %d, %v", n, err)
	}
	if n, err := store.ExpireIdempotencyKeys(t.Context(), time.Now().Add(persistence.IdempotencyTime+time.Second)); err != nil || n != 3 {
		t.Errorf("tomorrow: %d, %v", n, err)
	}
}
