package main_test

import (
	"bufio"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// followEvents subscribes by Server-Sent Events with a key, and gives the data of each event.
func (s *service) followEvents(t *testing.T, key string) <-chan string {
	t.Helper()
	resp := s.request(t, http.MethodGet, "/graphql?query="+url.QueryEscape(added), "",
		"X-API-Key", key, "Accept", "text/event-stream")
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	data := make(chan string, 100)
	go func() {
		defer close(data)
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if text, ok := strings.CutPrefix(lines.Text(), "data:"); ok {
				data <- strings.TrimSpace(text)
			}
		}
	}()
	return data
}

// wantLast receives the error that ends an event stream.
func wantLast(t *testing.T, data <-chan string, code string) {
	t.Helper()
	if text := <-data; !strings.Contains(text, `"code":"`+code+`"`) || strings.Contains(text, `"data"`) {
		t.Errorf("%s, want %s", text, code)
	}
	if text, more := <-data; text != "" || !more {
		t.Errorf("%q, want the event `complete`", text)
	}
	if text, more := <-data; more {
		t.Errorf("%q after the end", text)
	}
}

// TestSubscriptionsEndWithTheKey, or with the role that they need, while those of others go on.
func TestSubscriptionsEndWithTheKey(t *testing.T) {
	ring := newKeyring(t, "reader", "predictor_reader", "admin")
	s := newServer(t, ring.use)
	names := []string{"reader", "predictor_reader", "admin"}
	sockets, events := map[string]*socket{}, map[string]<-chan string{}
	for _, name := range names {
		sockets[name], events[name] = s.openSocket(t, ring.keys[name]), s.followEvents(t, ring.keys[name])
		sockets[name].subscribe("1", added)
	}
	idle := s.openSocket(t, ring.keys["reader"])
	waitFor(t, func() bool {
		resp := s.request(t, http.MethodGet, "/metrics", "", "X-API-Key", ring.keys["admin"])
		text, err := io.ReadAll(resp.Body)
		return err == nil && strings.Contains(string(text), "\nsibyl_subscribers 6\n")
	})

	delete(ring.lines, "reader")
	ring.lines["predictor_reader"] = strings.Replace(ring.lines["predictor_reader"], " predictor,reader ", " predictor ", 1)
	ring.write(t)
	sockets["reader"].wantClosed(4403)
	idle.wantClosed(4403)
	wantLast(t, events["reader"], "UNAUTHENTICATED")
	sockets["predictor_reader"].wantError("1", "FORBIDDEN")
	wantLast(t, events["predictor_reader"], "FORBIDDEN")
	sockets["predictor_reader"].subscribe("2", "{__typename}")
	sockets["predictor_reader"].wantAnswer("2")
	sockets["predictor_reader"].subscribe("3", "{models{name}}")
	sockets["predictor_reader"].wantError("3", "FORBIDDEN")

	body, contentType := uploadBody(predictQuery, digit())
	answer := readResult(t, s.request(t, http.MethodPost, "/graphql", string(body), "X-API-Key", ring.keys["predictor_reader"],
		"GraphQL-Require-Preflight", "1", "Content-Type", contentType))
	if len(answer.Errors) > 0 {
		t.Fatalf("%+v", answer)
	}
	if m := sockets["admin"].next(); m.Type != "next" || m.ID != "1" {
		t.Errorf("%+v", m)
	}
	if text := <-events["admin"]; !strings.Contains(text, `"predictionAdded"`) {
		t.Error(text)
	}
}

// TestExportEndsWithTheKey, so that its client sees that it is not whole.
func TestExportEndsWithTheKey(t *testing.T) {
	ring := newKeyring(t, "reader", "admin")
	s, _ := filledServer(t, ring.use)
	events := s.followEvents(t, ring.keys["reader"])
	body := s.request(t, http.MethodGet, "/export?images=true", "",
		"X-API-Key", ring.keys["reader"], "Accept-Encoding", "identity").Body
	if _, err := io.ReadFull(body, make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	delete(ring.lines, "reader")
	ring.write(t)
	wantLast(t, events, "UNAUTHENTICATED") // which is told after exports are
	if n, err := io.Copy(io.Discard, body); err == nil {
		t.Errorf("%d bytes, and no error", n)
	}
}
