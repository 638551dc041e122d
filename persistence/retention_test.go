package persistence_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"sibyl/persistence"
)

// madeAt is a record as it would have been made at a time.
func madeAt(then time.Time, image []byte) *persistence.Record {
	in, p := sample(image)
	date(in.ID[:], then)
	date(p.ID[:], then)
	in.CreatedAt, p.CreatedAt, p.InputID = in.ID.Time(), p.ID.Time(), in.ID
	return rows(in, image, p)
}

// another is a record of another prediction, made now or at a time, for the input of one.
func another(r *persistence.Record, then time.Time, source persistence.Source) *persistence.Record {
	p := *r.Prediction
	p.ID, p.Source = persistence.NewPredictionID(), source
	date(p.ID[:], then)
	p.CreatedAt = p.ID.Time()
	return &persistence.Record{Prediction: &p}
}

// date puts a time into a UUIDv7.
func date(id []byte, then time.Time) {
	var milliseconds [8]byte
	binary.BigEndian.PutUint64(milliseconds[:], uint64(then.UnixMilli()))
	copy(id, milliseconds[2:])
}

func store(t *testing.T, s *persistence.Store, records ...*persistence.Record) {
	t.Helper()
	for group := range slices.Chunk(records, persistence.GroupRows) {
		if err := s.RecordTogether(t.Context(), group); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRemoveImages: the old ones' bytes go, and nothing else of them; what another has the same bytes of stays.
func TestRemoveImages(t *testing.T) {
	t.Parallel()
	everyImageStore(t, func(t *testing.T, at imageStore) {
		s, _ := setupImages(t, at.images)
		now := time.Now()
		before := now.Add(-30 * 24 * time.Hour)
		young, justYoung := madeAt(now, []byte("shared")), madeAt(before, []byte("just"))
		old := []*persistence.Record{madeAt(before.Add(-time.Millisecond), []byte("shared"))}
		for i := range persistence.RemoveRows + 1 { // more than a transaction takes
			old = append(old, madeAt(before.Add(-time.Duration(i+1)*time.Minute), []byte{byte(i)}))
		}
		store(t, s, append([]*persistence.Record{young, justYoung}, old...)...)
		before = before.Truncate(time.Millisecond)
		if n, err := s.RemoveImages(t.Context(), before); err != nil || n != len(old) {
			t.Fatalf("%d, %v; want %d", n, err, len(old))
		}
		for _, r := range []*persistence.Record{young, justYoung} {
			if image, err := s.Image(t.Context(), r.Input.ID); err != nil || string(image) != string(r.Image) {
				t.Errorf("a young one: %q, %v", image, err)
			}
		}
		for _, r := range []*persistence.Record{old[0], old[1], old[len(old)-1]} {
			in, err := s.Input(t.Context(), r.Input.ID)
			if err != nil || in.StoredIn != persistence.StoredRemoved || in.ByteSize != len(r.Image) {
				t.Errorf("an old one: %+v, %v", in, err)
			}
			if _, err := s.Image(t.Context(), r.Input.ID); !errors.Is(err, persistence.ErrImageRemoved) {
				t.Errorf("its image: %v", err)
			}
			if _, err := s.Image(t.Context(), r.Input.ID); !errors.Is(err, persistence.ErrNotFound) {
				t.Errorf("its image: %v", err)
			}
		}
		if n := count(t, s); n != len(old)+2 {
			t.Errorf("%d predictions are left", n)
		}
		if n, err := s.RemoveImages(t.Context(), before); err != nil || n != 0 {
			t.Errorf("again: %d, %v", n, err)
		}
		if at.images == "" {
			return
		}
		for _, r := range []*persistence.Record{young, old[1]} {
			at.age(t, r.Input.SHA256, 2*persistence.CollectAge)
		}
		if n, err := s.CollectObjects(t.Context(), 0); err != nil || n != 1 || !at.has(young.Input.SHA256) {
			t.Errorf("%d objects, %v", n, err)
		}
	})
}

func count(t *testing.T, s *persistence.Store) int {
	t.Helper()
	n, err := s.CountPredictions(t.Context(), persistence.PredictionQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRemovePredictions: old ones go, whatever their source, and inputs that have none left with all of theirs.
func TestRemovePredictions(t *testing.T) {
	t.Parallel()
	everyImageStore(t, func(t *testing.T, at imageStore) {
		s, _ := setupImages(t, at.images)
		now := time.Now()
		before := now.Add(-time.Hour)
		then := before.Add(-time.Minute)
		var old []*persistence.Record
		for range persistence.RemoveRows + 1 {
			old = append(old, madeAt(then, []byte("shared")))
		}
		used, young := madeAt(then, []byte("used")), madeAt(now, []byte("shared"))
		store(t, s, append([]*persistence.Record{used, young}, old...)...)
		replayed := another(used, now, persistence.SourceReplay)
		store(t, s, replayed, another(old[0], then, persistence.SourceShadow), another(used, then, persistence.SourceReplay))
		seven := "7"
		for _, r := range []*persistence.Record{used, old[0]} {
			index := 7
			label := &persistence.Label{InputID: r.Input.ID, CreatedAt: now, ClassIndex: &index, ClassName: &seven}
			if err := s.SetLabel(t.Context(), label); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := s.RemovePredictions(t.Context(), before); err != nil || n != len(old)+3 {
			t.Errorf("%d, %v; want %d", n, err, len(old)+3)
		}
		left, err := s.PredictionsByID(t.Context(), []persistence.PredictionID{
			used.Prediction.ID, young.Prediction.ID, replayed.Prediction.ID, old[0].Prediction.ID,
		})
		if err != nil || len(left) != 2 || count(t, s) != 2 {
			t.Errorf("%d of them and %d in all are left, %v", len(left), count(t, s), err)
		}
		if n, err := s.CountInputs(t.Context(), persistence.InputFilter{}); err != nil || n != 2 {
			t.Errorf("%d inputs are left, %v", n, err)
		}
		labelled := true
		if n, err := s.CountInputs(t.Context(), persistence.InputFilter{Labelled: &labelled}); err != nil || n != 1 {
			t.Errorf("%d labels are left, %v", n, err)
		}
		for _, r := range []*persistence.Record{used, young} {
			if image, err := s.Image(t.Context(), r.Input.ID); err != nil || string(image) != string(r.Image) {
				t.Errorf("%q, %v", image, err)
			}
		}
	})
}

// TestRemoveBesideWriters predicts old inputs once more while they are removed: each prediction is refused, or there.
func TestRemoveBesideWriters(t *testing.T) {
	t.Parallel()
	s, url := setup(t)
	other := openImages(t, url, "")
	now := time.Now()
	var old []*persistence.Record
	for range 300 {
		old = append(old, madeAt(now.Add(-time.Hour), []byte("image")))
	}
	store(t, s, old...)
	var working sync.WaitGroup
	var mu sync.Mutex
	var kept []persistence.PredictionID
	for part := range slices.Chunk(old, len(old)/4) {
		working.Go(func() {
			for _, r := range part {
				more := another(r, now, persistence.SourceRequest)
				switch err := s.Record(t.Context(), more); {
				case err == nil:
					mu.Lock()
					kept = append(kept, more.Prediction.ID)
					mu.Unlock()
				case !errors.Is(err, persistence.ErrNotFound):
					t.Error(err)
				}
			}
		})
	}
	for _, remover := range []*persistence.Store{s, other} {
		working.Go(func() {
			if _, err := remover.RemovePredictions(t.Context(), now.Add(-time.Minute)); err != nil {
				t.Error(err)
			}
		})
	}
	working.Wait()
	if left, err := s.PredictionsByID(t.Context(), kept); err != nil || len(left) != len(kept) {
		t.Errorf("%d of %d predictions are there, %v", len(left), len(kept), err)
	}
	if inputs, err := s.CountInputs(t.Context(), persistence.InputFilter{}); err != nil || inputs != len(kept) ||
		count(t, s) != len(kept) {
		t.Errorf("%d inputs and %d predictions for %d, %v", inputs, count(t, s), len(kept), err)
	}
}
