package persistence_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"sibyl/persistence"
)

// planRows is how many predictions of each of two sources the plans are made for. SIBYL_TEST_ROWS makes it more.
const planRows = 60_000

// testRows is how many rows to make of each source.
func testRows(tb testing.TB, otherwise int) int {
	tb.Helper()
	text := os.Getenv("SIBYL_TEST_ROWS")
	if text == "" {
		return otherwise
	}
	rows, err := strconv.Atoi(text)
	if err != nil {
		tb.Fatal(err)
	}
	return rows
}

// fill stores rows requests, some of them labelled, and as many newer replays.
func fill(t testing.TB, conn *pgx.Conn, rows int) {
	t.Helper()
	id := func(n string) string {
		return `(lpad(to_hex(1700000000000 + ` + n + `), 12, '0') || '7000800000000000' || lpad(to_hex(` + n + ` % 65536), 4, '0'))::uuid`
	}
	for _, sql := range []string{
		`INSERT INTO inputs (id, created_at, width, height, byte_size, sha256, content_type, image)
SELECT ` + id("n") + `, now(), 28, 28, 3, sha256(n::text::bytea), CASE WHEN n % 10 = 0 THEN 'image/jpeg' ELSE 'image/png' END, 'abc'
FROM generate_series(1, $1::integer) n`,
		`INSERT INTO predictions (id, input_id, created_at, confidence, decode_microseconds, queue_microseconds,
  inference_microseconds, version, class_index, class_name, model, source, outputs)
SELECT ` + id("n") + `, ` + id("n") + `, now(), CASE WHEN n % 100 > 0 THEN (n::bigint * 7919 % 10007) / 10007.0 END, 1, 1, 1,
  n % 3 + 1, n % 10, (n % 10)::text, CASE WHEN n % 20 = 0 THEN 'cifar' ELSE 'mnist' END, 'REQUEST', '[]'
FROM generate_series(1, $1::integer) n`,
		`INSERT INTO predictions (id, input_id, created_at, confidence, decode_microseconds, queue_microseconds,
  inference_microseconds, version, class_index, class_name, model, source, outputs)
SELECT ` + id("(n + $1::integer)") + `, ` + id("n") + `, now(), (n::bigint * 7919 % 10007) / 10007.0, 1, 1, 1,
  3, n % 10, (n % 10)::text, 'mnist', 'REPLAY', '[]'
FROM generate_series(1, $1::integer) n`,
		`INSERT INTO labels (input_id, created_at, class_index, class_name)
SELECT ` + id("n") + `, now(), n % 7, (n % 7)::text
FROM generate_series(1, $1::integer, 50) n`,
		`UPDATE predictions p
SET labelled = true, correct = p.class_name = l.class_name
FROM labels l
WHERE l.input_id = p.input_id AND $1::integer > 0`,
	} {
		if _, err := conn.Exec(t.Context(), sql, rows); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.Exec(t.Context(), "VACUUM ANALYZE"); err != nil {
		t.Fatal(err)
	}
}

// node is a part of a plan, as EXPLAIN (FORMAT JSON) tells it.
type node struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Removed  float64 `json:"Rows Removed by Filter"`
	Plans    []node  `json:"Plans"`
}

// walk visits the node and all below it.
func (n node) walk(visit func(node)) {
	visit(n)
	for _, child := range n.Plans {
		child.walk(visit)
	}
}

// work is what a plan has read.
type work struct {
	// whole tells that a table was read from its beginning to its end.
	whole bool
	// sorted are the most rows that a sort has got; rows those that indexes led to.
	sorted, rows float64
}

// work adds up the plan's.
func (n node) work() (w work) {
	n.walk(func(n node) {
		switch n.Type {
		case "Seq Scan":
			w.whole = true
		case "Sort", "Incremental Sort":
			w.sorted = max(w.sorted, n.Plans[0].Rows*n.Plans[0].Loops)
		case "Index Scan", "Index Only Scan", "Bitmap Heap Scan":
			w.rows += (n.Rows + n.Removed) * n.Loops
		}
	})
	return w
}

// explain runs a statement and returns its plan.
func explain(t *testing.T, conn *pgx.Conn, s persistence.Statement) node {
	t.Helper()
	var text []byte
	err := conn.QueryRow(t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) "+s.SQL, s.Args...).Scan(&text)
	if err != nil {
		t.Fatalf("%s: %v", s.SQL, err)
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal(text, &plans); err != nil || len(plans) != 1 {
		t.Fatalf("%s: %v", text, err)
	}
	return plans[0].Plan
}

// TestListsAreReadInOrder holds that no list is read whole, nor sorted but for what a page is merged from, however many
// predictions of another source are newer.
func TestListsAreReadInOrder(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes long")
	}
	rows := testRows(t, planRows)
	_, url := setup(t)
	conn := connect(t, url)
	fill(t, conn, rows)
	const limit = 20
	request := []persistence.Source{persistence.SourceRequest}
	for name, f := range map[string]persistence.PredictionFilter{
		"none":               {},
		"model":              {Model: ptr("mnist")},
		"a rare model":       {Model: ptr("cifar")},
		"version":            {Version: ptr(2)},
		"className":          {ClassName: ptr("3")},
		"no such class":      {ClassName: ptr("none")},
		"confidence":         {Confidence: persistence.FloatRange{GTE: ptr(0.5), LT: ptr(0.6)}},
		"labelled":           {Labelled: ptr(true)},
		"not labelled":       {Labelled: ptr(false)},
		"correct":            {Correct: ptr(true)},
		"not correct":        {Correct: ptr(false)},
		"model and version":  {Model: ptr("mnist"), Version: ptr(1)},
		"of another version": {Model: ptr("mnist"), Version: ptr(3)},
	} {
		f.Sources = request
		plans(t, conn, name+" NEWEST", persistence.PredictionQuery{Filters: []persistence.PredictionFilter{f}}, limit)
	}
	version := persistence.PredictionFilter{Model: ptr("mnist"), Version: ptr(3)}
	for _, order := range []persistence.PredictionOrder{
		persistence.OrderNewest, persistence.OrderOldest, persistence.OrderLeastConfident, persistence.OrderMostConfident,
	} {
		for name, filter := range map[string]persistence.PredictionFilter{
			"none": {}, "model and version": version, "not labelled": {Labelled: ptr(false)},
		} {
			filter.Sources = request
			q := persistence.PredictionQuery{Filters: []persistence.PredictionFilter{filter}, Order: order}
			plans(t, conn, fmt.Sprint(name, " ", order), q, limit)
		}
	}
	nested := persistence.PredictionQuery{Filters: []persistence.PredictionFilter{version}}
	plans(t, conn, "of a version, every source", nested, limit)
	plans(t, conn, "every source", persistence.PredictionQuery{}, limit)
	plans(t, conn, "with inputs", persistence.PredictionQuery{Input: true, InputImage: true}, limit)
	plans(t, conn, "with inputs, by confidence",
		persistence.PredictionQuery{Input: true, Order: persistence.OrderLeastConfident}, limit)
	nestedPlan(t, conn)
	exportPlans(t, conn, rows)
}

// nestedPlan checks that the newest predictions of each of many inputs are read by the inputs alone.
func nestedPlan(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	var ids []persistence.InputID
	const some = `SELECT array_agg(i.id) FROM (SELECT id FROM inputs ORDER BY id DESC LIMIT 100) i`
	if err := conn.QueryRow(t.Context(), some).Scan(&ids); err != nil {
		t.Fatal(err)
	}
	requests := persistence.PredictionFilter{Sources: []persistence.Source{persistence.SourceRequest}}
	for name, q := range map[string]persistence.PredictionQuery{
		"all": {}, "requests": {Filters: []persistence.PredictionFilter{requests}},
	} {
		s := persistence.NestedStatement(q, ids, persistence.Page{Limit: 3})
		plan := explain(t, conn, s)
		w := plan.work()
		if w.whole || w.sorted > float64(4*len(ids)) || w.rows > float64(4*len(ids)) {
			text, _ := json.MarshalIndent(plan, "", " ")
			t.Errorf("nested, %s: %+v\n%s\n%s", name, w, s.SQL, text)
		}
	}
}

// plans checks the first page of a list, one far within, and the last.
func plans(t *testing.T, conn *pgx.Conn, name string, q persistence.PredictionQuery, limit int) {
	t.Helper()
	const mostRead = 15 // rows for each of a page: of one in ten, and a little more
	within := persistence.Key{ID: uuid.MustParse("018bcfe5-e87a-7000-8000-000000000000")}
	if q.Order.ByConfidence() {
		within.Confidence = ptr(0.5)
	}
	for place, page := range map[string]persistence.Page{
		"first": {Limit: limit}, "within": {Limit: limit, After: &within}, "last": {Limit: limit, Backward: true},
	} {
		for _, s := range persistence.ListStatements(q, page) {
			plan := explain(t, conn, s)
			w := plan.work()
			if w.whole || w.sorted > float64(6*(limit+1)) || w.rows > float64(mostRead*limit) {
				text, _ := json.MarshalIndent(plan, "", " ")
				t.Errorf("%s, %s page: %+v\n%s\n%s", name, place, w, s.SQL, text)
			}
		}
	}
}

// TestInputListsAreReadInOrder is the same for inputs.
func TestInputListsAreReadInOrder(t *testing.T) {
	t.Parallel()
	_, url := setup(t)
	conn := connect(t, url)
	fill(t, conn, planRows/4)
	for name, f := range map[string]persistence.InputFilter{
		"none": {}, "contentType": {ContentType: ptr("image/jpeg")}, "labelled": {Labelled: ptr(true)},
		"not labelled": {Labelled: ptr(false)}, "className": {ClassName: ptr("3")},
	} {
		s := persistence.InputStatement(f, persistence.Page{Limit: 20})
		explain(t, conn, s).walk(func(n node) {
			if n.Type == "Seq Scan" || n.Type == "Sort" && n.Rows > 21 {
				t.Errorf("%s: %s of %s\n%s", name, n.Type, n.Relation, s.SQL)
			}
		})
	}
}
