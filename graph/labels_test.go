package graph_test

import (
	"testing"
	"time"

	"sibyl/graph"
	"sibyl/persistence"
)

// predicted stores a prediction for a picture of a one and returns its ID and its input's.
func (b *bundle) predicted(t *testing.T) (prediction, input string) {
	t.Helper()
	a := b.must(t, `mutation ($image: Upload!) { predict(image: $image) { id input { id } } }`, map[string]any{"image": one()})
	return a.text(t, "predict", "id"), a.text(t, "predict", "input", "id")
}

func TestLabelInput(t *testing.T) {
	b := setup(t, graph.Options{})
	prediction, input := b.predicted(t)
	const mutation = `mutation ($id: ID!, $label: LabelInput!) {
  labelInput(inputId: $id, label: $label) {
    label { classIndex className value createdAt } predictions { nodes { id correct } }
  }
}`
	for _, test := range []struct {
		label                      map[string]any
		index, name, value, answer any
	}{
		{map[string]any{"classIndex": 1}, 1.0, "1", nil, true},
		{map[string]any{"className": "7"}, 7.0, "7", nil, false},
		{map[string]any{"value": 0.25}, nil, nil, 0.25, nil},
	} {
		a := b.must(t, mutation, map[string]any{"id": input, "label": test.label})
		if a.at(t, "labelInput", "label", "classIndex") != test.index || a.at(t, "labelInput", "label", "className") != test.name ||
			a.at(t, "labelInput", "label", "value") != test.value || a.text(t, "labelInput", "label", "createdAt") == "" ||
			a.at(t, "labelInput", "predictions", "nodes", 0, "correct") != test.answer {
			t.Errorf("%v: %v", test.label, a)
		}
		found := b.must(t, `query ($id: ID!) { prediction(id: $id) { correct input { label { className } } } }`,
			map[string]any{"id": prediction})
		if found.at(t, "prediction", "correct") != test.answer || found.at(t, "prediction", "input", "label", "className") != test.name {
			t.Errorf("%v, found again: %v", test.label, found)
		}
		later := b.must(t, `mutation ($id: ID!) { predictInput(inputId: $id) { correct } }`, map[string]any{"id": input})
		if later.at(t, "predictInput", "correct") != test.answer {
			t.Errorf("%v, predicted later: %v", test.label, later)
		}
	}
	for name, test := range map[string]struct {
		id    string
		label map[string]any
		code  string
	}{
		"no class of the model": {input, map[string]any{"className": "cat"}, "BAD_USER_INPUT"},
		"an index too high":     {input, map[string]any{"classIndex": 10}, "BAD_USER_INPUT"},
		"an index too low":      {input, map[string]any{"classIndex": -1}, "BAD_USER_INPUT"},
		"an ID of another type": {prediction, map[string]any{"classIndex": 1}, "BAD_USER_INPUT"},
		"two at once":           {input, map[string]any{"classIndex": 1, "value": 1}, "GRAPHQL_VALIDATION_FAILED"},
		"null":                  {input, map[string]any{"classIndex": nil}, "GRAPHQL_VALIDATION_FAILED"},
		"none":                  {input, map[string]any{}, "GRAPHQL_VALIDATION_FAILED"},
		"a value of no input":   {persistence.NewInputID().String(), map[string]any{"value": 1}, "NOT_FOUND"},
		"a class of no input":   {persistence.NewInputID().String(), map[string]any{"classIndex": 1}, "NOT_FOUND"},
	} {
		if a := b.do(t, mutation, map[string]any{"id": test.id, "label": test.label}); a.codes() != test.code {
			t.Errorf("%s: %v, want %s", name, a, test.code)
		}
	}
	a := b.must(t, `mutation ($id: ID!) { unlabelInput(inputId: $id) { label { value } predictions { nodes { correct } } } }`,
		map[string]any{"id": input})
	if a.at(t, "unlabelInput", "label") != nil || a.at(t, "unlabelInput", "predictions", "nodes", 0, "correct") != nil {
		t.Errorf("taken back: %v", a)
	}
}

func TestDeleteInput(t *testing.T) {
	b := setup(t, graph.Options{})
	prediction, input := b.predicted(t)
	a := b.must(t, `mutation ($id: ID!) { deleteInput(inputId: $id) { id predictionCount } }`, map[string]any{"id": input})
	if a.text(t, "deleteInput", "id") != input || a.at(t, "deleteInput", "predictionCount") != 1.0 {
		t.Errorf("%v", a)
	}
	a = b.do(t, `query ($p: ID!, $i: ID!) { prediction(id: $p) { id } input(id: $i) { id } }`,
		map[string]any{"p": prediction, "i": input})
	if a.codes() != "NOT_FOUND NOT_FOUND" {
		t.Errorf("afterwards: %v", a)
	}
	a = b.do(t, `mutation ($id: ID!) { deleteInput(inputId: $id) { id } }`, map[string]any{"id": input})
	if a.codes() != "NOT_FOUND" {
		t.Errorf("again: %v", a)
	}
}

// TestPredictInputWithoutItsImage: the input is there still, and its image is not.
func TestPredictInputWithoutItsImage(t *testing.T) {
	b := setup(t, graph.Options{})
	_, input := b.predicted(t)
	if _, err := b.store.RemoveImages(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	a := b.do(t, `mutation ($id: ID!) { predictInput(inputId: $id) { id } }`, map[string]any{"id": input})
	if a.codes() != "NOT_FOUND" || a.Errors[0].Message != "The image of input "+input+" is no longer kept" {
		t.Errorf("%v", a)
	}
}

func TestFiltersAndOrders(t *testing.T) {
	b := setup(t, graph.Options{})
	for range 3 {
		b.predict(t)
	}
	_, input := b.predicted(t)
	b.must(t, `mutation ($id: ID!) { labelInput(inputId: $id, label: {className: "1"}) { id } }`, map[string]any{"id": input})
	for query, want := range map[string]float64{
		`{ predictions(filter: {labelled: true}) { totalCount } }`:                      1,
		`{ predictions(filter: {labelled: false}) { totalCount } }`:                     3,
		`{ predictions(filter: {correct: true}) { totalCount } }`:                       1,
		`{ predictions(filter: {correct: false}) { totalCount } }`:                      0,
		`{ predictions(filter: {correct: true, labelled: false}) { totalCount } }`:      0,
		`{ predictions(filter: {className: "1"}) { totalCount } }`:                      4,
		`{ predictions(filter: {className: "no\u0020such"}) { totalCount } }`:           0,
		`{ predictions(filter: {confidence: {gte: 0.5}}) { totalCount } }`:              4,
		`{ predictions(filter: {confidence: {gte: 0.5, lt: 0.5}}) { totalCount } }`:     0,
		`{ predictions(filter: {confidence: {lt: 1e300}}) { totalCount } }`:             4,
		`{ predictions(filter: {source: []}, orderBy: MOST_CONFIDENT) { totalCount } }`: 0,
	} {
		if got := b.must(t, query, nil).at(t, "predictions", "totalCount"); got != want {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	for query, want := range map[string]float64{
		`{ inputs(filter: {labelled: true}) { totalCount nodes { label { className } } } }`: 1,
		`{ inputs(filter: {labelled: false}) { totalCount } }`:                              3,
		`{ inputs(filter: {className: "1"}) { totalCount } }`:                               1,
		`{ inputs(filter: {className: "2"}) { totalCount } }`:                               0,
	} {
		if got := b.must(t, query, nil).at(t, "inputs", "totalCount"); got != want {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	list := b.must(t, `{ predictions(first: 1, orderBy: LEAST_CONFIDENT) { pageInfo { endCursor } } }`, nil)
	cursor := map[string]any{"after": list.text(t, "predictions", "pageInfo", "endCursor")}
	rest := b.must(t, `query ($after: String) {
  predictions(after: $after, orderBy: LEAST_CONFIDENT) { nodes { id } pageInfo { hasPreviousPage hasNextPage } }
}`, cursor)
	if n := len(rest.at(t, "predictions", "nodes").([]any)); n != 3 || rest.at(t, "predictions", "pageInfo", "hasPreviousPage") != true {
		t.Errorf("the rest: %v", rest)
	}
	for _, order := range []string{"NEWEST", "MOST_CONFIDENT"} {
		if a := b.do(t, `query ($after: String) { predictions(after: $after, orderBy: `+order+`) { nodes { id } } }`, cursor); a.codes() != "BAD_USER_INPUT" {
			t.Errorf("a cursor of another order: %v", a)
		}
	}
}

// TestListsOfLabelsAndVersions counts statements: each list of a page is read at once.
func TestListsOfLabelsAndVersions(t *testing.T) {
	b := setup(t, graph.Options{})
	for range 5 {
		_, input := b.predicted(t)
		b.must(t, `mutation ($id: ID!) { labelInput(inputId: $id, label: {className: "1"}) { id } }`, map[string]any{"id": input})
	}
	statements := b.statements(t, func() {
		a := b.must(t, `{ predictions { nodes {
  correct
  input { label { className } predictions(first: 3) { nodes { id } totalCount } }
  model { predictions(first: 3) { nodes { id } totalCount } }
} } }`, nil)
		for i := range 5 {
			if a.text(t, "predictions", "nodes", i, "input", "label", "className") != "1" ||
				a.at(t, "predictions", "nodes", i, "model", "predictions", "totalCount") != 5.0 {
				t.Errorf("%v", a)
			}
		}
	})
	if len(statements) != 6 {
		t.Errorf("%d statements: %v", len(statements), statements)
	}
}
