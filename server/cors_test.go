package main_test

import (
	"net/http"
	"strings"
	"testing"

	server "sibyl/server"
)

const (
	friend   = "https://friend.example.org"
	stranger = "https://stranger.example.org"
)

func friends(c *server.Config) { c.CORSOrigins = []string{friend, "http://localhost:5173"} }

func TestPreflight(t *testing.T) {
	s := newServer(t, friends, newKeyring(t, "reader").use)
	for _, row := range []struct {
		origin, method, headers string
		allowed                 bool
	}{
		{friend, "POST", "authorization,content-type,graphql-require-preflight", true},
		{friend, "POST", "apollo-require-preflight,content-type,x-api-key,x-apollo-operation-name", true},
		{"http://localhost:5173", "GET", "", true},
		{stranger, "POST", "content-type", false},
		{"null", "POST", "content-type", false},
		{friend + ".example.com", "POST", "content-type", false},
		{"http://friend.example.org", "POST", "content-type", false},
		{friend + ":8443", "POST", "content-type", false},
		{friend, "DELETE", "", false},
		{friend, "POST", "cookie", false},
	} {
		for _, path := range []string{"/graphql", "/export"} {
			resp := s.request(t, http.MethodOptions, path, "", "Origin", row.origin,
				"Access-Control-Request-Method", row.method, "Access-Control-Request-Headers", row.headers)
			h := resp.Header
			allowed := h.Get("Access-Control-Allow-Origin") == row.origin
			if resp.StatusCode != 204 || allowed != row.allowed || !allowed && h.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%+v: %d %v", row, resp.StatusCode, h)
			}
			if allowed && (!strings.Contains(h.Get("Access-Control-Allow-Methods"), row.method) ||
				h.Get("Access-Control-Allow-Headers") != row.headers || h.Get("Access-Control-Max-Age") != "3600") {
				t.Errorf("%+v: %v", row, h)
			}
			if !strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") || h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%+v: %v", row, h)
			}
		}
	}
}

// TestOrigins: the answer can be read by the pages of friends, errors too, and by no other's.
func TestOrigins(t *testing.T) {
	ring := newKeyring(t, "reader")
	s := newServer(t, friends, ring.use)
	for origin, allowed := range map[string]bool{friend: true, stranger: false, "null": false} {
		for _, key := range []string{ring.keys["reader"], "sibyl_wrong"} {
			for _, path := range []string{"/graphql?query={__typename}", "/export", "/images/input_01h455vb4pex5vsknk084sn02q"} {
				resp := s.request(t, http.MethodGet, path, "", "Origin", origin, "Authorization", "Bearer "+key)
				h := resp.Header
				if (h.Get("Access-Control-Allow-Origin") == origin) != allowed ||
					!strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") || h.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%s %s: %v", origin, path, h)
				}
				if allowed && !strings.Contains(h.Get("Access-Control-Expose-Headers"), "Retry-After") {
					t.Errorf("%s %s: %v", origin, path, h)
				}
			}
		}
	}
	for origin, want := range map[string]int{friend: 200, stranger: 403} {
		for _, path := range []string{"/graphql?query={__typename}", "/export"} {
			resp := s.request(t, http.MethodGet, path, "", "Origin", origin, "Sec-Fetch-Site", "cross-site",
				"X-API-Key", ring.keys["reader"])
			if resp.StatusCode != want {
				t.Errorf("%s for %s: %d", path, origin, resp.StatusCode)
			}
		}
	}
}

// TestNoOrigins: without the allow-list no other site is let in.
func TestNoOrigins(t *testing.T) {
	s := newServer(t)
	for _, method := range []string{http.MethodOptions, http.MethodGet} {
		resp := s.request(t, method, "/graphql?query={__typename}", "", "Origin", friend, "Access-Control-Request-Method", "POST")
		for name := range resp.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: %v", method, resp.Header)
			}
		}
	}
}
