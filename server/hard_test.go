package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	server "sibyl/server"
)

// TestManyAtOnce: of 500 connections at once each is answered, with a prediction that is stored, or to ask again.
func TestManyAtOnce(t *testing.T) {
	const connections = 500
	patient := func(c *server.Config) { c.Timeout = time.Hour }
	for name, change := range map[string]func(*server.Config){
		"operations in flight": func(c *server.Config) { c.MaxInFlight = 16 },
		"queue of the model":   func(c *server.Config) { c.Models = shortQueue(t) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, patient, change)
			body, contentType := uploadBody(predictQuery, digit())
			var asking sync.WaitGroup
			var mu sync.Mutex
			predicted := map[string]bool{} // guarded by mu
			start := make(chan struct{})
			for range connections {
				asking.Go(func() {
					<-start
					id, err := s.predictAlone(body, contentType)
					if err != nil {
						t.Error(err)
					}
					if id != "" {
						mu.Lock()
						defer mu.Unlock()
						predicted[id] = true
					}
				})
			}
			close(start)
			asking.Wait()
			if got := s.stored(t); len(got) == 0 || len(got) != len(predicted) {
				t.Errorf("%d were answered, %d are stored", len(predicted), len(got))
			} else {
				for _, id := range got {
					if !predicted[id] {
						t.Errorf("%s is stored, and nobody was told", id)
					}
				}
			}
		})
	}
}

// shortQueue is a repository with the embedded model, and a queue of 16.
func shortQueue(t *testing.T) string {
	t.Helper()
	repository := t.TempDir()
	model := filepath.Join(repository, "mnist")
	if err := os.CopyFS(model, os.DirFS(filepath.Join("..", "inference", "models", "mnist"))); err != nil {
		t.Fatal(err)
	}
	config, err := os.OpenFile(filepath.Join(model, "config.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = config.WriteString("\ndynamic_batching: {max_queue_size: 16}\n")
	}
	if err == nil {
		err = config.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return repository
}

// predictAlone sends a request on a connection of its own, and returns the prediction's ID; "" where the server is full.
func (s *service) predictAlone(body []byte, contentType string) (id string, err error) {
	r, err := http.NewRequest(http.MethodPost, s.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("GraphQL-Require-Preflight", "1")
	own := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: own}).Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	answer := result{Status: resp.StatusCode}
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil {
		return "", err
	}
	again := resp.Header.Get("Retry-After")
	if answer.Status == http.StatusServiceUnavailable && answer.code() == "OVERLOADED" && again == "1" {
		return "", nil
	}
	var p struct{ ID string }
	if answer.Status != http.StatusOK || len(answer.Errors) > 0 || json.Unmarshal(answer.Data["predict"], &p) != nil {
		return "", fmt.Errorf("%d %v %s", resp.StatusCode, resp.Header, text)
	}
	return p.ID, nil
}

// stored are the IDs of all predictions, of which there must be one page.
func (s *service) stored(t *testing.T) (ids []string) {
	t.Helper()
	answer := s.query(t, "{predictions(first: 500){nodes{id}}}")
	var list struct{ Nodes []struct{ ID string } }
	if err := json.Unmarshal(answer.Data["predictions"], &list); err != nil {
		t.Fatalf("%v: %+v", err, answer)
	}
	for _, node := range list.Nodes {
		ids = append(ids, node.ID)
	}
	return ids
}

// TestHugeDocuments are refused by a limit each, not by the time that they take.
func TestHugeDocuments(t *testing.T) {
	var aliases strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&aliases, "a%d:name ", i)
	}
	many := "{models{" + aliases.String() + "}}"
	deep := strings.Repeat("{predictions{nodes{input", 34) + "{id}" + strings.Repeat("}}}", 34)
	usual := newServer(t)
	lenient := newServer(t, func(c *server.Config) { c.MaxTokens = 1_000_000 })
	for name, row := range map[string]struct {
		s              *service
		document, code string
	}{
		"aliases":                {usual, many, "TOKEN_LIMIT_EXCEEDED"},
		"aliases, more tokens":   {lenient, many, "COMPLEXITY_LIMIT_EXCEEDED"},
		"depth":                  {usual, deep, "DEPTH_LIMIT_EXCEEDED"},
		"depth, more tokens":     {lenient, deep, "DEPTH_LIMIT_EXCEEDED"},
		"depth in inline braces": {lenient, strings.Repeat("{...", 5000) + "{id}" + strings.Repeat("}", 5000), ""},
	} {
		answer := row.s.query(t, row.document)
		refused := answer.Status == 200 && len(answer.Data) == 0 && len(answer.Errors) > 0
		if !refused || row.code != "" && answer.code() != row.code {
			t.Errorf("%s: %d %+v", name, answer.Status, answer.Errors)
		}
	}
}

// rawUpload is an upload as it goes over the wire.
func rawUpload() []byte {
	body, contentType := uploadBody(predictQuery, digit())
	return append(fmt.Appendf(nil, "POST /graphql HTTP/1.1\r\nHost: localhost\r\nGraphQL-Require-Preflight: 1\r\n"+
		"Content-Type: %s\r\nContent-Length: %d\r\n\r\n", contentType, len(body)), body...)
}

// dialRaw opens a connection without HTTP.
func (s *service) dialRaw(t *testing.T) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

func (s *service) waitInFlight(t *testing.T, operations int) {
	t.Helper()
	waitFor(t, func() bool {
		_, metrics := s.get(t, "/metrics")
		return strings.Contains(metrics, fmt.Sprintf("\nsibyl_operations_in_flight %d\n", operations))
	})
}

// TestHalfClosed: a client that says nothing more after its request is answered. It cannot be told from one that has
// gone, whose operation is given up; but what is answered is so.
func TestHalfClosed(t *testing.T) {
	s := newServer(t)
	predicted := map[string]bool{}
	for range 20 {
		conn := s.dialRaw(t)
		if _, err := conn.Write(rawUpload()); err != nil {
			t.Fatal(err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer := readResult(t, resp)
		_ = resp.Body.Close()
		var p struct{ ID string }
		switch {
		case len(answer.Errors) == 0 && json.Unmarshal(answer.Data["predict"], &p) == nil:
			predicted[p.ID] = true
		case answer.code() != "DEADLINE_EXCEEDED" && answer.code() != "OVERLOADED":
			t.Errorf("%+v", answer)
		}
	}
	s.waitInFlight(t, 0)
	got := s.stored(t)
	if len(got) != len(predicted) {
		t.Errorf("%d were answered, %d are stored", len(predicted), len(got))
	}
	t.Logf("%d of 20 were answered before they seemed gone", len(predicted))
}

// TestGoneInTheMiddle leaves nothing behind.
func TestGoneInTheMiddle(t *testing.T) {
	s := newServer(t, func(c *server.Config) { c.Timeout = time.Hour })
	upload := rawUpload()
	query := []byte("POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
		"Content-Length: 1000\r\n\r\n{")
	for name, sent := range map[string][]byte{"file": upload[:len(upload)-20], "JSON": query} {
		conn := s.dialRaw(t)
		if _, err := conn.Write(sent); err != nil {
			t.Fatal(err)
		}
		s.waitInFlight(t, 1)
		if err := conn.Close(); err != nil {
			t.Fatal(name, err)
		}
		s.waitInFlight(t, 0)
	}
	if got := s.stored(t); len(got) > 0 {
		t.Errorf("%v are stored", got)
	}
}
