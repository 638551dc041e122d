package graph_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sibyl/graph"
	"sibyl/persistence"
)

// readVariables reads JSON as the transports do.
func readVariables(t *testing.T, text string) (variables map[string]any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&variables); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return variables
}

// Operations with one variable of each type, by itself and inside of a filter.
const (
	withFilter = `query ($x: PredictionFilter) { predictions(filter: $x) { nodes { id } } }`
	withFirst  = `query ($x: Int) { predictions(first: $x) { nodes { id } } }`
	withAfter  = `query ($x: String) { predictions(after: $x) { nodes { id } } }`
	withID     = `query ($x: ID!) { node(id: $x) { id } }`
	withModel  = `query ($x: String!) { model(name: $x) { name } }`
	withLabel  = `mutation ($x: LabelInput!) { labelInput(inputId: "input_01h455vb4pex5vsknk084sn02q", label: $x) { id } }`
	withOrder  = `query ($x: PredictionOrder) { predictions(orderBy: $x) { nodes { id } } }`
	withTop    = `query ($x: Int) { predictions { nodes { classes(top: $x) { name } } } }`
)

// TestVariablesAreOfTheirTypes: what is not is refused before anything runs.
func TestVariablesAreOfTheirTypes(t *testing.T) {
	b := setup(t, graph.Options{})
	b.predict(t)
	for _, row := range []struct{ query, values, code string }{
		{withFirst, `1 1.0 1e1 0 null -0`, ""},
		{withFirst, `"1" 1.5 true 3000000000 -3000000000 1e300 99999999999999999999 {}`, "GRAPHQL_VALIDATION_FAILED"},
		{withFirst, `-1 501 2147483647`, "BAD_USER_INPUT"},
		{withFilter, `{"version":1.0} {"version":null} {"version":2147483647} {"version":-2147483648}`, ""},
		{withFilter, `{"version":"1"} {"version":2147483648} {"version":1.5}`, "GRAPHQL_VALIDATION_FAILED"},
		{withFilter, `{"confidence":{"gte":1}} {"confidence":{"gte":-0.5,"lt":1e300}} {"confidence":{"lt":null}}`, ""},
		{
			withFilter, `{"confidence":{"gte":"NaN"}} {"confidence":{"lt":"1"}} {"confidence":{"lt":1e400}} {"confidence":1}`,
			"GRAPHQL_VALIDATION_FAILED",
		},
		{
			withFilter, `{"model":1} {"model":true} {"className":1.5} {"inputId":1.5} {"inputId":true} {"labelled":"true"} {"correct":1}`,
			"GRAPHQL_VALIDATION_FAILED",
		},
		{withFilter, `{"source":"REQUEST"} {"source":["REQUEST","REPLAY"]} {"source":[]} {"source":null}`, ""},
		{withFilter, `{"source":"request"} {"source":[null]} {"source":[1]} {"source":[["REQUEST"]]}`, "GRAPHQL_VALIDATION_FAILED"},
		{withFilter, `{"inputId":1} {"inputId":""}`, "BAD_USER_INPUT"},
		{
			withFilter, `{"createdAt":{"from":1}} {"createdAt":{"from":true}} {"createdAt":[]} {"modle":"x"} [] "x" 1 {"createdAt":{"until":"x"}}`,
			"GRAPHQL_VALIDATION_FAILED",
		},
		{withAfter, `1 true ["a"] {}`, "GRAPHQL_VALIDATION_FAILED"},
		{withAfter, `"1"`, "BAD_USER_INPUT"},
		{withID, `1 1.0 "1"`, "BAD_USER_INPUT"},
		{withID, `1.5 true null 1e300`, "GRAPHQL_VALIDATION_FAILED"},
		{withModel, `1 1.5 true null`, "GRAPHQL_VALIDATION_FAILED"},
		{withOrder, `"newest" 1 null "CONFIDENT" true`, "GRAPHQL_VALIDATION_FAILED"},
		{withTop, `null "1"`, "GRAPHQL_VALIDATION_FAILED"},
		{withLabel, `{"value":1.5} {"className":"1"} {"classIndex":1}`, "NOT_FOUND"},
		{
			withLabel, `{} {"value":null} {"value":1,"className":null} {"value":1,"className":"1"} {"value":"NaN"} {"value":1e400} null`,
			"GRAPHQL_VALIDATION_FAILED",
		},
	} {
		for value := range strings.FieldsSeq(row.values) {
			if a := b.do(t, row.query, readVariables(t, `{"x":`+value+`}`)); a.codes() != row.code {
				t.Errorf("%s with %s: %v, want %s", row.query, value, a, row.code)
			}
		}
	}
	absent := b.do(t, `query ($x: PredictionOrder = OLDEST, $n: Int = 2) { predictions(orderBy: $x, first: $n) { nodes { id } } }`, nil)
	if absent.codes() != "" {
		t.Errorf("defaults: %v", absent)
	}
	if a := b.do(t, `mutation ($x: Int!) { reloadModels { name } labelInput(inputId: "x", label: {classIndex: $x}) { id } }`,
		readVariables(t, `{"x":"1"}`)); !onlyCode(a, graph.CodeValidationFailed) || a.Data != nil {
		t.Errorf("something ran: %v", a)
	}
}

// TestConditionsAreNotNull: a variable with a default may be null, but not as a condition.
func TestConditionsAreNotNull(t *testing.T) {
	b := setup(t, graph.Options{})
	const (
		directly = `query ($x: Boolean = true) { models { name @include(if: $x) } }`
		deeply   = `query ($x: Boolean = true) { ...F } fragment F on Query { ... on Query { models { name ... on Model @skip(if: $x) { name } } } }`
		nowhere  = `query ($x: Boolean = true) { predictions(filter: {correct: $x}) { nodes { id } } }`
		spread   = `query ($x: Boolean = true) { __typename ...F @include(if: $x) } fragment F on Query { models { name } }`
	)
	for query, code := range map[string]string{
		directly: "GRAPHQL_VALIDATION_FAILED", deeply: "GRAPHQL_VALIDATION_FAILED", spread: "GRAPHQL_VALIDATION_FAILED", nowhere: "",
	} {
		for value, want := range map[string]string{`{"x":null}`: code, `{"x":true}`: "", `{}`: ""} {
			if a := b.do(t, query, readVariables(t, value)); a.codes() != want {
				t.Errorf("%s with %s: %v, want %s", query, value, a, want)
			}
		}
	}
}

// TestLiteralsAreOfTheirTypes, too.
func TestLiteralsAreOfTheirTypes(t *testing.T) {
	b := setup(t, graph.Options{})
	for query, literals := range map[string]string{
		`{ predictions(first: X) { nodes { id } } }`:                                             `"1" 1.0 1.5 1e1 3000000000 99999999999999999999 true {} [1]`,
		`{ predictions(filter: {confidence: {gte: X}}) { nodes { id } } }`:                       `"NaN" "1" 1e400 true {} NaN`,
		`{ predictions(filter: {model: X}) { nodes { id } } }`:                                   `1 1.5 true {} a`,
		`{ predictions(filter: {version: X}) { nodes { id } } }`:                                 `2147483648 -2147483649 "1" {}`,
		`{ predictions(filter: {labelled: X}) { nodes { id } } }`:                                `1 "true" {} a`,
		`{ predictions(filter: {source: X}) { nodes { id } } }`:                                  `request {} "REQUEST" [null] [{}]`,
		`{ predictions(filter: {createdAt: {from: X}}) { nodes { id } } }`:                       `1 true {} [] "today" ["2026-11-28T17:00:00Z"] a`,
		`{ predictions(orderBy: X) { nodes { id } } }`:                                           `newest {} "NEWEST" null`,
		`{ node(id: X) { id } }`:                                                                 `1.5 true {} null a`,
		`{ nodes(ids: X) { id } }`:                                                               `[1.5] [{}] {} [null]`,
		`mutation { predict(image: X) { id } }`:                                                  `"x" 1 {} null`,
		`mutation { labelInput(inputId: "x", label: X) { id } }`:                                 `{} {value:"1"} {value:1,className:null} {value:null}`,
		`query ($x: DateTime = X) { inputs(filter: {createdAt: {until: $x}}) { nodes { id } } }`: `"x" 5 {} a`,
		`query ($x: Int = X) { predictions(first: $x) { nodes { id } } }`:                        `"1" 3000000000 {}`,
		`query ($x: Float = X) { predictions(filter: {confidence: {lt: $x}}) { nodes { id } } }`: `"1" {} 1e400`,
	} {
		for literal := range strings.FieldsSeq(literals) {
			r := b.respond(t, strings.ReplaceAll(query, "X", literal), nil)
			if r.Data != nil || !onlyCode(answer{Errors: r.Errors}, graph.CodeValidationFailed) {
				t.Errorf("%s with %s: %s, %v", query, literal, r.Data, r.Errors)
			}
		}
	}
}

// TestLiteralsAreNoUploads: a document with one does not run, whatever stands beside it.
func TestLiteralsAreNoUploads(t *testing.T) {
	b := setup(t, graph.Options{})
	for query, literals := range map[string]string{
		`mutation ($i: Upload!) { a: predict(image: $i) { id } b: predict(image: X) { id } }`:                             `"x" 1 1.5 true a ["x"] [$i] {} null`,
		`mutation ($i: Upload!) { predictBatch(images: X) { __typename } }`:                                               `"x" 1 ["x"] [$i,"x"] [[$i]] [$i,null] {}`,
		`mutation ($i: Upload!, $d: Upload = X) { predictBatch(images: [$i, $d]) { __typename } }`:                        `"x" 1 ["x"] {}`,
		`mutation ($i: Upload!, $d: [Upload!] = X) { predict(image: $i) { id } predictBatch(images: $d) { __typename } }`: `"x" ["x"] [[]]`,
	} {
		for literal := range strings.FieldsSeq(literals) {
			r := b.respond(t, strings.ReplaceAll(query, "X", literal), map[string]any{"i": one()})
			if r.Data != nil || !onlyCode(answer{Errors: r.Errors}, graph.CodeValidationFailed) {
				t.Errorf("%s with %s: %s, %v", query, literal, r.Data, r.Errors)
			}
		}
	}
	if a := b.must(t, `mutation ($i: Upload!) { predictBatch(images: [$i, $i]) { __typename } }`,
		map[string]any{"i": one()}); fmt.Sprint(a.at(t, "predictBatch", 1)) != "map[__typename:Prediction]" {
		t.Error(a)
	}
	if a := b.must(t, `{ predictions { totalCount } }`, nil); fmt.Sprint(a.at(t, "predictions", "totalCount")) != "2" {
		t.Errorf("something ran: %v", a)
	}
}

// TestLongNumbersAreIDs, digit by digit, as variables, as literals and as defaults.
func TestLongNumbersAreIDs(t *testing.T) {
	b := setup(t, graph.Options{})
	for _, id := range []string{"7", "-7", "9007199254740993", "-9007199254740993", "12345678901234567890", "123456789012345678901234567890"} {
		want := fmt.Sprintf("%q is no ID", id)
		for query, variables := range map[string]string{
			`query ($i: ID!) { node(id: $i) { id } }`:                                 `{"i":` + id + `}`,
			`query ($i: [ID!]!) { nodes(ids: $i) { id } }`:                            `{"i":[` + id + `]}`,
			`{ node(id: ` + id + `) { id } }`:                                         `{}`,
			`{ nodes(ids: [` + id + `]) { id } }`:                                     `{}`,
			`{ nodes(ids: ` + id + `) { id } }`:                                       `{}`,
			`query ($i: ID = ` + id + `) { node(id: $i) { id } }`:                     `{}`,
			`{ predictions(filter: {inputId: ` + id + `}) { totalCount } }`:           `{}`,
			`query ($f: PredictionFilter) { predictions(filter: $f) { totalCount } }`: `{"f":{"inputId":` + id + `}}`,
		} {
			a := b.do(t, query, readVariables(t, variables))
			if a.codes() != "BAD_USER_INPUT" || !strings.Contains(a.Errors[0].Message, want) {
				t.Errorf("%s with %s: %v", query, variables, a)
			}
		}
	}
}

// TestLongNumbersAreFloats, as literals as well as in variables, unless they are beyond all Floats.
func TestLongNumbersAreFloats(t *testing.T) {
	b := setup(t, graph.Options{})
	for number, fits := range map[string]bool{
		"1": true, "-99999999999999999999999999": true, strings.Repeat("9", 300): true, strings.Repeat("9", 400): false,
	} {
		for query, variables := range map[string]string{
			`{ predictions(filter: {confidence: {gte: ` + number + `}}) { totalCount } }`:                        `{}`,
			`query ($f: Float = ` + number + `) { predictions(filter: {confidence: {gte: $f}}) { totalCount } }`: `{}`,
			withFilter: `{"x":{"confidence":{"gte":` + number + `}}}`,
		} {
			a := b.do(t, query, readVariables(t, variables))
			if fits && len(a.Errors) > 0 || !fits && !onlyCode(a, graph.CodeValidationFailed) {
				t.Errorf("%.90s with %.40s: %.900v", query, variables, a)
			}
		}
	}
}

// TestFilesElsewhere: nothing of them is in the error.
func TestFilesElsewhere(t *testing.T) {
	b := setup(t, graph.Options{})
	for _, query := range []string{withModel, withFirst, withFilter, withOrder} {
		r := b.respond(t, query, map[string]any{"x": one()})
		if r.Data != nil || len(r.Errors) != 1 || !strings.HasPrefix(r.Errors[0].Message, "Variable $x: a file is no ") {
			t.Errorf("%s: %s %.300v", query, r.Data, r.Errors)
		}
	}
}

// onlyCode tells whether there are errors, all with the code.
func onlyCode(a answer, code graph.Code) bool {
	for _, err := range a.Errors {
		if err.Extensions["code"] != code {
			return false
		}
	}
	return len(a.Errors) > 0
}

// TestFilterOfAnExport is read as the variable is.
func TestFilterOfAnExport(t *testing.T) {
	for filter, want := range map[string]bool{
		`{"confidence":{"gte":0.5}}`: true, `{"version":1.0}`: true, `{"source":["REPLAY"]}`: true,
		`{"confidence":{"gte":"NaN"}}`: false, `{"version":"1"}`: false, `{"model":1}`: false, `{"source":["replay"]}`: false,
		`{"version":3000000000}`: false, `{"inputId":1.5}`: false,
	} {
		if _, err := graph.ExportFilter(filter); (err == nil) != want {
			t.Errorf("%s: %v", filter, err)
		}
	}
}

// FuzzFilter: a filter is refused with an error that is fit for a client, or is one for the database, which takes every
// one but those with texts that it cannot hold.
func FuzzFilter(f *testing.F) {
	for _, filter := range []string{
		`{"model":"mnist","version":1,"className":"1","labelled":true,"correct":false,"source":["REQUEST"]}`,
		`{"confidence":{"gte":0.5,"lt":1e308},"createdAt":{"from":"0000-01-01T00:00:00Z","until":"9999-12-31T23:59:59.999Z"}}`,
		`{"confidence":{"gte":1e999}}`, `{"model":"\u0000"}`, `{"className":"\ud800"}`, `{"version":1e9}`, `[]`, `{"source":[]}`,
		`{"inputId":"input_01h455vb4pex5vsknk084sn02q"}`, `{"createdAt":{"from":"300000-01-01T00:00:00Z"}}`,
	} {
		f.Add(filter)
	}
	b := setup(f, graph.Options{})
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := graph.ExportFilter(text)
		if known := (*graph.Error)(nil); err != nil && !errors.As(err, &known) {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil {
			return
		}
		q := persistence.PredictionQuery{Filters: []persistence.PredictionFilter{filter}}
		_, err = b.store.Predictions(t.Context(), q, persistence.Page{Limit: 1})
		if err != nil && !errors.Is(err, persistence.ErrInvalidText) {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// TestNumbersInErrors: what is wrong with a number is told of the number that came.
func TestNumbersInErrors(t *testing.T) {
	b := setup(t, graph.Options{})
	const query = `query ($n: Int, $f: PredictionFilter) { predictions(first: $n, filter: $f) { totalCount } }`
	for _, test := range []struct {
		name  string
		value any
		want  string
	}{
		{"n", json.Number("1.5"), "1.5 is no Int"},
		{"n", json.Number("1e400"), "1e400 is no Int"},
		{"n", json.Number("1000000000000000000000"), "1000000000000000000000 is no Int"},
		{"f", map[string]any{"confidence": json.Number("0.5")}, "0.5 is no FloatRange"},
		{"f", map[string]any{"confidence": map[string]any{"lt": json.Number("-1e400")}}, "-1e400 is no Float"},
	} {
		a := b.do(t, query, map[string]any{test.name: test.value})
		if len(a.Errors) != 1 || !strings.Contains(a.Errors[0].Message, test.want) {
			t.Errorf("%v: %v, want %s", test.value, a.Errors, test.want)
		}
	}
}

// TestErrorsOfArguments: an error belongs to a field of the answer, also where one of the field's arguments cannot be read.
func TestErrorsOfArguments(t *testing.T) {
	b := setup(t, graph.Options{})
	b.predict(t)
	for query, want := range map[string]string{
		`query ($top: Int = 5) { predictions(first: 1) { nodes { id classes(top: $top) { name } } } }`:       "predictions.nodes[0].classes GRAPHQL_VALIDATION_FAILED top: it cannot be null",
		`query ($o: PredictionOrder = OLDEST) { predictions(orderBy: $o) { totalCount } }`:                   "predictions GRAPHQL_VALIDATION_FAILED orderBy: it cannot be null",
		`query ($size: Int = 64) { inputs(first: 1) { nodes { image { small: thumbnail(size: $size) } } } }`: "inputs.nodes[0].image.small GRAPHQL_VALIDATION_FAILED size: it cannot be null",
	} {
		a := b.do(t, query, map[string]any{"top": nil, "o": nil, "size": nil})
		if len(a.Errors) != 1 {
			t.Errorf("%s: %v", query, a)
			continue
		}
		err := a.Errors[0]
		if got := err.Path.String() + " " + a.codes() + " " + err.Message; !strings.HasPrefix(got, want) || len(err.Locations) != 1 {
			t.Errorf("%s: %s (%v), want %s", query, got, err.Locations, want)
		}
	}
}

// TestErrorsOfVariables say which variable it was, and where it stands: a path would lead through an answer.
func TestErrorsOfVariables(t *testing.T) {
	b := setup(t, graph.Options{})
	const query = "query ($n: Int,\n $ids: [ID!]!, $f: PredictionFilter,\n $d: DateTime) {\n" +
		" predictions(first: $n, filter: $f) { totalCount } nodes(ids: $ids) { id }\n" +
		" inputs(filter: {createdAt: {from: $d}}) { totalCount } }"
	for values, want := range map[string]string{
		`{}`:                                                 "2:2 Variable $ids: must be defined",
		`{"ids":null}`:                                       "2:2 Variable $ids: cannot be null",
		`{"ids":["x",null]}`:                                 "2:2 Variable $ids[1]: cannot be null",
		`{"ids":[],"n":"1"}`:                                 `1:8 Variable $n: "1" is no Int`,
		`{"ids":[],"n":true}`:                                "1:8 Variable $n: true is no Int",
		`{"ids":[],"f":{"confidence":{"x":1}}}`:              "2:16 Variable $f.confidence.x: unknown field",
		`{"ids":[],"f":{"source":["request"]}}`:              `2:16 Variable $f.source[0]: "request" is no value of PredictionSource`,
		`{"ids":[],"f":{"source":["REQUEST",1]}}`:            "2:16 Variable $f.source[1]: 1 is no value of PredictionSource",
		`{"ids":[],"f":{"source":true}}`:                     "2:16 Variable $f.source: true is no value of PredictionSource",
		`{"ids":[],"f":[]}`:                                  "2:16 Variable $f: a list is no PredictionFilter",
		`{"ids":[],"f":{"createdAt":5}}`:                     "2:16 Variable $f.createdAt: 5 is no DateTimeRange",
		`{"ids":[],"f":{"labelled":1}}`:                      "2:16 Variable $f.labelled: 1 is no Boolean",
		`{"ids":[],"f":{"labelled":"true"}}`:                 `2:16 Variable $f.labelled: "true" is no Boolean`,
		`{"ids":[],"f":{"model":{}}}`:                        "2:16 Variable $f.model: an object is no String",
		`{"ids":[],"f":{"model":["mnist"]}}`:                 "2:16 Variable $f.model: a list is no String",
		`{"ids":[],"f":{"model":1}}`:                         "2:16 Variable $f.model: 1 is no String",
		`{"ids":[],"f":{"confidence":{"lt":"1"}}}`:           `2:16 Variable $f.confidence.lt: "1" is no Float`,
		`{"ids":["x",1.5]}`:                                  "2:2 Variable $ids[1]: 1.5 is no ID",
		`{"ids":[["x"]]}`:                                    "2:2 Variable $ids[0]: a list is no ID",
		`{"ids":true}`:                                       "2:2 Variable $ids: true is no ID",
		`{"ids":[],"n":1` + strings.Repeat("0", 1000) + `}`:  "1:8 Variable $n: 1" + strings.Repeat("0", 63) + " is no Int",
		`{"ids":[],"n":"` + strings.Repeat("é", 1000) + `"}`: `1:8 Variable $n: "` + strings.Repeat("é", 64) + `" is no Int`,
		`{"ids":[],"d":5}`:                                   "3:2 Variable $d: a DateTime is a string in RFC 3339 form",
		`{"ids":[],"d":"x"}`:                                 `3:2 Variable $d: "x" is no DateTime in RFC 3339 form, for example "2006-01-02T15:04:05.000Z"`,
		`{"ids":[],"f":{"createdAt":{"from":"x"}}}`:          `2:16 Variable $f.createdAt.from: "x" is no DateTime in RFC 3339 form`,
	} {
		r := b.respond(t, query, readVariables(t, values))
		if r.Data != nil || len(r.Errors) != 1 || len(r.Errors[0].Locations) != 1 {
			t.Errorf("%s: %s %v", values, r.Data, r.Errors)
			continue
		}
		err := r.Errors[0]
		got := fmt.Sprintf("%d:%d %s", err.Locations[0].Line, err.Locations[0].Column, err.Message)
		if !strings.HasPrefix(got, want) || err.Path != nil || err.Extensions["code"] != graph.CodeValidationFailed {
			t.Errorf("%s: %s, path %v, want %s", values, got, err.Path, want)
		}
	}
}
