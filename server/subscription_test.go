package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/jackc/pgx/v5"

	"sibyl/persistence/persistencetest"
	server "sibyl/server"
)

const added = `subscription { predictionAdded { id likelyClass { name } scores input { filename } } }`

// event is a prediction that a subscriber was given.
type event struct {
	ID          string
	LikelyClass struct{ Name string }
	Scores      []float64
	Input       struct{ Filename string }
}

// readEvent reads the answer of a subscription.
func readEvent(text []byte) (e event, err error) {
	var answer struct {
		Data   struct{ PredictionAdded *event }
		Errors []any
	}
	if err = json.Unmarshal(text, &answer); err == nil && answer.Data.PredictionAdded == nil {
		err = fmt.Errorf("%s", text)
	}
	if err != nil {
		return e, err
	}
	return *answer.Data.PredictionAdded, nil
}

// subscribers are clients of the test; each closes its channel when its server has ended it in order.
type subscribers struct {
	t       *testing.T
	running sync.WaitGroup
}

// overWebSocket subscribes by graphql-transport-ws.
func (s *subscribers) overWebSocket(at *service) <-chan event {
	s.t.Helper()
	conn, _, err := websocket.Dial(s.t.Context(), at.url+"/graphql",
		&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, message := range []string{
		`{"type":"connection_init"}`,
		fmt.Sprintf(`{"id":"1","type":"subscribe","payload":{"query":%q}}`, added),
	} {
		if err := conn.Write(s.t.Context(), websocket.MessageText, []byte(message)); err != nil {
			s.t.Fatal(err)
		}
	}
	events := make(chan event, 1000)
	s.running.Go(func() {
		defer close(events)
		defer func() { _ = conn.CloseNow() }()
		for completed := false; ; {
			_, text, err := conn.Read(context.Background())
			if err != nil {
				if code := websocket.CloseStatus(err); code != websocket.StatusGoingAway || !completed {
					s.t.Errorf("the WebSocket ended with %v, completed %t", err, completed)
				}
				return
			}
			var m struct {
				Type    string
				Payload json.RawMessage
			}
			_ = json.Unmarshal(text, &m)
			switch m.Type {
			case "next":
				s.hear(events, m.Payload)
			case "complete":
				completed = true
			case "connection_ack":
			default:
				s.t.Errorf("%s", text)
			}
		}
	})
	return events
}

// asEvents subscribes by graphql-sse.
func (s *subscribers) asEvents(at *service) <-chan event {
	s.t.Helper()
	r, _ := http.NewRequest(http.MethodGet, at.url+"/graphql?query="+url.QueryEscape(added), nil)
	r.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(r)
	if err != nil || response.StatusCode != http.StatusOK {
		s.t.Fatal(response, err)
	}
	events := make(chan event, 1000)
	s.running.Go(func() {
		defer close(events)
		defer func() { _ = response.Body.Close() }()
		last, told := "", false
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			text, isNext := strings.CutPrefix(lines.Text(), "data: ")
			switch {
			case isNext && strings.Contains(text, "The server is shutting down"):
				told = true
			case isNext:
				s.hear(events, []byte(text))
			case lines.Text() != "":
				last = lines.Text()
			}
		}
		if last != "data:" || !told {
			s.t.Errorf("the event stream ended with %q, and told why: %t", last, told)
		}
	})
	return events
}

func (s *subscribers) hear(events chan<- event, text []byte) {
	e, err := readEvent(text)
	if err != nil {
		s.t.Error(err)
		return
	}
	events <- e
}

// TestSubscribersOfReplicas are given each prediction once, whichever replica made it, though their servers lose the
// connection on which they hear of them.
func TestSubscribersOfReplicas(t *testing.T) {
	t.Parallel()
	database := persistencetest.Database(t)
	onDatabase := func(c *server.Config) { c.DatabaseURL = server.DatabaseURL(database) }
	replicas := []*service{newServer(t, onDatabase), newServer(t, onDatabase)}
	s := &subscribers{t: t}
	var given []<-chan event
	for _, replica := range replicas {
		given = append(given, s.overWebSocket(replica), s.asEvents(replica))
	}
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, replica := range replicas {
		waitFor(t, func() bool {
			_, metrics := replica.get(t, "/metrics")
			return strings.Contains(metrics, "\nsibyl_subscribers 2\n") && strings.Contains(metrics, "\nsibyl_streams 2\n")
		})
	}
	made, order := map[string]bool{}, []string{}
	for i := range 24 {
		if i%8 == 4 {
			if _, err := conn.Exec(t.Context(), `
SELECT pg_terminate_backend(a.pid)
FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.application_name = 'sibyl listener'`); err != nil {
				t.Fatal(err)
			}
		}
		answer := replicas[i%2].predict(t, `mutation ($image: Upload!) { predict(image: $image) { id } }`, digit())
		var p struct{ ID string }
		if err := json.Unmarshal(answer.Data["predict"], &p); err != nil {
			t.Fatalf("%v: %+v", err, answer)
		}
		made[p.ID] = true
		order = append(order, p.ID)
	}
	for i, events := range given {
		want := len(made)
		seen := map[string]bool{}
		for range want {
			select {
			case e := <-events:
				if !made[e.ID] || seen[e.ID] || e.LikelyClass.Name != "1" || len(e.Scores) != 10 || e.Input.Filename != "digit.png" {
					t.Errorf("subscriber %d: %+v, seen %t", i, e, seen[e.ID])
				}
				seen[e.ID] = true
			case <-time.After(within):
				var missing []string
				for n, id := range order {
					if !seen[id] {
						missing = append(missing, fmt.Sprint(n, " ", id))
					}
				}
				t.Fatalf("subscriber %d was given %d of %d, not %q", i, len(seen), want, missing)
			}
		}
	}
	for _, replica := range replicas {
		replica.stop()
		if err := <-replica.ended; err != nil {
			t.Error(err)
		}
	}
	s.running.Wait()
	for i, events := range given {
		for e := range events {
			t.Errorf("subscriber %d: %+v came twice", i, e)
		}
	}
}

// TestSubscriptionNeedsAStream: over plain HTTP there can be one answer only.
func TestSubscriptionNeedsAStream(t *testing.T) {
	s := newServer(t, func(c *server.Config) { c.MaxStreams = 1 })
	if answer := s.query(t, added); answer.Status != http.StatusNotAcceptable || answer.code() != "BAD_REQUEST" {
		t.Errorf("%+v", answer)
	}
	r, _ := http.NewRequest(http.MethodPost, s.url+"/graphql",
		bytes.NewReader([]byte(`{"query":"subscription { predictionAdded(filter: {inputId: \"x\"}) { id } }"}`)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	_, _ = text.ReadFrom(response.Body)
	_ = response.Body.Close()
	if response.StatusCode != 200 || !strings.Contains(text.String(), "BAD_USER_INPUT") {
		t.Errorf("%s %s", response.Status, &text)
	}
}
