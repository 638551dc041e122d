package graph_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"sibyl/graph"
	"sibyl/persistence"
)

func ptr[T any](v T) *T { return &v }

func TestExportFilter(t *testing.T) {
	request := []persistence.Source{persistence.SourceRequest}
	id := persistence.NewInputID()
	for text, want := range map[string]persistence.PredictionFilter{
		"": {Sources: request}, " ": {Sources: request}, "{}": {Sources: request}, "null": {Sources: request},
		`{"source":null}`:     {Sources: request},
		`{"source":[]}`:       {Sources: []persistence.Source{}},
		`{"source":"REPLAY"}`: {Sources: []persistence.Source{persistence.SourceReplay}},
		`{"source":["SHADOW","REQUEST"],"model":""}`: {Sources: []persistence.Source{"SHADOW", "REQUEST"}, Model: ptr("")},
		`{"model":"m","version":2,"className":"7","labelled":false,"correct":true,"inputId":"` + id.String() + `"}`: {
			Sources: request, Model: ptr("m"), Version: ptr(2), ClassName: ptr("7"), Labelled: ptr(false), Correct: ptr(true),
			InputID: &id,
		},
		`{"confidence":{"gte":0.5,"lt":1}}`: {
			Sources: request, Confidence: persistence.FloatRange{GTE: ptr(0.5), LT: ptr(1.0)},
		},
		`{"createdAt":{"from":"2026-11-23T14:05:00.5+02:00"}}`: {
			Sources: request, CreatedAt: persistence.TimeRange{From: ptr(time.Date(2026, 11, 23, 12, 5, 0, 5e8, time.UTC))},
		},
	} {
		got, err := graph.ExportFilter(text)
		if got.CreatedAt.From != nil {
			got.CreatedAt.From = ptr(got.CreatedAt.From.UTC())
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

// badFilters are none, each in another way.
var badFilters = []string{
	"[", "{", "x", "{}{}", "{} x", "1", `""`, "[]", "true", "\x00", "\xff", strings.Repeat("[", 20_000),
	`{"Model":"m"}`, `{"class_name":"7"}`, `{"model":["m"]}`, `{"model":{}}`, `{"version":"x"}`, `{"version":1.5}`,
	`{"version":99999999999999999999}`, `{"version":3000000000}`, `{"labelled":"true"}`, `{"correct":1}`,
	`{"source":"request"}`, `{"source":["REQUEST",null]}`, `{"source":[["REQUEST"]]}`, `{"source":{}}`, `{"source":1}`,
	`{"confidence":0.5}`, `{"confidence":{"gt":0.5}}`, `{"confidence":{"gte":"x"}}`, `{"confidence":{"gte":1e999}}`,
	`{"createdAt":"2026"}`, `{"createdAt":{"from":"2026"}}`, `{"createdAt":{"from":1}}`, `{"createdAt":{"since":null}}`,
	`{"inputId":"x"}`, `{"inputId":1}`, `{"inputId":"prediction_01m88zx2s6fepa3r4q809a07mt"}`,
}

func TestBadExportFilters(t *testing.T) {
	for _, text := range badFilters {
		f, err := graph.ExportFilter(text)
		var known *graph.Error
		if !errors.As(err, &known) || known.Code != graph.CodeBadUserInput || len(known.Message) > 300 {
			t.Errorf("%.50s: %+v, %v", text, f, err)
		}
	}
}

func FuzzExportFilter(f *testing.F) {
	for _, text := range badFilters {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := graph.ExportFilter(text); err != nil && err.Error() == "" {
			t.Error("an error that says nothing")
		}
	})
}

// TestExport compares an export with what the API says of the same predictions.
func TestExport(t *testing.T) {
	b := setup(t, graph.Options{})
	_, input := b.predicted(t)
	b.must(t, `mutation ($id: ID!) { labelInput(inputId: $id, label: {className: "1"}) { id } }`, map[string]any{"id": input})
	b.predict(t)
	answer := b.must(t, `{ predictions(orderBy: OLDEST) { nodes {
  id scores values correct likelyClass { index name confidence } input { id filename image { sha256 } }
} } }`, nil)
	f, err := graph.ExportFilter("")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for row, err := range graph.Export(t.Context(), b.store, f, true) {
		if err != nil {
			t.Fatal(err)
		}
		want, _ := answer.at(t, "predictions", "nodes", rows).(map[string]any)
		text, _ := json.Marshal(map[string]any{
			"id": row.ID.String(), "scores": row.Scores, "values": row.Values, "correct": row.Correct,
			"likelyClass": map[string]any{"index": row.ClassIndex, "name": row.ClassName, "confidence": row.Confidence},
			"input": map[string]any{
				"id": row.InputID.String(), "filename": row.Input.Filename,
				"image": map[string]any{"sha256": persistence.DigestOf(row.Image).String()},
			},
		})
		var got map[string]any
		_ = json.Unmarshal(text, &got)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		rows++
	}
	if rows != 2 {
		t.Errorf("%d rows", rows)
	}
}

// TestExportReadsOutputs by what is kept of the version that made them.
func TestExportReadsOutputs(t *testing.T) {
	output := func(kind, activation string) string {
		return `{"name":"y","kind":"` + kind + `","activation":"` + activation + `"}`
	}
	tensor := func(data string) string { return `[{"name":"y","datatype":"FP64","data":` + data + `}]` }
	b := setup(t, graph.Options{})
	b.predict(t)
	for _, test := range []struct {
		output, outputs string
		scores, values  []float64
	}{
		{"", tensor("[1]"), nil, nil}, // of a version that nobody knows
		{output("classification", "none"), tensor("[0.1,0.9]"), []float64{0.1, 0.9}, nil},
		{output("classification", "softmax"), tensor("[2,2]"), []float64{0.5, 0.5}, nil},
		{output("classification", "softmax"), tensor(`[0.1,"NaN"]`), nil, nil},
		{output("regression", "none"), tensor("[-2.5]"), nil, []float64{-2.5}},
		{output("regression", "none"), tensor(`["Infinity"]`), nil, nil},
		{output("regression", "none"), tensor("null"), nil, nil},
		{output("none", "none"), tensor("[1]"), nil, nil},
	} {
		b.exec(t, `UPDATE predictions SET model = 'other', outputs = $1`, test.outputs)
		if test.output != "" {
			b.exec(t, `DELETE FROM model_versions WHERE name = 'other'`)
			b.exec(t, `INSERT INTO model_versions
SELECT created_at, version, 'other', sha256, fingerprint, class_names, inputs, outputs, $1::jsonb
FROM model_versions`, test.output)
		}
		rows := 0
		for row, err := range graph.Export(t.Context(), b.store, persistence.PredictionFilter{}, false) {
			if err != nil || !reflect.DeepEqual(row.Scores, test.scores) || !reflect.DeepEqual(row.Values, test.values) {
				t.Errorf("%s %s: %v %v %v", test.output, test.outputs, row.Scores, row.Values, err)
			}
			rows++
		}
		if rows != 1 {
			t.Errorf("%d rows", rows)
		}
	}
}

// exec runs a statement past the store.
func (b *bundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := b.admin.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// TestExportIsCancelled: an export that was stopped must not look like one that has ended.
func TestExportIsCancelled(t *testing.T) {
	b := setup(t, graph.Options{})
	b.predict(t)
	ctx, cancel := context.WithCancel(t.Context())
	var last error
	for _, last = range graph.Export(ctx, b.store, persistence.PredictionFilter{}, false) {
		cancel()
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("it ended with %v", last)
	}
	cancel()
}
