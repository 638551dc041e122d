package persistence_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"sibyl/persistence"
)

// exported reads a whole export.
func exported(t *testing.T, store *persistence.Store, f persistence.PredictionFilter, images bool) []*persistence.Stored {
	t.Helper()
	var all []*persistence.Stored
	for page, err := range store.Export(t.Context(), f, images) {
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range page {
			copied := *row
			all = append(all, &copied)
		}
	}
	return all
}

// TestExport compares exports with what the lists count.
func TestExport(t *testing.T) {
	t.Parallel()
	const stored = 3000
	store, url := setup(t)
	fill(t, connect(t, url), stored)
	request := []persistence.Source{persistence.SourceRequest}
	for name, f := range map[string]persistence.PredictionFilter{
		"all": {}, "none": {Sources: []persistence.Source{}}, "requests": {Sources: request},
		"correct": {Correct: ptr(true)}, "labelled": {Labelled: ptr(true), Sources: request},
		"a class": {ClassName: ptr("3"), Confidence: persistence.FloatRange{GTE: ptr(0.5)}}, "no such": {Model: ptr("none")},
	} {
		got := exported(t, store, f, false)
		want, err := store.CountPredictions(t.Context(), persistence.PredictionQuery{Filters: []persistence.PredictionFilter{f}})
		if err != nil || len(got) != want {
			t.Errorf("%s: %d rows, want %d, %v", name, len(got), want, err)
		}
		for i, row := range got {
			if i > 0 && row.ID.String() <= got[i-1].ID.String() {
				t.Fatalf("%s: row %d is not after the one before it", name, i)
			}
			if row.Labelled != (row.Label != nil) || row.Input.ID != row.InputID || row.Image != nil ||
				string(row.Outputs) != "[]" || row.Label != nil && row.Label.InputID != row.InputID {
				t.Fatalf("%s: row %d: %+v", name, i, row)
			}
		}
	}
}

// TestExportWhileOthersWork: what is stored after it began is not there, and what is deleted before its page is read
// neither.
func TestExportWhileOthersWork(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	conn := connect(t, url)
	fill(t, conn, 2000)
	before, seen := 4000, 0
	for page, err := range store.Export(t.Context(), persistence.PredictionFilter{}, true) {
		if err != nil {
			t.Fatal(err)
		}
		if seen == 0 {
			in, p := sample([]byte("new"))
			if err := store.Record(t.Context(), rows(in, []byte("new"), p)); err != nil {
				t.Fatal(err)
			}
			last := page[len(page)-1].InputID
			if _, err := store.DeleteInput(t.Context(), last); err != nil {
				t.Fatal(err)
			}
			// The replay of it is 2,000 rows later.
			before--
		}
		seen += len(page)
	}
	if seen != before {
		t.Errorf("%d rows, want %d", seen, before)
	}
}

// TestExportedImages: every image comes, each once in memory, and those that retention removed are nil.
func TestExportedImages(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	for i := range 40 {
		image := bytes.Repeat([]byte{byte(i)}, 1<<20)
		in, p := sample(image)
		if err := store.Record(t.Context(), rows(in, image, p)); err != nil {
			t.Fatal(err)
		}
	}
	const remove = `UPDATE inputs SET image = NULL, stored_in = 'removed' WHERE id = (SELECT min(id::text)::uuid FROM inputs)`
	if _, err := connect(t, url).Exec(t.Context(), remove); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for page, err := range store.Export(t.Context(), persistence.PredictionFilter{}, true) {
		if err != nil {
			t.Fatal(err)
		}
		if len(page) > 8 {
			t.Errorf("%d MiB of images at once", len(page))
		}
		for _, row := range page {
			if seen == 0 && row.Image != nil || seen > 0 && (len(row.Image) != 1<<20 || row.Image[0] != byte(seen)) {
				t.Errorf("row %d has %d bytes", seen, len(row.Image))
			}
			seen++
		}
	}
	if seen != 40 {
		t.Errorf("%d rows", seen)
	}
}

// TestExportIsBounded: pages of large rows are small.
func TestExportIsBounded(t *testing.T) {
	t.Parallel()
	store, url := setup(t)
	conn := connect(t, url)
	fill(t, conn, 100)
	const enlarge = `UPDATE predictions SET outputs = jsonb_build_array(repeat('x', 1000000)) WHERE source = 'REPLAY'`
	if _, err := conn.Exec(t.Context(), enlarge); err != nil {
		t.Fatal(err)
	}
	seen, most := 0, 0
	for page, err := range store.Export(t.Context(), persistence.PredictionFilter{}, false) {
		if err != nil {
			t.Fatal(err)
		}
		bytes := 0
		for _, row := range page {
			bytes += len(row.Outputs)
		}
		most = max(most, bytes)
		seen += len(page)
	}
	if seen != 200 || most > 10<<20 {
		t.Errorf("%d rows, %d MiB at once", seen, most>>20)
	}
}

// exportPlans checks that a page of an export costs what the page has, wherever it is among so many rows of fill.
func exportPlans(t *testing.T, conn *pgx.Conn, stored int) {
	t.Helper()
	const limit = 256
	key := func(n int) persistence.Key {
		return persistence.Key{ID: uuid.MustParse(fmt.Sprintf("%012x7000800000000000%04x", 1700000000000+n, n%65536))}
	}
	request := []persistence.Source{persistence.SourceRequest}
	for name, f := range map[string]persistence.PredictionFilter{
		"every source": {}, "requests": {Sources: request}, "model": {Sources: request, Model: ptr("mnist")},
		"labelled": {Sources: request, Labelled: ptr(true)}, "class": {Sources: request, ClassName: ptr("3")},
	} {
		for _, after := range []int{0, stored / 2} {
			s := persistence.ExportStatement(f, key(after), key(2*stored), limit)
			explain(t, conn, s).walk(func(n node) {
				if n.Type == "Seq Scan" && n.Relation != "labels" || n.Rows*n.Loops > 6*limit {
					t.Errorf("export of %s after %d: %s of %s, %.0f rows\n%s",
						name, after, n.Type, n.Relation, n.Rows*n.Loops, s.SQL)
				}
			})
		}
	}
}
