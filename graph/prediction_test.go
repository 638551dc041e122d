package graph_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sibyl/graph"
	"sibyl/persistence"
)

func TestPredictAndFindAgain(t *testing.T) {
	b := setup(t, graph.Options{})
	const fields = `{
  id createdAt source
  model { id name version state executionProvider classNames inputs { name datatype shape } outputs { name } }
  likelyClass { index name confidence }
  classes(top: 3) { index name confidence }
  scores values
  outputs { name datatype shape data }
  timing { decode queue inference }
  input { id createdAt filename image { contentType width height byteSize sha256 url dataUrl } }
}`
	upload := one()
	made := b.must(t, `mutation ($image: Upload!) { predict(image: $image) `+fields+` }`,
		map[string]any{"image": upload}).at(t, "predict")
	id := answer{Data: made.(map[string]any)}.text(t, "id")
	found := b.must(t, `query ($id: ID!) {
  prediction(id: $id) `+fields+`
  predictions { totalCount nodes `+fields+` edges { cursor node `+fields+` } }
  node(id: $id) { id ... on Prediction `+fields+` }
}`, map[string]any{"id": id})
	want, _ := json.Marshal(made)
	for name, path := range map[string][]any{
		"prediction":        {"prediction"},
		"predictions.nodes": {"predictions", "nodes", 0},
		"predictions.edges": {"predictions", "edges", 0, "node"},
		"node":              {"node"},
	} {
		if got, _ := json.Marshal(found.at(t, path...)); string(got) != string(want) {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	p := answer{Data: made.(map[string]any)}
	if name := p.text(t, "likelyClass", "name"); name != "1" {
		t.Errorf("a one was read as %s", name)
	}
	if scores := p.at(t, "scores").([]any); len(scores) != 10 || scores[1] != p.at(t, "likelyClass", "confidence") {
		t.Errorf("scores %v do not fit the likeliest class", scores)
	}
	if values := p.at(t, "values"); values != nil {
		t.Errorf("a classifier has values: %v", values)
	}
	wantURL := "data:image/png;base64," + base64.StdEncoding.EncodeToString(upload.Data)
	if url := p.text(t, "input", "image", "dataUrl"); url != wantURL {
		t.Errorf("the image came back changed: %s", url)
	}
	if filename := p.text(t, "input", "filename"); filename != "one.png" {
		t.Errorf("filename %q", filename)
	}
}

// TestErrorsBelowAMutation tell that it was done, and those of its own field do not.
func TestErrorsBelowAMutation(t *testing.T) {
	b := setup(t, graph.Options{})
	stored := 0.0
	for selection, want := range map[string]any{
		`predict(image: $image) { input { predictions(first: -1) { totalCount } } }`:                               "yes",
		`predict(image: $image) { model { predictions(after: "x") { totalCount } } }`:                              "yes",
		`predict(image: $image) { input { image { thumbnail(size: 1) } } }`:                                        "yes",
		`predict(image: $image) { id } again: predict(image: $image) { classes(top: -1) { name } }`:                "yes",
		`predictBatch(images: [$image]) { ... on Prediction { input { predictions(first: -1) { totalCount } } } }`: "yes",
		`predict(image: $image, model: "none") { input { predictions(first: -1) { totalCount } } }`:                nil,
	} {
		a := b.do(t, `mutation ($image: Upload!) { `+selection+` }`, map[string]any{"image": one()})
		if len(a.Errors) != 1 || a.Errors[0].Extensions["stored"] != want {
			t.Errorf("%s: %v", selection, a.Errors)
		}
		now := b.must(t, `{ predictions(first: 0) { totalCount } }`, nil).at(t, "predictions", "totalCount").(float64)
		if (now > stored) != (want != nil) {
			t.Errorf("%s: %v are stored, before it %v", selection, now, stored)
		}
		stored = now
	}
	if a := b.do(t, `{ predictions(first: 1) { nodes { classes(top: -1) { name } } } }`, nil); a.codes() != "BAD_USER_INPUT" ||
		a.Errors[0].Extensions["stored"] != nil {
		t.Errorf("a query: %v", a.Errors)
	}
}

func TestPredictNamesItsModel(t *testing.T) {
	b := setup(t, graph.Options{})
	for arguments, code := range map[string]string{
		`model: "mnist"`:             "",
		`model: "mnist", version: 1`: "",
		`version: 1`:                 "",
		`model: "nobody"`:            "MODEL_NOT_FOUND",
		`model: ""`:                  "MODEL_NOT_FOUND",
		`version: 99`:                "MODEL_NOT_FOUND",
		`version: 0`:                 "BAD_USER_INPUT",
		`version: -1`:                "BAD_USER_INPUT",
		`model: "", version: -1`:     "BAD_USER_INPUT",
		`version: 3000000000`:        "GRAPHQL_VALIDATION_FAILED",
	} {
		a := b.do(t, `mutation ($image: Upload!) { predict(image: $image, `+arguments+`) { id } }`,
			map[string]any{"image": one()})
		if a.codes() != code {
			t.Errorf("%s: got %q (%v), want %q", arguments, a.codes(), a.Errors, code)
		}
		for _, err := range a.Errors {
			if strings.Contains(err.Message, `""`) {
				t.Errorf("%s: %s has an empty name", arguments, err.Message)
			}
		}
	}
}

func TestPredictRefusesWhatIsNoImage(t *testing.T) {
	b := setup(t, graph.Options{})
	whole := one().Data
	for name, test := range map[string]struct {
		upload graph.Upload
		code   string
	}{
		"empty":     {graph.Upload{Filename: "a.png"}, "UNSUPPORTED_MEDIA_TYPE"},
		"text":      {graph.Upload{Filename: "a.png", Data: []byte("I am a picture")}, "UNSUPPORTED_MEDIA_TYPE"},
		"truncated": {graph.Upload{Filename: "a.png", Data: whole[:len(whole)-30]}, "INVALID_IMAGE"},
		"refused": {
			graph.Upload{Err: &graph.Error{Code: graph.CodeImageTooLarge, Message: "too large"}}, "IMAGE_TOO_LARGE",
		},
	} {
		a := b.do(t, `mutation ($image: Upload!) { predict(image: $image) { id } }`, map[string]any{"image": test.upload})
		if a.codes() != test.code || a.at(t, "predict") != nil || strings.Contains(a.Errors[0].Message, "input:") {
			t.Errorf("%s: got %q (%v), want %q", name, a.codes(), a.Errors, test.code)
		}
	}
	if n := b.must(t, `{ inputs { totalCount } }`, nil).at(t, "inputs", "totalCount"); n != 0.0 {
		t.Errorf("%v inputs were stored", n)
	}
}

func TestPredictFailsAlone(t *testing.T) {
	b := setup(t, graph.Options{})
	a := b.do(t, `mutation ($good: Upload!, $bad: Upload!) {
  bad: predict(image: $bad) { id }
  good: predict(image: $good) { id input { filename } }
}`, map[string]any{"good": one(), "bad": graph.Upload{Data: []byte("text")}})
	if a.codes() != "UNSUPPORTED_MEDIA_TYPE" || a.at(t, "bad") != nil {
		t.Errorf("the bad one: %v", a)
	}
	if a.text(t, "good", "input", "filename") != "one.png" {
		t.Errorf("the good one: %v", a)
	}
}

func TestPredictBatch(t *testing.T) {
	b := setup(t, graph.Options{})
	bad := graph.Upload{Data: []byte("text")}
	images := []any{one(), bad, one(), graph.Upload{Err: &graph.Error{Code: graph.CodeImageTooLarge}}, one()}
	const mutation = `mutation ($images: [Upload!]!, $version: Int) {
  predictBatch(images: $images, version: $version) {
    __typename
    ... on Prediction { id likelyClass { name } input { filename image { sha256 } } }
    ... on PredictError { code message index }
  }
}`
	var a answer
	statements := b.statements(t, func() { a = b.must(t, mutation, map[string]any{"images": images}) })
	for i, want := range []string{"", "UNSUPPORTED_MEDIA_TYPE", "", "IMAGE_TOO_LARGE", ""} {
		if want == "" {
			if a.text(t, "predictBatch", i, "likelyClass", "name") != "1" {
				t.Errorf("result %d: %v", i, a)
			}
			continue
		}
		if a.text(t, "predictBatch", i, "code") != want || a.at(t, "predictBatch", i, "index") != float64(i) {
			t.Errorf("result %d: %v, want %s", i, a.at(t, "predictBatch", i), want)
		}
	}
	if len(statements) != 3 {
		t.Errorf("%d statements: %q", len(statements), statements)
	}
	var commits int
	const query = `SELECT count(DISTINCT xmin::text) FROM predictions`
	if err := b.admin.QueryRow(t.Context(), query).Scan(&commits); err != nil || commits != 1 {
		t.Errorf("%d transactions, %v", commits, err)
	}
	if a := b.must(t, mutation, map[string]any{"images": []any{}}); len(a.at(t, "predictBatch").([]any)) != 0 {
		t.Errorf("no images: %v", a)
	}
	if a := b.do(t, mutation, map[string]any{"images": images, "version": 9}); a.codes() != "MODEL_NOT_FOUND" {
		t.Errorf("an unknown version: %v", a)
	}
}

func TestPredictInput(t *testing.T) {
	b := setup(t, graph.Options{})
	b.predict(t)
	input := b.must(t, `{ inputs { nodes { id } } }`, nil).text(t, "inputs", "nodes", 0, "id")
	const mutation = `mutation ($id: ID!, $model: String) {
  predictInput(inputId: $id, model: $model) { id source likelyClass { name } input { id predictions { totalCount } } }
}`
	a := b.must(t, mutation, map[string]any{"id": input})
	if a.text(t, "predictInput", "likelyClass", "name") != "1" || a.text(t, "predictInput", "source") != "REQUEST" ||
		a.text(t, "predictInput", "input", "id") != input ||
		a.at(t, "predictInput", "input", "predictions", "totalCount") != 2.0 {
		t.Errorf("got %v", a)
	}
	twice := b.must(t, `mutation ($id: ID!) {
  first: predictInput(inputId: $id) { input { predictions { totalCount } } }
  second: predictInput(inputId: $id) { input { predictions { totalCount } } }
}`, map[string]any{"id": input})
	if twice.at(t, "first", "input", "predictions", "totalCount") != 3.0 ||
		twice.at(t, "second", "input", "predictions", "totalCount") != 4.0 {
		t.Errorf("two in a row: %v", twice)
	}
	for name, test := range map[string]struct {
		id, model any
		code      string
	}{
		"an input that is not there": {persistence.NewInputID().String(), nil, "NOT_FOUND"},
		"an ID of another type":      {persistence.NewPredictionID().String(), nil, "BAD_USER_INPUT"},
		"an unknown model":           {input, "nobody", "MODEL_NOT_FOUND"},
	} {
		if a := b.do(t, mutation, map[string]any{"id": test.id, "model": test.model}); a.codes() != test.code {
			t.Errorf("%s: %v, want %s", name, a, test.code)
		}
	}
}

func TestLookUps(t *testing.T) {
	b := setup(t, graph.Options{})
	id := b.predict(t)
	input := b.must(t, `query ($id: ID!) { prediction(id: $id) { input { id } } }`, map[string]any{"id": id}).
		text(t, "prediction", "input", "id")
	absent, absentInput := persistence.NewPredictionID().String(), persistence.NewInputID().String()
	for name, test := range map[string]struct{ query, code, message string }{
		"absent": {
			fmt.Sprintf(`{ prediction(id: %q) { id } }`, absent), "NOT_FOUND",
			"No prediction with id " + absent + " could be found",
		},
		"absent input":     {fmt.Sprintf(`{ input(id: %q) { id } }`, absentInput), "NOT_FOUND", ""},
		"absent node":      {fmt.Sprintf(`{ node(id: %q) { id } }`, absentInput), "NOT_FOUND", ""},
		"absent version":   {`{ node(id: "modelversion_bW5pc3QvNw") { id } }`, "NOT_FOUND", ""},
		"malformed":        {`{ prediction(id: "prediction_1") { id } }`, "BAD_USER_INPUT", ""},
		"malformed node":   {`{ node(id: "7") { id } }`, "BAD_USER_INPUT", ""},
		"of another type":  {fmt.Sprintf(`{ prediction(id: %q) { id } }`, input), "BAD_USER_INPUT", ""},
		"input of another": {fmt.Sprintf(`{ input(id: %q) { id } }`, id), "BAD_USER_INPUT", ""},
		"filter of another": {
			fmt.Sprintf(`{ predictions(filter: {inputId: %q}) { totalCount } }`, id), "BAD_USER_INPUT", "",
		},
		"absent model":         {`{ model(name: "nobody") { name } }`, "MODEL_NOT_FOUND", ""},
		"negative first":       {`{ predictions(first: -1) { totalCount } }`, "BAD_USER_INPUT", ""},
		"large first":          {`{ predictions(first: 100000) { totalCount } }`, "BAD_USER_INPUT", ""},
		"first with last":      {`{ predictions(first: 1, last: 1) { totalCount } }`, "BAD_USER_INPUT", ""},
		"no cursor":            {`{ predictions(after: "x") { totalCount } }`, "BAD_USER_INPUT", ""},
		"NUL":                  {`{ predictions(filter: {model: "a\u0000"}) { totalCount } }`, "BAD_USER_INPUT", ""},
		"no DateTime":          {`{ predictions(filter: {createdAt: {from: "today"}}) { totalCount } }`, "GRAPHQL_VALIDATION_FAILED", ""},
		"a comma in it":        {`{ predictions(filter: {createdAt: {from: "2026-11-28T17:00:00,5Z"}}) { totalCount } }`, "GRAPHQL_VALIDATION_FAILED", ""},
		"an hour of one digit": {`{ predictions(filter: {createdAt: {from: "2026-11-28T7:00:00Z"}}) { totalCount } }`, "GRAPHQL_VALIDATION_FAILED", ""},
		"large top":            {`{ predictions { nodes { classes(top: 1001) { name } } } }`, "BAD_USER_INPUT", ""},
		"large thumbnail":      {`{ inputs { nodes { image { thumbnail(size: 5000) } } } }`, "BAD_USER_INPUT", ""},
		"unknown field":        {`{ predictions { nobody } }`, "GRAPHQL_VALIDATION_FAILED", ""},
		"version too large":    {`{ node(id: "modelversion_bW5pc3QvOTk5OTk5OTk5OTk") { id } }`, "BAD_USER_INPUT", ""},
		"Upload literal":       {`mutation { predict(image: "x") { id } }`, "GRAPHQL_VALIDATION_FAILED", ""},
		"no GraphQL":           {`{ predictions {`, "GRAPHQL_PARSE_FAILED", ""},
		"two of three nodes":   {fmt.Sprintf(`{ nodes(ids: [%q, %q, %q]) { id } }`, id, absent, input), "", ""},
		"first of nothing":     {`{ predictions(first: 0) { nodes { id } pageInfo { hasNextPage } } }`, "", ""},
		"far future":           {`{ predictions(filter: {createdAt: {from: "9999-12-31T23:59:59Z"}}) { totalCount } }`, "", ""},
		"class of no picture":  {`{ inputs(filter: {contentType: "text/html"}) { totalCount } }`, "", ""},
	} {
		a := b.do(t, test.query, nil)
		if a.codes() != test.code || test.message != "" && a.Errors[0].Message != test.message {
			t.Errorf("%s: got %q (%v), want %q %q", name, a.codes(), a.Errors, test.code, test.message)
		}
	}
	odd := b.do(t, fmt.Sprintf(`{ nodes(ids: ["7", %q]) { id } }`, id), nil)
	if odd.codes() != "BAD_USER_INPUT" || odd.Errors[0].Path.String() != "nodes[0]" || odd.text(t, "nodes", 1, "id") != id {
		t.Errorf("an ID beside one that is none: %v", odd)
	}
	nodes := b.must(t, `query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }`,
		map[string]any{"ids": []any{input, absent, id, input}})
	if nodes.text(t, "nodes", 0, "id") != input || nodes.at(t, "nodes", 1) != nil ||
		nodes.text(t, "nodes", 2, "id") != id || nodes.text(t, "nodes", 3, "__typename") != "Input" {
		t.Errorf("nodes: %v", nodes)
	}
}

// walk reads a list in pages of n, forward or backward, and checks what each page says of its neighbours.
func (b *bundle) walk(t *testing.T, n int, order string, backward bool) (ids []string) {
	t.Helper()
	arguments := "first: $n, after: $cursor"
	if backward {
		arguments = "last: $n, before: $cursor"
	}
	query := `query ($n: Int, $cursor: String, $order: PredictionOrder!) {
  predictions(` + arguments + `, orderBy: $order) {
    edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount
  }
}`
	var cursor any
	for begun := false; ; begun = true {
		a := b.must(t, query, map[string]any{"n": n, "cursor": cursor, "order": order})
		var page []string
		for i := range a.at(t, "predictions", "edges").([]any) {
			page = append(page, a.text(t, "predictions", "edges", i, "node", "id"))
		}
		info := answer{Data: a.at(t, "predictions", "pageInfo").(map[string]any)}
		more, behind := info.at(t, "hasNextPage"), info.at(t, "hasPreviousPage")
		if backward {
			ids = append(page, ids...)
			more, behind = behind, more
			cursor = info.at(t, "startCursor")
		} else {
			ids = append(ids, page...)
			cursor = info.at(t, "endCursor")
		}
		if behind != begun {
			t.Errorf("page %v of %s: something behind it: %v, want %t", page, order, behind, begun)
		}
		if more != true {
			return ids
		}
	}
}

func TestPages(t *testing.T) {
	b := setup(t, graph.Options{})
	var oldest []string
	for range 7 {
		oldest = append(oldest, b.predict(t))
	}
	newest := slices.Clone(oldest)
	slices.Reverse(newest)
	for order, want := range map[string][]string{"OLDEST": oldest, "NEWEST": newest} {
		for _, n := range []int{1, 3, 6, 7, 8} {
			for _, backward := range []bool{false, true} {
				if got := b.walk(t, n, order, backward); !slices.Equal(got, want) {
					t.Errorf("%s by %d, backward %t: got %v, want %v", order, n, backward, got, want)
				}
			}
		}
	}
}

func TestCursorsOfOthers(t *testing.T) {
	b := setup(t, graph.Options{})
	b.predict(t)
	cursors := b.must(t, `{
  newest: predictions { edges { cursor } } oldest: predictions(orderBy: OLDEST) { edges { cursor } }
  inputs { edges { cursor } }
}`, nil)
	newest := cursors.text(t, "newest", "edges", 0, "cursor")
	letter := "x"
	if newest[10:11] == letter {
		letter = "y"
	}
	for name, cursor := range map[string]string{
		"of the other order": cursors.text(t, "oldest", "edges", 0, "cursor"),
		"of inputs":          cursors.text(t, "inputs", "edges", 0, "cursor"),
		"with a letter off":  newest[:10] + letter + newest[11:],
		"cut off":            newest[:len(newest)-1],
	} {
		a := b.do(t, `query ($after: String) { predictions(after: $after) { nodes { id } } }`, map[string]any{"after": cursor})
		if a.codes() != "BAD_USER_INPUT" {
			t.Errorf("a cursor %s: %v", name, a)
		}
	}
}

func TestStatements(t *testing.T) {
	b := setup(t, graph.Options{})
	for range 12 {
		b.predict(t)
	}
	for name, test := range map[string]struct {
		query string
		most  int
		bytes bool
	}{
		"page with inputs": {`{ predictions(first: 100) { nodes { id input { filename } } } }`, 2, false},
		"everything but bytes": {
			`{ predictions { nodes { id scores model { name } input { image { sha256 url } } } } }`, 2, false,
		},
		"edges":        {`{ predictions { edges { node { input { id image { width } } } } } }`, 2, false},
		"one":          {`{ predictions(first: 1) { nodes { id } pageInfo { hasNextPage } } }`, 1, false},
		"inputs":       {`{ inputs { nodes { id image { byteSize } } } }`, 1, false},
		"nested lists": {`{ inputs { nodes { predictions(first: 3) { totalCount nodes { id scores } } } } }`, 3, false},
		"lists of lists": {
			`{ predictions { nodes { input { image { dataUrl } predictions { totalCount nodes { input { filename } } } } } } }`,
			5, true,
		},
		"bytes":           {`{ inputs { nodes { image { dataUrl } } } }`, 2, true},
		"kept thumbnails": {`{ inputs { nodes { image { thumbnail } } } }`, 1, false},
		"skipped bytes":   {`{ inputs { nodes { id image { width dataUrl @skip(if: true) } } } }`, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			b.must(t, test.query, nil) // prepares the statements
			statements := b.statements(t, func() { b.must(t, test.query, nil) })
			if len(statements) > test.most {
				t.Errorf("%d statements, want at most %d: %q", len(statements), test.most, statements)
			}
			reads := slices.ContainsFunc(statements, func(s string) bool { return strings.Contains(s, "i.image") })
			if reads != test.bytes {
				t.Errorf("image bytes read: %t, want %t: %q", reads, test.bytes, statements)
			}
		})
	}
}

func TestAnswerIsBounded(t *testing.T) {
	size := int64(base64.StdEncoding.EncodedLen(len(one().Data)))
	b := setup(t, graph.Options{MaxResponseBytes: 2*size + 1})
	for range 3 {
		b.predict(t)
	}
	a := b.do(t, `{ inputs { nodes { id image { dataUrl } } } }`, nil)
	if a.codes() != "RESPONSE_TOO_LARGE" {
		t.Errorf("three images where two fit: %v", a)
	}
	if ids := a.at(t, "inputs", "nodes").([]any); len(ids) != 3 {
		t.Errorf("the inputs are lost: %v", a)
	}
}

func TestModels(t *testing.T) {
	b := setup(t, graph.Options{})
	id := b.predict(t)
	a := b.must(t, `{
  models { name serving { id version } versions { id state predictions { totalCount nodes { id } } } }
  model(name: "mnist") { versions { sha256 stateReason } }
}`, nil)
	version := a.text(t, "models", 0, "serving", "id")
	if a.text(t, "models", 0, "versions", 0, "id") != version ||
		a.text(t, "models", 0, "versions", 0, "predictions", "nodes", 0, "id") != id {
		t.Errorf("models: %v", a)
	}
	node := b.must(t, `query ($id: ID!) { node(id: $id) { __typename ... on ModelVersion { name version } } }`,
		map[string]any{"id": version})
	if node.text(t, "node", "name") != "mnist" {
		t.Errorf("node: %v", node)
	}
}

// TestRetiredVersion looks at a prediction whose model is not in the repository any more.
func TestRetiredVersion(t *testing.T) {
	b := setup(t, graph.Options{})
	id := b.predict(t)
	for _, sql := range []string{
		`UPDATE predictions SET model = 'gone', version = 7`, `UPDATE model_versions SET name = 'gone', version = 7`,
	} {
		if _, err := b.admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	a := b.must(t, `query ($id: ID!) {
  prediction(id: $id) {
    scores likelyClass { name }
    model { id name version state executionProvider classNames predictions { totalCount } }
  }
}`, map[string]any{"id": id})
	if a.text(t, "prediction", "model", "state") != "RETIRED" || len(a.at(t, "prediction", "scores").([]any)) != 10 ||
		a.at(t, "prediction", "model", "predictions", "totalCount") != 1.0 {
		t.Errorf("got %v", a)
	}
}
