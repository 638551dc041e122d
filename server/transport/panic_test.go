package transport_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"sibyl/graph"
	"sibyl/server/transport"
)

// TestPanicOnAWebSocket, wherever it is, ends that connection alone, and is told with the request's ID.
func TestPanicOnAWebSocket(t *testing.T) {
	const start, bad = `{"type":"connection_init","payload":{"panic":true}}`, "subscription bad{never}"
	for name, row := range map[string]struct {
		change func(*transport.Options)
		// inLoop says that it is the loop that reads messages, else the goroutine of an operation.
		inLoop bool
	}{
		"Authenticate": {func(o *transport.Options) {
			o.Authenticate = func(ctx context.Context, _ http.Header, payload map[string]any) (context.Context, error) {
				if payload["panic"] == true {
					panic("secret of the server")
				}
				return ctx, nil
			}
		}, true},
		"Admit": {func(o *transport.Options) {
			o.Admit = func(ctx context.Context, _ string) error {
				if graph.RequestID(ctx) == "request-2" {
					panic("secret of the server")
				}
				return nil
			}
		}, false},
		"Observe": {func(o *transport.Options) {
			o.Observe = func(seen transport.Observation) {
				if seen.Name == "bad" {
					panic("secret of the server")
				}
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan string, 10)
			b := setup(t, row.change, func(o *transport.Options) {
				o.Recover = func(ctx context.Context, _ any) error {
					told <- graph.RequestID(ctx)
					return errors.New("panic")
				}
			})
			var requests atomic.Int64
			handler := b.handler
			b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				id := fmt.Sprint("request-", requests.Add(1))
				handler.ServeHTTP(w, r.WithContext(graph.WithRequestID(r.Context(), id)))
			})
			url := b.listen(t)
			other := begin(t, url)
			c := dial(t, url, websocket.DialOptions{})
			c.send(start)
			if !row.inLoop {
				c.want(`{"type":"connection_ack"}`)
				c.subscribe("1", bad)
			}
			c.wantClosed(4500)
			if id := <-told; id != "request-2" {
				t.Errorf("told of %q", id)
			}
			other.subscribe("1", "{ok}")
			other.want(`{"type":"next","id":"1","payload":{"data":{"ok":"yes"}}}`)
			eventually(t, "the other is open alone", func() bool { return b.streams.Count() == 1 })
		})
	}
}

// TestPanicBesideAnOperation is told as every error, unless the answer has begun: then the connection is cut.
func TestPanicBesideAnOperation(t *testing.T) {
	b := setup(t, func(o *transport.Options) {
		o.Admit = func(context.Context, string) error { panic("secret of the server") }
	})
	if resp, a := b.do(t, query("{ok}")); resp.StatusCode != http.StatusInternalServerError || a.code() != internal {
		t.Errorf("%d %s", resp.StatusCode, a.code())
	}
	b = setup(t, func(o *transport.Options) { o.Observe = func(transport.Observation) { panic("after the answer") } })
	defer func() {
		if v := recover(); v != "after the answer" {
			t.Errorf("recovered %v", v)
		}
	}()
	b.do(t, query("{ok}"))
}

// TestPanicOfAnOperation is that operation's error, and of a subscription its last answer.
func TestPanicOfAnOperation(t *testing.T) {
	b := setup(t)
	url := b.listen(t)
	c := begin(t, url)
	for _, document := range []string{"{panic}", "subscription{panics}"} {
		c.subscribe("1", document)
		c.wantError("1", internal)
	}
	c.subscribe("1", "{ok}")
	c.want(`{"type":"next","id":"1","payload":{"data":{"ok":"yes"}}}`)
	_, events := openEvents(t, url, "subscription{panics}")
	if got := <-events; !strings.Contains(got, internal) {
		t.Errorf("%q", got)
	}
	if got := <-events; got != "event: complete\ndata:" {
		t.Errorf("%q", got)
	}
}
