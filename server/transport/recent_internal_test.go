package transport

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// TestOperationsAreOnesOwn changes all of an operation, as files and what comes after may: the next of the same text is as
// it was sent.
func TestOperationsAreOnesOwn(t *testing.T) {
	const text = `{"query": "{a}", "operationName": "A", "variables": {"list": [null, {"of": [1]}], "none": null},
  "extensions": {"persistedQuery": {"version": 1}}}`
	sent, err := parseOperation("The text", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o := Options{operations: new(recent[*operation])}
	for range 3 {
		op, err := o.operation("The text", []byte(text))
		if err != nil || !reflect.DeepEqual(op, sent) {
			t.Fatalf("%+v, %v, want %+v", op, err, sent)
		}
		list := op.params.Variables["list"].([]any)
		list[0], list[1].(map[string]any)["of"].([]any)[0] = "a file", "a file"
		op.params.Variables["none"] = "a file"
		op.params.Extensions["persistedQuery"].(map[string]any)["version"] = "another"
		op.params.Extensions["more"] = true
		op.params.Query, op.places, op.byURL = "{b}", 1, true
	}
}

// TestRecentIsBounded: however many texts come, only so many are kept, and none that is long or cannot be read.
func TestRecentIsBounded(t *testing.T) {
	var r recent[int]
	length := func(text []byte) (int, error) {
		if text[0] == 'x' {
			return 0, errNotThis
		}
		return len(text), nil
	}
	for i := range 3*maxRecent + 1 {
		text := strconv.Itoa(i)
		if said, err := r.read([]byte(text), length); said != len(text) || err != nil {
			t.Fatalf("%s: %d, %v", text, said, err)
		}
		if len(r.said) > maxRecent {
			t.Fatalf("%d texts are kept", len(r.said))
		}
	}
	kept := len(r.said)
	for _, text := range []string{strings.Repeat("1", maxRecentBytes+1), "x"} {
		if said, err := r.read([]byte(text), length); (err == nil) != (said == len(text)) || len(r.said) != kept {
			t.Errorf("%.9s: %d, %v, %d texts are kept, want %d", text, said, err, len(r.said), kept)
		}
	}
}
