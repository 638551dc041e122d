package main_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"sibyl/persistence/persistencetest"
	server "sibyl/server"
)

// TestBehindPgBouncer runs replicas whose transactions are each on another connection: what is prepared, locked or set
// outside of them is lost.
func TestBehindPgBouncer(t *testing.T) {
	t.Parallel()
	direct := persistencetest.Database(t)
	pooled := persistencetest.PgBouncer(t, direct)
	behind := func(c *server.Config) { c.DatabaseURL = server.DatabaseURL(pooled) }
	c := server.DefaultConfig()
	c.Address, c.Data = "127.0.0.1:0", t.TempDir()
	behind(&c)
	if _, err := server.New(t.Context(), c, slog.New(slog.DiscardHandler)); err == nil ||
		!strings.Contains(err.Error(), "--listen-url") {
		t.Fatalf("migrated through a pooler: %v", err)
	}
	first := newServer(t, behind, func(c *server.Config) { c.ListenURL = server.DatabaseURL(direct) })
	first.useEverything(t)
	// The schema is there: nothing needs a connection without a pooler.
	second := newServer(t, behind, func(c *server.Config) { c.KeepImages = server.KeepTime(time.Millisecond) })
	second.useEverything(t)
	first.stop()
	<-first.ended
	waitFor(t, func() bool { return second.count(t, `predictions { totalCount }`) > 0 && second.images(t) == 0 })
}

// count asks for the total of a list.
func (s *service) count(t *testing.T, list string) int {
	t.Helper()
	var total struct{ TotalCount int }
	for name, text := range s.mustAsk(t, "{"+list+"}") {
		if err := json.Unmarshal(text, &total); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	return total.TotalCount
}

// images counts the inputs that have their bytes still.
func (s *service) images(t *testing.T) int {
	t.Helper()
	return strings.Count(string(s.mustAsk(t, `{ inputs(first: 500) { nodes { image { url } } } }`)["inputs"]), "/images/")
}

// mustAsk sends a query that must succeed.
func (s *service) mustAsk(t *testing.T, document string) map[string]json.RawMessage {
	t.Helper()
	answer := s.query(t, document)
	if len(answer.Errors) > 0 {
		t.Fatalf("%s: %+v", document, answer)
	}
	return answer.Data
}

// useEverything does what uses each kind of statement, by many at a time.
func (s *service) useEverything(t *testing.T) {
	t.Helper()
	const many = 24
	before := s.count(t, `predictions { totalCount }`)
	var clients sync.WaitGroup
	for i := range many {
		clients.Go(func() {
			key := fmt.Sprintf("%s %d", s.url, i/2) // which two have
			answer := s.predict(t, fmt.Sprintf(`mutation ($image: Upload!) {
				predict(image: $image, idempotencyKey: %q) { id input { id } likelyClass { name } } }`, key), digit())
			var predicted struct {
				ID          string
				Input       struct{ ID string }
				LikelyClass struct{ Name string }
			}
			if err := json.Unmarshal(answer.Data["predict"], &predicted); err != nil || len(answer.Errors) > 0 {
				t.Errorf("%v, %+v", err, answer)
				return
			}
			for _, document := range []string{
				`mutation { labelInput(inputId: %[1]q, label: {className: %[2]q}) { label { className } } }`,
				`{ prediction(id: %[3]q) { correct input { filename label { className } } } }`,
				`mutation { unlabelInput(inputId: %[1]q) { id } }`,
				`{ predictions(first: 5, filter: {labelled: false, className: %[2]q}, orderBy: LEAST_CONFIDENT) {
					totalCount nodes { id input { predictions(first: 2) { nodes { id } totalCount } } } } }`,
				`{ inputs(last: 5) { pageInfo { hasPreviousPage } nodes { id predictions { totalCount } } } }`,
			} {
				document = fmt.Sprintf(document+"%.[4]s", predicted.Input.ID, predicted.LikelyClass.Name, predicted.ID, "")
				if answer := s.query(t, document); len(answer.Errors) > 0 {
					t.Errorf("%s: %+v", document, answer)
				}
			}
		})
	}
	clients.Wait()
	if n := s.count(t, `predictions { totalCount }`) - before; n != many/2 {
		t.Errorf("%d predictions of %d keys", n, many/2)
	}
	if status, body := s.get(t, "/export?format=jsonl"); status != 200 || strings.Count(body, "\n") != before+many/2 {
		t.Errorf("export: %d, %d lines", status, strings.Count(body, "\n"))
	}
	if status, body := s.get(t, "/readyz"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
}
