package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestParseResponse(t *testing.T) {
	t.Parallel()
	const plain = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: 4\r\n\r\nbody"
	const chunked = "HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"
	tests := map[string]struct {
		answer string
		status int
		body   string
		err    error
	}{
		"length":          {answer: plain, status: 200, body: "body"},
		"empty":           {answer: "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", status: 204},
		"chunks":          {answer: chunked, status: 503, body: "abc0123456789"},
		"no chunk":        {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 200},
		"no length":       {answer: "HTTP/1.1 200 OK\r\n\r\nbody", err: errProtocol},
		"too long":        {answer: plain + "!", err: errProtocol},
		"another version": {answer: "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", err: errProtocol},
		"no number":       {answer: "HTTP/1.1 2oo OK\r\nContent-Length: 0\r\n\r\n", err: errProtocol},
		"broken chunk": {
			answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", err: errProtocol,
		},
		"chunk too long": {
			answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFF\r\nabc\r\n0\r\n\r\n", err: errProtocol,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, body, complete, err := parseResponse([]byte(test.answer))
			if !errors.Is(err, test.err) || complete != (test.err == nil) {
				t.Fatalf("complete %t, error %v; want error %v", complete, err, test.err)
			}
			if err == nil && (status != test.status || string(body) != test.body) {
				t.Errorf("%d %q, want %d %q", status, body, test.status, test.body)
			}
		})
	}
}

// TestParseResponseInPieces gives the parser every beginning of an answer, as the network may.
func TestParseResponseInPieces(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
	} {
		for n := range len(answer) {
			if _, _, complete, err := parseResponse([]byte(answer[:n])); complete || err != nil {
				t.Errorf("%q: complete %t, error %v", answer[:n], complete, err)
			}
		}
	}
}

func FuzzParseResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		length := len(b)
		if _, body, complete, err := parseResponse(b); complete && (err != nil || len(body) > length) {
			t.Errorf("complete with error %v and %d bytes of %d", err, len(body), length)
		}
	})
}

// TestClient talks to Go's own server, which sends long answers in chunks.
func TestClient(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long answer ", 10_000)
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("X-Test") != "yes" {
			http.Error(w, "not as sent", http.StatusBadRequest)
			return
		}
		answer := string(body)
		if answer == "long" {
			answer = long
		}
		_, _ = io.WriteString(w, answer)
	})
	c, err := dial(address, time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	tests := []struct{ body, want string }{{"short", "short"}, {"long", long}, {"short again", "short again"}}
	for _, test := range tests {
		request := postRequest(address, "/", "text/plain", []string{"X-Test: yes"}, []byte(test.body))
		status, body, err := c.do(request)
		if err != nil || status != 200 || string(body) != test.want {
			t.Errorf("%s: status %d, %d bytes, error %v", test.body, status, len(body), err)
		}
	}
}

// serve starts a server that ends with the test, and gives its address.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}
