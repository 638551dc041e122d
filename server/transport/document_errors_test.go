package transport_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/gqlerror"
)

// TestRepeatedMistakes are told once, with their places, and neither these nor different ones without end. A directive
// that is not known is told of apart from its standing there again.
func TestRepeatedMistakes(t *testing.T) {
	b := setup(t)
	var different strings.Builder
	for i := range 60 {
		fmt.Fprintf(&different, "no%d ", i)
	}
	for document, places := range map[string][]int{
		"{ok" + strings.Repeat("@no", 10) + "}":  {10, 9},
		"{no ok no}":                             {2},
		"{no ok other no}":                       {2, 1},
		"{ok" + strings.Repeat("@no", 100) + "}": {50, 50},
		"{echo(count:1e3)}":                      {1},
		"query($x:Int!){echo(count:$x)}":         {0},
	} {
		if got := b.places(t, document); fmt.Sprint(got) != fmt.Sprint(places) {
			t.Errorf("%s: %v, want %v", document, got, places)
		}
	}
	if got := b.places(t, "{"+different.String()+"}"); len(got) != 50 {
		t.Errorf("%d errors, want 50", len(got))
	}
}

// places is how many locations each of a document's errors has.
func (b *bundle) places(t *testing.T, document string) (places []int) {
	t.Helper()
	text, _ := json.Marshal(map[string]string{"query": document})
	_, a := b.do(t, post(string(text)))
	var errs gqlerror.List
	unmarshal(a.members["errors"], &errs)
	for _, err := range errs {
		places = append(places, len(err.Locations))
	}
	return places
}
