package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"sibyl/persistence"
)

func class(in *persistence.Input, index int) *persistence.Label {
	name := fmt.Sprint(index)
	return &persistence.Label{InputID: in.ID, ClassIndex: &index, ClassName: &name, CreatedAt: time.Now()}
}

// copies are what predictions have of their input's label: `true` where it is correct, else `false`, `null`, or `none`
// where they know of none. They are those of every prediction, in no order.
func copies(t *testing.T, store *persistence.Store, in *persistence.Input) []string {
	t.Helper()
	q := persistence.PredictionQuery{Filters: []persistence.PredictionFilter{{InputID: &in.ID}}}
	list, err := store.Predictions(t.Context(), q, persistence.Page{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range list.Rows {
		switch {
		case !p.Labelled:
			all = append(all, "none")
		case p.Correct == nil:
			all = append(all, "null")
		default:
			all = append(all, fmt.Sprint(*p.Correct))
		}
	}
	slices.Sort(all)
	return all
}

func TestLabelIsCopiedToPredictions(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	in, _ := record(t, store) // a 7
	_, another := sample(nil)
	another.InputID, another.ClassIndex, another.ClassName, another.Confidence = in.ID, nil, nil, nil
	if err := store.Record(t.Context(), rows(nil, nil, another)); err != nil {
		t.Fatal(err)
	}
	value := 0.5
	for _, step := range []struct {
		name   string
		change func() error
		want   []string
	}{
		{"at first", func() error { return nil }, []string{"none", "none"}},
		{"another class", func() error { return store.SetLabel(t.Context(), class(in, 3)) }, []string{"false", "null"}},
		{"the class", func() error { return store.SetLabel(t.Context(), class(in, 7)) }, []string{"null", "true"}},
		{"a later prediction", func() error {
			_, p := sample(nil)
			p.InputID = in.ID
			err := store.Record(t.Context(), rows(nil, nil, p))
			if err == nil && (!p.Labelled || p.Correct == nil || !*p.Correct) {
				t.Errorf("a later prediction does not know of its label: %v %v", p.Labelled, p.Correct)
			}
			return err
		}, []string{"null", "true", "true"}},
		{"a value", func() error {
			return store.SetLabel(t.Context(), &persistence.Label{InputID: in.ID, Value: &value, CreatedAt: time.Now()})
		}, []string{"null", "null", "null"}},
		{"none any more", func() error { return store.RemoveLabel(t.Context(), in.ID) }, []string{"none", "none", "none"}},
		{"removed again", func() error { return store.RemoveLabel(t.Context(), in.ID) }, []string{"none", "none", "none"}},
	} {
		if err := step.change(); err != nil {
			t.Fatal(step.name, err)
		}
		if got := copies(t, store, in); !slices.Equal(got, step.want) {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
	}
	gone, _ := sample(nil)
	if err := store.SetLabel(t.Context(), class(gone, 7)); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("an input that is not there: %v, want ErrNotFound", err)
	}
}

// TestLabelsAndPredictionsAtTheSameTime holds that no prediction misses a label that is stated while it is stored.
func TestLabelsAndPredictionsAtTheSameTime(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	in, _ := record(t, store)
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			_, p := sample(nil)
			p.InputID = in.ID
			if err := store.Record(context.Background(), rows(nil, nil, p)); err != nil {
				t.Error(err)
			}
		})
		if i%4 == 0 {
			group.Go(func() {
				if err := store.SetLabel(context.Background(), class(in, 7)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
	if got := copies(t, store, in); len(got) != 41 || slices.ContainsFunc(got, func(c string) bool { return c != "true" }) {
		t.Errorf("%v", got)
	}
}

func TestDeleteInput(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	in, _ := record(t, store)
	kept, _ := record(t, store)
	_, p := sample(nil)
	p.InputID = in.ID
	if err := errors.Join(store.Record(t.Context(), rows(nil, nil, p)), store.SetLabel(t.Context(), class(in, 7))); err != nil {
		t.Fatal(err)
	}
	if n, err := store.DeleteInput(t.Context(), in.ID); err != nil || n != 2 {
		t.Errorf("%d predictions deleted, %v; want 2", n, err)
	}
	if _, err := store.DeleteInput(t.Context(), in.ID); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("again: %v, want ErrNotFound", err)
	}
	for table, want := range map[string]int{"inputs": 1, "predictions": 1, "labels": 0} {
		var n int
		if err := connect(t, url).QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil || n != want {
			t.Errorf("%s: %d rows, %v; want %d", table, n, err, want)
		}
	}
	if _, err := store.Input(t.Context(), kept.ID); err != nil {
		t.Error(err)
	}
}

// TestOrderByConfidence reads lists with equal and missing confidences, in pages of every size and both directions.
func TestOrderByConfidence(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	confidences := []*float64{ptr(0.5), nil, ptr(0.25), ptr(0.5), ptr(1.0), nil, ptr(0.0), ptr(0.5), ptr(0.125), nil}
	var all []*persistence.Prediction
	for i, confidence := range confidences {
		in, p := sample([]byte("image"))
		p.Confidence = confidence
		if i%3 == 1 {
			p.Source = persistence.SourceShadow
		}
		if err := store.Record(t.Context(), rows(in, []byte("image"), p)); err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 {
			if err := store.SetLabel(t.Context(), class(in, 7)); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, p)
	}
	for order, sign := range map[persistence.PredictionOrder]int{
		persistence.OrderLeastConfident: 1, persistence.OrderMostConfident: -1,
	} {
		slices.SortFunc(all, func(a, b *persistence.Prediction) int {
			switch {
			case a.Confidence == nil && b.Confidence != nil:
				return 1
			case a.Confidence != nil && b.Confidence == nil:
				return -1
			case a.Confidence != nil && *a.Confidence != *b.Confidence:
				return sign * cmpFloat(*a.Confidence, *b.Confidence)
			}
			ida, idb := uuid.UUID(a.ID), uuid.UUID(b.ID)
			return sign * slices.Compare(ida[:], idb[:])
		})
		var want []persistence.PredictionID
		for _, p := range all {
			want = append(want, p.ID)
		}
		for _, backward := range []bool{false, true} {
			for n := 1; n <= len(all)+1; n++ {
				got := pages(t, store, persistence.PredictionQuery{Order: order}, n, backward, func() {})
				if !slices.Equal(got, want) {
					t.Errorf("%s, backward: %t, pages of %d: %v, want %v", order, backward, n, got, want)
				}
			}
		}
		for i, p := range all { // whether there is anything at a row or beyond it
			q := persistence.PredictionQuery{Order: order, Filters: []persistence.PredictionFilter{{Labelled: ptr(true)}}}
			at := persistence.Key{ID: uuid.UUID(p.ID), Confidence: p.Confidence}
			for _, forward := range []bool{true, false} {
				rest := all[i:]
				if !forward {
					rest = all[:i+1]
				}
				any, err := store.AnyPredictions(t.Context(), q, at, forward)
				if err != nil || any != slices.ContainsFunc(rest, func(p *persistence.Prediction) bool {
					return slices.Index(all, p) >= 0 && labelled(t, store, p)
				}) {
					t.Errorf("%s at %d, forward: %t: %t, %v", order, i, forward, any, err)
				}
			}
		}
	}
}

func labelled(t *testing.T, store *persistence.Store, p *persistence.Prediction) bool {
	t.Helper()
	found, err := store.PredictionsByID(t.Context(), []persistence.PredictionID{p.ID})
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	return found[0].Labelled
}

func cmpFloat(a, b float64) int {
	if a < b {
		return -1
	}
	return 1
}

func TestInputFilters(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	seven, _ := record(t, store)
	three, _ := record(t, store)
	plain, _ := record(t, store)
	if err := errors.Join(store.SetLabel(t.Context(), class(seven, 7)), store.SetLabel(t.Context(), class(three, 3))); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		filter persistence.InputFilter
		want   []*persistence.Input
	}{
		"none":         {persistence.InputFilter{}, []*persistence.Input{plain, three, seven}},
		"labelled":     {persistence.InputFilter{Labelled: ptr(true)}, []*persistence.Input{three, seven}},
		"not labelled": {persistence.InputFilter{Labelled: ptr(false)}, []*persistence.Input{plain}},
		"a class":      {persistence.InputFilter{ClassName: ptr("3")}, []*persistence.Input{three}},
		"both":         {persistence.InputFilter{ClassName: ptr("3"), Labelled: ptr(false)}, nil},
		"another type": {persistence.InputFilter{Labelled: ptr(true), ContentType: ptr("image/gif")}, nil},
	} {
		list, err := store.Inputs(t.Context(), test.filter, persistence.Page{Limit: 10})
		if err != nil {
			t.Fatal(name, err)
		}
		var got, want []persistence.InputID
		for _, in := range list.Rows {
			got = append(got, in.ID)
		}
		for _, in := range test.want {
			want = append(want, in.ID)
		}
		count, err := store.CountInputs(t.Context(), test.filter)
		if !slices.Equal(got, want) || err != nil || count != len(want) {
			t.Errorf("%s: %v, %d in all, %v; want %v", name, got, count, err, want)
		}
	}
}
