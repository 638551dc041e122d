package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"strings"
	"testing"
	"unicode/utf8"
)

// oddStrings are strings in JSON that some part of a service might not bear.
var oddStrings = map[string]string{
	"NUL": `"a\u0000b"`, "half a surrogate": `"\ud800"`, "no character": `"\uffff"`, "empty": `""`, "a quote": `"'"`,
	"10 kB": `"` + strings.Repeat("x", 10_000) + `"`, "a percent sign": `"%"`, "a backslash": `"\\"`,
}

// TestOddStrings sends them as every string that the schema takes: each is refused by name, or finds nothing.
func TestOddStrings(t *testing.T) {
	s := newServer(t)
	s.predictedImage(t, digit())
	var listed struct {
		Inputs struct{ Nodes []struct{ ID string } }
	}
	_ = json.Unmarshal(s.query(t, `{ inputs { nodes { id } } }`).Data["inputs"], &listed.Inputs)
	input := listed.Inputs.Nodes[0].ID
	for _, row := range []struct{ query, codes string }{
		{`query ($x: String) { predictions(filter: {model: $x}) { totalCount nodes { id } pageInfo { hasNextPage } } }`, "BAD_USER_INPUT"},
		{`query ($x: String) { predictions(filter: {className: $x}) { totalCount nodes { id } } }`, "BAD_USER_INPUT"},
		{`query ($x: ID) { predictions(filter: {inputId: $x}) { totalCount nodes { id } } }`, "BAD_USER_INPUT"},
		{`query ($x: DateTime) { predictions(filter: {createdAt: {from: $x}}) { totalCount nodes { id } } }`, "GRAPHQL_VALIDATION_FAILED"},
		{`query ($x: String) { predictions(after: $x) { nodes { id } } }`, "BAD_USER_INPUT"},
		{`query ($x: String) { predictions(before: $x, orderBy: LEAST_CONFIDENT) { nodes { id } } }`, "BAD_USER_INPUT"},
		{`query ($x: String) { inputs(after: $x) { nodes { id } } }`, "BAD_USER_INPUT"},
		{`query ($x: String) { inputs(filter: {className: $x}) { totalCount nodes { id } } }`, "BAD_USER_INPUT"},
		{`query ($x: String) { inputs(filter: {contentType: $x}) { totalCount nodes { id } } }`, "BAD_USER_INPUT"},
		{`query ($x: String) { inputs { nodes { predictions(filter: {className: $x}) { totalCount } } } }`, "BAD_USER_INPUT"},
		{`query ($x: String) { models { versions { predictions(filter: {className: $x}) { totalCount } } } }`, "BAD_USER_INPUT"},
		{`query ($x: ID!) { node(id: $x) { id } }`, "BAD_USER_INPUT"},
		{`query ($x: ID!) { nodes(ids: [$x]) { id } }`, "BAD_USER_INPUT"},
		{`query ($x: ID!) { input(id: $x) { id } }`, "BAD_USER_INPUT"},
		{`query ($x: ID!) { prediction(id: $x) { id } }`, "BAD_USER_INPUT"},
		{`query ($x: String!) { model(name: $x) { name } }`, "MODEL_NOT_FOUND"},
		{`mutation ($x: ID!) { deleteInput(inputId: $x) { id } }`, "BAD_USER_INPUT"},
		{`mutation ($x: ID!) { unlabelInput(inputId: $x) { id } }`, "BAD_USER_INPUT"},
		{`mutation ($x: ID!) { predictInput(inputId: $x) { id } }`, "BAD_USER_INPUT"},
		{`mutation ($x: String) { predictInput(inputId: "` + input + `", model: $x) { id } }`, "MODEL_NOT_FOUND"},
		{`mutation ($x: ID!) { labelInput(inputId: $x, label: {value: 1}) { id } }`, "BAD_USER_INPUT"},
		{`mutation ($x: String!) { labelInput(inputId: "` + input + `", label: {className: $x}) { id } }`, "BAD_USER_INPUT"},
		{`mutation ($x: String!) { routeModel(model: $x, serving: 1) { name } }`, "MODEL_NOT_FOUND"},
	} {
		for name, text := range oddStrings {
			query, _ := json.Marshal(row.query)
			answer := s.post(t, fmt.Appendf(nil, `{"query":%s,"variables":{"x":%s}}`, query, text), "application/json")
			for _, err := range answer.Errors {
				if err.Extensions.Code != row.codes || answer.Status != 200 {
					t.Errorf("%s, %s: %d %.200s", row.query, name, answer.Status, fmt.Sprint(err))
				}
			}
		}
	}
	body := append([]byte(`{"query":"{__typename}","variables":{"x":"`), "\xff\"}}"...)
	if answer := s.post(t, body, "application/json"); answer.code() != "BAD_REQUEST" {
		t.Errorf("invalid UTF-8: %+v", answer)
	}
}

// TestMessagesAreShort repeats no more of a request than helps a person.
func TestMessagesAreShort(t *testing.T) {
	s := newServer(t)
	long := strings.Repeat("aé", 5_000)
	name := strings.Repeat("a", 10_000)
	for document, row := range map[string]struct {
		code string
		most int // characters
	}{
		`{model(name:"` + long + `"){name}}`:                         {"MODEL_NOT_FOUND", 200},
		`{node(id:"` + long + `"){id}}`:                              {"BAD_USER_INPUT", 200},
		`{predictions(after:"` + long + `"){nodes{id}}}`:             {"BAD_USER_INPUT", 200},
		`mutation{routeModel(model:"` + long + `",serving:1){name}}`: {"MODEL_NOT_FOUND", 200},
		`mutation{predictInput(inputId:"` + long + `"){id}}`:         {"BAD_USER_INPUT", 200},
		`{` + name + `}`:                                                     {"GRAPHQL_VALIDATION_FAILED", 501},
		`{model(name:"x",` + name + `:1){name}}`:                             {"GRAPHQL_VALIDATION_FAILED", 501},
		`query($x:` + name + `){__typename}`:                                 {"GRAPHQL_VALIDATION_FAILED", 501},
		`{predictions(filter:{` + name + `:1}){nodes{id}}}`:                  {"GRAPHQL_VALIDATION_FAILED", 501},
		`{predictions(orderBy:"` + long + `"){nodes{id}}}`:                   {"GRAPHQL_VALIDATION_FAILED", 501},
		`{predictions(filter:{createdAt:{from:"` + long + `"}}){nodes{id}}}`: {"GRAPHQL_VALIDATION_FAILED", 200},
	} {
		answer := s.query(t, document)
		if answer.code() != row.code {
			t.Errorf("%.40s: %.300v", document, answer.Errors)
		}
		for _, err := range answer.Errors {
			if n := utf8.RuneCountInString(err.Message); n > row.most || !utf8.ValidString(err.Message) {
				t.Errorf("%.40s: %d characters %.1000s", document, n, err.Message)
			}
		}
	}
}

// TestOddFilesAndKeys sends odd names of files and idempotency keys, which are stored.
func TestOddFilesAndKeys(t *testing.T) {
	s := newServer(t)
	long := strings.Repeat("n", 10_000) + ".png"
	for name, want := range map[string]string{
		long: long[:255], "\xff\xfe.png": "\uFFFD.png", "a\x00b\x1b.png": "ab.png", "../../etc/passwd": "passwd", "": "", "ü%.png": "ü%.png",
	} {
		answer := s.upload(t, `mutation ($image: Upload!) { predict(image: $image) { input { filename } } }`, name)
		var predicted struct{ Input struct{ Filename string } }
		if err := json.Unmarshal(answer.Data["predict"], &predicted); err != nil || predicted.Input.Filename != want {
			t.Errorf("%.40q: %+v, want %q", name, answer, want)
		}
	}
	for name, text := range oddStrings {
		answer := s.upload(t, `mutation ($image: Upload!) { predict(image: $image, idempotencyKey: `+
			strings.ReplaceAll(text, `\ud800`, `\uD7FF`)+`) { id } }`, "one.png")
		refused := name == "NUL" || name == "empty" || name == "10 kB"
		if refused && answer.code() != "BAD_USER_INPUT" || !refused && len(answer.Errors) > 0 {
			t.Errorf("the key %s: %+v", name, answer.Errors)
		}
	}
}

// upload sends the digit as a file of any name.
func (s *service) upload(t *testing.T, query, filename string) *result {
	t.Helper()
	var buffer bytes.Buffer
	w := multipart.NewWriter(&buffer)
	operations, _ := json.Marshal(map[string]any{"query": query, "variables": map[string]any{"image": nil}})
	_ = w.WriteField("operations", string(operations))
	_ = w.WriteField("map", `{"0": ["variables.image"]}`)
	part, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="0"; filename="` + filename + `"`},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(digit())
	_ = w.Close()
	return s.post(t, buffer.Bytes(), w.FormDataContentType())
}

// TestOddLists asks for lists that nothing can be in, from cursors that are of another, and for times out of range.
func TestOddLists(t *testing.T) {
	s := newServer(t)
	s.predictedImage(t, digit())
	var cursors struct {
		PageInfo struct{ EndCursor string }
	}
	_ = json.Unmarshal(s.query(t, `{ predictions { pageInfo { endCursor } } }`).Data["predictions"], &cursors)
	newest := cursors.PageInfo.EndCursor
	for _, filter := range []string{
		`className: "no such"`, `model: "none"`, `version: -1`, `version: 2147483647`, `source: []`, `correct: true, labelled: false`,
		`confidence: {gte: 1, lt: 0}`, `confidence: {gte: 1e308}`, `createdAt: {from: "2030-01-01T00:00:00Z", until: "2020-01-01T00:00:00Z"}`,
		`createdAt: {until: "0000-01-01T00:00:00Z"}`, `createdAt: {from: "9999-12-31T23:59:59.999999999Z"}`,
		`createdAt: {until: "0001-01-01T00:00:00+23:59"}`, `inputId: "input_01h455vb4pex5vsknk084sn02q"`,
	} {
		answer := s.query(t, `{ predictions(filter: {`+filter+`}) { totalCount nodes { id } pageInfo { hasNextPage hasPreviousPage } } }`)
		const none = `{"totalCount":0,"nodes":[],"pageInfo":{"hasNextPage":false,"hasPreviousPage":false}}`
		if got := string(answer.Data["predictions"]); got != none || len(answer.Errors) > 0 {
			t.Errorf("%s: %s %+v", filter, got, answer.Errors)
		}
	}
	for _, field := range []string{
		`predictions(after: "` + newest + `", orderBy: OLDEST)`, `predictions(after: "` + newest + `", orderBy: MOST_CONFIDENT)`,
		`inputs(before: "` + newest + `")`, `predictions(first: 501)`, `predictions(last: -1)`, `predictions(first: 1, last: 1)`,
	} {
		if answer := s.query(t, `{ `+field+` { nodes { id } } }`); answer.code() != "BAD_USER_INPUT" || answer.Status != 200 {
			t.Errorf("%s: %d %+v", field, answer.Status, answer.Errors)
		}
	}
	for _, time := range []string{
		"10000-01-01T00:00:00Z", "300000-01-01T00:00:00Z", "-0001-01-01T00:00:00Z", "2020-02-30T00:00:00Z",
	} {
		answer := s.query(t, `{ inputs(filter: {createdAt: {from: "`+time+`"}}) { nodes { id } } }`)
		if answer.code() != "GRAPHQL_VALIDATION_FAILED" || answer.Status != 200 {
			t.Errorf("%s: %d %+v", time, answer.Status, answer.Errors)
		}
	}
}
