package transport_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// openUnread asks for an event stream, with headers given as name and value in turn.
func openUnread(t testing.TB, base, document string, headers ...string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"?query="+url.QueryEscape(document), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err == nil {
		t.Cleanup(func() { _ = response.Body.Close() })
	}
	return response, err
}

// openEvents opens an event stream and returns what comes on it, without the first comment.
func openEvents(t testing.TB, base, document string, headers ...string) (*http.Response, <-chan string) {
	t.Helper()
	response, err := openUnread(t, base, document, headers...)
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan string, 1000)
	go func() {
		defer close(events)
		lines := bufio.NewScanner(response.Body)
		var event []string
		first := true
		for lines.Scan() {
			if lines.Text() != "" {
				event = append(event, lines.Text())
				continue
			}
			if !first {
				events <- strings.Join(event, "\n")
			}
			event, first = nil, false
		}
	}()
	return response, events
}

func TestEventStream(t *testing.T) {
	base := setup(t).listen(t)
	for document, want := range map[string][]string{
		"subscription{count(to: 2)}": {
			"event: next\ndata: {\"data\":{\"count\": 1}}", "event: next\ndata: {\"data\":{\"count\": 2}}",
			"event: complete\ndata:",
		},
		"{ok}": {"event: next\ndata: {\"data\":{\"ok\":\"yes\"}}", "event: complete\ndata:"},
		"subscription{ended}": {
			`event: next` + "\n" + `data: {"errors":[{"message":"it failed","extensions":{"code":"NOT_FOUND"}}]}`,
			"event: complete\ndata:",
		},
	} {
		response, events := openEvents(t, base, document)
		h := response.Header
		if response.StatusCode != 200 || h.Get("Content-Type") != "text/event-stream" ||
			h.Get("Cache-Control") != "no-cache" || h.Get("X-Accel-Buffering") != "no" || h.Get("Vary") != "Accept" {
			t.Errorf("%s: %s %v", document, response.Status, h)
		}
		var got []string
		for event := range events {
			got = append(got, event)
		}
		if strings.Join(got, "\n\n") != strings.Join(want, "\n\n") {
			t.Errorf("%s: got %q, want %q", document, got, want)
		}
	}
}

// TestEventStreamRefuses with a status what has not begun.
func TestEventStreamRefuses(t *testing.T) {
	b := setup(t)
	for document, want := range map[string]struct {
		status int
		code   string
	}{
		"":                      {400, bad},
		"{":                     {400, "GRAPHQL_PARSE_FAILED"},
		"subscription{nothing}": {400, invalid},
		`subscription{refused(code:"UNAVAILABLE")}`: {503, "UNAVAILABLE"},
		`mutation{upload}`:                          {405, bad},
	} {
		r := httptest.NewRequest(http.MethodGet, "/graphql?query="+url.QueryEscape(document), nil)
		r.Header.Set("Accept", "text/event-stream")
		response, a := b.do(t, r)
		if response.StatusCode != want.status || a.code() != want.code {
			t.Errorf("%s: %d %+v", document, response.StatusCode, a)
		}
	}
	if b.streams.Count() != 0 {
		t.Errorf("%d are open", b.streams.Count())
	}
}

// TestEventStreamNegotiation: subscriptions come as events where that is allowed, other answers where it is preferred.
func TestEventStreamNegotiation(t *testing.T) {
	const all = "application/graphql-response+json, application/json, text/event-stream, multipart/mixed"
	b := setup(t)
	for accept, want := range map[string][2]string{
		"text/event-stream": {"text/event-stream", "text/event-stream"},
		all:                 {graphqlType, "text/event-stream"},
		"text/event-stream;q=0.5, application/json": {plainType, "text/event-stream"},
		"*/*":              {plainType, ""},
		"text/*":           {"", ""},
		"application/json": {plainType, ""},
		"application/json, text/event-stream;q=0": {plainType, ""},
		"": {plainType, ""},
	} {
		for i, document := range []string{"{ok}", "subscription{count(to:1)}"} {
			body, _ := json.Marshal(map[string]string{"query": document})
			r := post(string(body))
			if accept != "" {
				r.Header.Set("Accept", accept)
			}
			w := httptest.NewRecorder()
			b.handler.ServeHTTP(w, r)
			switch {
			case want[i] == "":
				if w.Code != http.StatusNotAcceptable {
					t.Errorf("%q %s: %d", accept, document, w.Code)
				}
			case w.Code != 200 || w.Header().Get("Content-Type") != want[i]:
				t.Errorf("%q %s: %d %s", accept, document, w.Code, w.Header().Get("Content-Type"))
			}
		}
	}
}

// TestEventStreamOfAClientThatLeaves ends.
func TestEventStreamOfAClientThatLeaves(t *testing.T) {
	b := setup(t)
	response, _ := openEvents(t, b.listen(t), "subscription{never}")
	<-b.fields.entered
	_ = response.Body.Close()
	awaitNone(t, b)
}
