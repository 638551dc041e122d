package graph_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"sibyl/graph"
	"sibyl/persistence/persistencetest"
)

// everything are operations in which plans and gqlgen's own way have to come to the same answer.
var everything = map[string]string{
	"page": `{ predictions(first: 3) { nodes { id createdAt source correct likelyClass { index name confidence }
  timing { decode queue inference } input { id createdAt filename } } } }`,
	"edges": `{ predictions { totalCount edges { cursor node { id } } pageInfo { startCursor endCursor hasNextPage } } }`,
	"image": `{ inputs { nodes { id image { contentType width height byteSize sha256 url dataUrl thumbnail } } } }`,
	"resolvers beside plain fields": `{ predictions { nodes { id scores input { filename label { className createdAt } }
  likelyClass { name } classes(top: 2) { name } outputs { name datatype shape data } } } }`,
	"model": `{ predictions { nodes { model { id name version state stateReason sha256 executionProvider classNames
  inputs { name datatype shape } outputs { name shape } } } } models { name serving { id } versions { id } } }`,
	"aliases": `{ a: predictions(first: 1) { b: nodes { c: id d: input { e: id f: filename } c: id } }
  g: predictions(last: 1) { nodes { likelyClass { name } likelyClass { confidence } } } }`,
	"fragments": `query { predictions { ...page } }
fragment page on PredictionConnection { __typename nodes { ...node ... on Node { __typename id } ... { source } } }
fragment node on Prediction { id input { ...stored ... on Input { filename } } }
fragment stored on Node { id __typename ... on Prediction { source } }`,
	"skip and include": `query ($no: Boolean = false) { predictions { nodes { id @skip(if: true) source @include(if: $no)
  input @skip(if: $no) { id filename @include(if: $no) } ... @include(if: $no) { correct } } } }`,
	"nothing left":           `{ predictions { nodes { id @skip(if: true) } } }`,
	"empty page":             `{ predictions(first: 0) { nodes { id input { id } } pageInfo { hasNextPage } } }`,
	"lists inside":           `{ inputs { nodes { predictions(first: 2) { nodes { id input { id } } totalCount } } } }`,
	"one field, aliased":     `{ a: predictions { b: totalCount } }`,
	"one field, of none":     `{ __typename }`,
	"one field, left out":    `{ models @skip(if: true) { name } }`,
	"one field, twice":       `{ models { name } models { versions { id } } }`,
	"one field, null":        `{ prediction(id: "pred_00000000000000000000000000") { id } }`,
	"failing: one field":     `{ a: predictions(first: -1) { totalCount } }`,
	"failing: one, nullable": `{ a: node(id: "nobody") { id } }`,
	"failing: an argument":   `{ predictions { nodes { id classes(top: 0) { name } } } models { name } }`,
	"failing: not a number":  `{ predictions(filter: {className: "nan"}) { nodes { likelyClass { index confidence } } } }`,
	"failing: not a number, inside": `{ predictions(filter: {className: "nan"}) { edges { node { timing { decode }
  input { id predictions { nodes { likelyClass { confidence } } } } } } } }`,
	"failing: outputs that are none": `{ predictions(filter: {className: "broken"}) { nodes { id outputs { name } } }
  models { name } }`,
}

// strange makes rows that are hard to write, or cannot be.
var strange = []string{
	`UPDATE inputs SET filename = E'"\\\t\r\n\u0001\u007f<é\U0001F600'
WHERE id = (SELECT min(id::text)::uuid FROM inputs)`,
	`UPDATE inputs SET filename = NULL WHERE id = (SELECT max(id::text)::uuid FROM inputs)`,
	`UPDATE predictions SET class_name = NULL, class_index = NULL
WHERE id = (SELECT max(id::text)::uuid FROM predictions)`,
}

// TestPlans compares the answers of both ways, to the byte, and their errors.
func TestPlans(t *testing.T) {
	url := persistencetest.Migrated(t)
	planned := replica(t, url, "", graph.Options{})
	resolved := replica(t, url, "", graph.Options{EveryField: true})
	for range 5 {
		_, input := planned.predicted(t)
		planned.must(t, `mutation ($id: ID!) { labelInput(inputId: $id, label: {classIndex: 1}) { id } }`,
			map[string]any{"id": input})
	}
	for i, set := range []string{
		`confidence = 1e-7`, `confidence = 0.1`, `class_name = 'nan', confidence = 'NaN'`,
		`class_name = 'broken', outputs = '3'`,
	} {
		strange = append(strange, fmt.Sprintf(`UPDATE predictions SET %s
WHERE id = (SELECT id FROM predictions ORDER BY id OFFSET %d LIMIT 1)`, set, i))
	}
	for _, sql := range strange {
		if _, err := planned.admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(sql, err)
		}
	}
	for name, query := range everything {
		t.Run(name, func(t *testing.T) {
			planned.respond(t, query, nil) // what follows goes by plans that are kept
			got, want := planned.respond(t, query, nil), resolved.respond(t, query, nil)
			if string(got.Data) != string(want.Data) {
				t.Errorf("planned\n%s\nresolved\n%s", got.Data, want.Data)
			}
			if g, w := errorsOf(got), errorsOf(want); g != w {
				t.Errorf("errors: planned\n%s\nresolved\n%s", g, w)
			}
			if strings.HasPrefix(name, "failing") && len(got.Errors) == 0 {
				t.Errorf("no error: %s", got.Data)
			}
		})
	}
}

// TestKeptPlansAreOfTheirOwnOperation asks with one document for several operations, and with one operation by several
// variables, again and again.
func TestKeptPlansAreOfTheirOwnOperation(t *testing.T) {
	url := persistencetest.Migrated(t)
	planned, resolved := replica(t, url, "", graph.Options{}), replica(t, url, "", graph.Options{EveryField: true})
	prediction, input := planned.predicted(t)
	const document = `query A { predictions { nodes { ...P } } }
query B { predictions { nodes { ...P } nodes { source } } predictions { totalCount } }
query C($id: ID!) { node(id: $id) { id ...P ... on Input { filename image { width } } } }
query D($ids: [ID!]!) { nodes(ids: $ids) { __typename ...P ... on Input { filename } } }
query E($without: Boolean!, $first: Int) { predictions(first: $first) { nodes { id @skip(if: $without) ...P @skip(if: $without) } } }
query F { predictions { nodes { ...P input { image { height } } } } other: predictions { nodes { input { filename } } } }
query G { ...Q }
query H { ...Q predictions { totalCount } }
fragment P on Prediction { id likelyClass { name } input { id } }
fragment Q on Query { predictions { nodes { id } } }`
	asks := []struct {
		operation string
		variables map[string]any
	}{
		{"A", nil},
		{"B", nil},
		{"C", map[string]any{"id": prediction}},
		{"C", map[string]any{"id": input}},
		{"D", map[string]any{"ids": []any{input, prediction}}},
		{"D", map[string]any{"ids": []any{prediction}}},
		{"E", map[string]any{"without": true, "first": 1}},
		{"E", map[string]any{"without": false, "first": 2}},
		{"F", nil},
		{"H", nil},
		{"G", nil},
	}
	for range 3 {
		for _, ask := range asks {
			got := planned.respondTo(t, document, ask.operation, ask.variables)
			want := resolved.respondTo(t, document, ask.operation, ask.variables)
			if string(got.Data) != string(want.Data) || len(got.Errors) > 0 {
				t.Errorf("%s %v: planned\n%s %v\nresolved\n%s", ask.operation, ask.variables, got.Data, got.Errors, want.Data)
			}
		}
	}
}

// errorsOf are the errors with their paths and codes, in any order.
func errorsOf(r *graphql.Response) string {
	var lines []string
	for _, err := range r.Errors {
		lines = append(lines, fmt.Sprint(err.Path, " ", err.Message, " ", err.Extensions["code"]))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestPlainFieldsAreNotResolved counts what middleware around fields sees: only what needs a resolver, or everything.
func TestPlainFieldsAreNotResolved(t *testing.T) {
	url := persistencetest.Migrated(t)
	const query = `{ predictions { nodes { id likelyClass { name confidence } input { id filename image { width } } } } }`
	for name, test := range map[string]struct {
		options graph.Options
		want    int64
	}{
		"planned":  {graph.Options{}, 1},
		"resolved": {graph.Options{EveryField: true}, 2 + 3*9},
	} {
		b := replica(t, url, "", test.options)
		var seen atomic.Int64
		b.executor.AroundFields(func(ctx context.Context, next graphql.Resolver) (any, error) {
			seen.Add(1)
			return next(ctx)
		})
		for b.count(t) < 3 {
			b.predict(t)
		}
		seen.Store(0)
		b.must(t, query, nil)
		if n := seen.Load(); n != test.want {
			t.Errorf("%s: %d fields were resolved, want %d", name, n, test.want)
		}
	}
}

// count is how many predictions are stored.
func (b *bundle) count(t *testing.T) int {
	t.Helper()
	return int(b.must(t, `{ predictions(first: 0) { totalCount } }`, nil).at(t, "predictions", "totalCount").(float64))
}
