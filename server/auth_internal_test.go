package main

import (
	"errors"
	"net/http"
	"testing"
)

// TestKeyBesideEmptyOnes: what has no value is no key, in whichever order it comes. The members of a WebSocket's first
// message have none.
func TestKeyBesideEmptyOnes(t *testing.T) {
	for name, row := range map[string]struct {
		headers http.Header
		init    map[string]any
		err     error
	}{
		"null beside it":        {nil, map[string]any{"X-API-Key": nil, "Authorization": "Bearer k"}, nil},
		"empty beside it":       {nil, map[string]any{"authorization": "", "x-api-key": "k"}, nil},
		"empty after a header":  {http.Header{"Authorization": {"Bearer k"}}, map[string]any{"x-api-key": ""}, nil},
		"empty after another":   {http.Header{"X-Api-Key": {"k", ""}}, nil, nil},
		"empty before another":  {http.Header{"X-Api-Key": {"", "k"}}, nil, nil},
		"empty alone":           {http.Header{"X-Api-Key": {""}}, map[string]any{"authorization": 1}, errNoKey},
		"another key beside it": {http.Header{"X-Api-Key": {"k"}}, map[string]any{"x-api-key": "other"}, errSeveralKeys},
	} {
		for range 100 { // a map is walked through in another order each time
			key, err := givenKey(row.headers, row.init)
			if !errors.Is(err, row.err) || err == nil && key != "k" {
				t.Fatalf("%s: %q, %v, want %v", name, key, err, row.err)
			}
		}
	}
}
