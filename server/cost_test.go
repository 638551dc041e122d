package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	server "sibyl/server"
)

// TestCostOfEachRequest: that an operation was cheap once lets none through that is not.
func TestCostOfEachRequest(t *testing.T) {
	s := newServer(t, func(c *server.Config) { c.MaxComplexity = 50 })
	ids := func(n int) string {
		return `["` + strings.Repeat(`input_x","`, n) + `input_x"]`
	}
	for _, row := range []struct{ document, cheap, dear string }{
		{`query($n: Int) { predictions(first: $n) { nodes { id } } }`, `{"n": 5}`, `{"n": 50}`},
		{`query($n: Int!) { predictions(last: $n) { nodes { id } } }`, `{"n": 5}`, `{"n": 50}`},
		{`query($n: [ID!]!) { nodes(ids: $n) { id } }`, `{"n": ` + ids(1) + `}`, `{"n": ` + ids(60) + `}`},
		{`query($t: Boolean = true) { predictions(first: 5) { nodes { id @include(if: $t) } } }`, `{}`, ""},
		{`{ predictions(first: 50) { nodes { id } } }`, "", `{}`},
	} {
		for range 2 {
			for code, variables := range map[string]string{"": row.cheap, "COMPLEXITY_LIMIT_EXCEEDED": row.dear} {
				if variables == "" {
					continue
				}
				text, _ := json.Marshal(row.document)
				body := fmt.Sprintf(`{"query": %s, "variables": %s}`, text, variables)
				refused := s.post(t, []byte(body), "application/json").code() == "COMPLEXITY_LIMIT_EXCEEDED"
				if refused != (code != "") {
					t.Errorf("%s %s: refused: %t", row.document, variables, refused)
				}
			}
		}
	}
}
