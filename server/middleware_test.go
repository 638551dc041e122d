package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"sibyl/graph"
)

func TestRequestID(t *testing.T) {
	for given, kept := range map[string]bool{
		"": false, "abc-DEF_1.2:3/4+5=": true, strings.Repeat("x", 128): true, strings.Repeat("x", 129): false,
		"a b": false, "a\nb": false, "é": false, `a"b`: false, "<script>": false,
	} {
		var seen string
		h := identifyRequests(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			seen = graph.RequestID(r.Context())
		}))
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("X-Request-Id", given)
		h.ServeHTTP(w, r)
		if (seen == given) != kept || seen == "" || w.Header().Get("X-Request-Id") != seen {
			t.Errorf("%q: %q", given, seen)
		}
	}
}

func TestHost(t *testing.T) {
	h := refuseOtherHosts(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for host, taken := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:8080": true, "10.0.0.7:80": true, "[::1]": true, "[::1]:8080": true,
		"[fe80::1%eth0]:8080": true, "localhost": true, "LocalHost:8080": true, "localhost.:8080": true,
		"sibyl.localhost:8080": true,
		"":                     false, "example.org": false, "example.org:8080": false, "localhost.example.org": false,
		"127.0.0.1.example.org": false, "notlocalhost": false, "localhost:8080.example.org": false, ":8080": false,
		"localhost@example.org": false, "[localhost.example.org]:80": false, "..": false,
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		h.ServeHTTP(w, r)
		want := http.StatusOK
		if !taken {
			want = http.StatusMisdirectedRequest
		}
		if w.Code != want || !taken && !strings.Contains(w.Body.String(), "--insecure") {
			t.Errorf("%q: %d %s", host, w.Code, w.Body)
		}
	}
}

func TestPanicIsAnswered(t *testing.T) {
	var logged bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&logged, nil))
	h := identifyRequests(logRequests(logger, recoverPanics(logger, http.HandlerFunc(
		func(http.ResponseWriter, *http.Request) { panic("secret") }))))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != 500 || strings.Contains(w.Body.String(), "secret") {
		t.Error(w.Code, w.Body)
	}
	if !strings.Contains(logged.String(), "secret") || !strings.Contains(logged.String(), "middleware_test.go") ||
		!strings.Contains(logged.String(), w.Header().Get("X-Request-Id")) {
		t.Error(logged.String())
	}
}

func TestPanicInAnAnswerCutsTheConnection(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	server := httptest.NewServer(logRequests(logger, recoverPanics(logger, http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			panic("now")
		}))))
	defer server.Close()
	resp, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err == nil {
		t.Errorf("%q came as a whole answer", body.String())
	}
}

func TestRequestIsLogged(t *testing.T) {
	for status, level := range map[int]string{200: "DEBUG", 401: "DEBUG", 403: "INFO", 404: "DEBUG", 429: "INFO", 503: "INFO"} {
		var logged bytes.Buffer
		logger := newLogger(&logged, "auto", "debug")
		h := logRequests(logger, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte("four"))
		}))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/graphql?query=secret", nil))
		line := logged.String()
		if !strings.Contains(line, `"level":"`+level+`"`) || !strings.Contains(line, `"bytes":4,"address":"192.0.2.1:1234"`) ||
			strings.Contains(line, "secret") {
			t.Error(line)
		}
	}
}

// TestGoneClientIsLogged: what a client is not told that has gone is no error of the server, unless the server gave it up.
// One whose body comes too late is told.
func TestGoneClientIsLogged(t *testing.T) {
	gone := context.Canceled
	for name, row := range map[string]struct {
		status, logged int
		body           io.Reader
		ended          error
	}{
		"given up":            {504, 499, strings.NewReader("{}"), gone},
		"given up early":      {503, 499, strings.NewReader("{}"), gone},
		"there":               {504, 504, strings.NewReader("{}"), nil},
		"late body":           {504, 504, iotest.ErrReader(os.ErrDeadlineExceeded), gone},
		"answered":            {200, 200, strings.NewReader("{}"), gone},
		"fault of a server":   {500, 500, strings.NewReader("{}"), gone},
		"half a body":         {400, 400, iotest.ErrReader(io.ErrUnexpectedEOF), gone},
		"by the server":       {504, 503, strings.NewReader("{}"), errGivenUp},
		"by it, early":        {503, 503, strings.NewReader("{}"), errGivenUp},
		"by it, half a body":  {400, 503, iotest.ErrReader(io.ErrUnexpectedEOF), errGivenUp},
		"answered, then ends": {200, 200, strings.NewReader("{}"), errGivenUp},
	} {
		var logged bytes.Buffer
		h := logRequests(newLogger(&logged, "auto", "debug"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(row.status)
		}))
		ctx, cancel := context.WithCancelCause(t.Context())
		if row.ended != nil {
			cancel(row.ended)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/graphql", row.body).WithContext(ctx))
		cancel(nil)
		level := "DEBUG"
		if row.logged >= 500 {
			level = "INFO"
		}
		line := logged.String()
		want := strings.Contains(line, fmt.Sprintf(`"status":%d,`, row.logged)) && strings.Contains(line, `"level":"`+level+`"`)
		if w.Code != row.status || !want {
			t.Errorf("%s: %d %s", name, w.Code, line)
		}
	}
}
