package main_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	server "sibyl/server"
)

// rarely lets a caller ask three times, and then not for an hour.
func rarely(c *server.Config) { c.RateLimit, c.RateBurst = 1.0/3600, 3 }

func TestRateLimit(t *testing.T) {
	ring := newKeyring(t, "reader", "admin")
	s := newServer(t, ring.use, rarely)
	for range 2 {
		if answer := s.ask(t, "{models{name}}", "X-API-Key", ring.keys["reader"]); answer.Status != 200 {
			t.Fatalf("%+v", answer)
		}
	}
	if resp := s.request(t, http.MethodGet, "/metrics", "", "X-API-Key", ring.keys["reader"]); resp.StatusCode != 200 {
		t.Fatal(resp.StatusCode)
	}
	for _, path := range []string{"/graphql?query={__typename}", "/export", "/images/input_01h455vb4pex5vsknk084sn02q"} {
		resp := s.request(t, http.MethodGet, path, "", "X-API-Key", ring.keys["reader"])
		answer := readResult(t, resp)
		if answer.Status != 429 || answer.code() != "RATE_LIMITED" || answer.Data != nil {
			t.Errorf("%s: %+v", path, answer)
		}
		if wait, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || wait < 3000 || wait > 3600 {
			t.Errorf("%s: Retry-After: %s", path, resp.Header.Get("Retry-After"))
		}
	}
	if answer := s.ask(t, "{models{name}}", "X-API-Key", ring.keys["admin"]); answer.Status != 200 {
		t.Errorf("another key: %+v", answer)
	}
	if status, _ := s.get(t, "/readyz"); status != 200 {
		t.Errorf("/readyz: %d", status)
	}
}

func TestRateLimitOfAddresses(t *testing.T) {
	s := newServer(t, rarely)
	for i, want := range []int{200, 200, 200, 429} {
		if answer := s.ask(t, "{__typename}"); answer.Status != want {
			t.Errorf("%d: %+v", i, answer)
		}
	}
}

// TestFailedAuthentication counts against the address, whichever way it came, and is logged with it. Keys that are known are
// taken from there all the same.
func TestFailedAuthentication(t *testing.T) {
	const wrong = "sibyl_wrong"
	var log lockedBuffer
	ring := newKeyring(t, "reader")
	s := newServerLogging(t, &log, ring.use, rarely)
	s.refusedSocket(t, wrong)
	for i, row := range []struct {
		path, key string
		status    int
	}{
		{"/graphql?query={__typename}", wrong, 401},
		{"/metrics", "", 401},
		{"/graphql?query={__typename}", wrong, 429},
		{"/metrics", wrong, 429},
		{"/metrics", ring.keys["reader"], 200},
		{"/graphql?query={__typename}", ring.keys["reader"], 200},
	} {
		resp := s.request(t, http.MethodGet, row.path, "", "X-API-Key", row.key, "X-Request-Id", "asked-"+strconv.Itoa(i))
		if resp.StatusCode != row.status || (resp.Header.Get("Retry-After") != "") != (row.status == 429) {
			t.Errorf("%d: %d %v", i, resp.StatusCode, resp.Header)
		}
	}
	logged := log.String()
	for line, want := range map[string]int{
		`level=WARN msg="not authenticated" `: 5, "request_id=asked-0 address=127.0.0.1:": 1,
		"request_id=asked-3 address=127.0.0.1:": 1, wrong: 0,
	} {
		if got := strings.Count(logged, line); got != want {
			t.Errorf("%s: %d times in\n%s", line, got, logged)
		}
	}
}

// TestRateLimitOfAWebSocket holds for each operation on it, from the one bucket that its caller has; it stays open.
func TestRateLimitOfAWebSocket(t *testing.T) {
	ring := newKeyring(t, "reader", "admin")
	for name, s := range map[string]*service{"keys": newServer(t, ring.use, rarely), "addresses": newServer(t, rarely)} {
		t.Run(name, func(t *testing.T) {
			c := s.openSocket(t, ring.keys["reader"])
			for i := range 3 {
				c.subscribe(strconv.Itoa(i), "{models{name}}")
				c.wantAnswer(strconv.Itoa(i))
			}
			for _, document := range []string{"{models{name}}", added, "{"} {
				c.subscribe("more", document)
				wait, _ := c.wantError("more", "RATE_LIMITED")["retryAfter"].(float64)
				if wait < 3000 || wait > 3600 || wait != float64(int(wait)) {
					t.Errorf("retryAfter: %v", wait)
				}
			}
			c.send(`{"type":"ping"}`)
			if m := c.next(); m.Type != "pong" {
				t.Errorf("%+v", m)
			}
			if answer := s.ask(t, "{__typename}", "X-API-Key", ring.keys["reader"]); answer.Status != 429 {
				t.Errorf("over HTTP: %+v", answer)
			}
		})
	}
}
