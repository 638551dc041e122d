package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/coder/websocket"
)

// socket is a client's end of a WebSocket that speaks graphql-transport-ws.
type socket struct {
	t    *testing.T
	conn *websocket.Conn
}

// socketMessage is what came on it.
type socketMessage struct {
	ID, Type string
	Payload  json.RawMessage
}

// openSocket begins the protocol with a key, or where that is empty without one.
func (s *service) openSocket(t *testing.T, key string) *socket {
	t.Helper()
	c := s.dialSocket(t, key)
	if m := c.next(); m.Type != "connection_ack" {
		t.Fatalf("%+v", m)
	}
	return c
}

// refusedSocket is closed for its key.
func (s *service) refusedSocket(t *testing.T, key string) {
	t.Helper()
	if m, err := s.dialSocket(t, key).receive(); websocket.CloseStatus(err) != 4403 {
		t.Errorf("%+v, %v", m, err)
	}
}

func (s *service) dialSocket(t *testing.T, key string) *socket {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), s.url+"/graphql",
		&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	c := &socket{t, conn}
	c.send(fmt.Sprintf(`{"type":"connection_init","payload":{"X-API-Key":%q}}`, key))
	return c
}

func (c *socket) send(text string) {
	c.t.Helper()
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *socket) subscribe(id, document string) {
	c.t.Helper()
	payload, _ := json.Marshal(map[string]string{"query": document})
	c.send(fmt.Sprintf(`{"id":%q,"type":"subscribe","payload":%s}`, id, payload))
}

func (c *socket) receive() (m socketMessage, err error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), within)
	defer cancel()
	_, text, err := c.conn.Read(ctx)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	return m, err
}

// next is the next message.
func (c *socket) next() socketMessage {
	c.t.Helper()
	m, err := c.receive()
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// wantAnswer receives the one answer to an operation, and its end.
func (c *socket) wantAnswer(id string) {
	c.t.Helper()
	for _, kind := range []string{"next", "complete"} {
		if m := c.next(); m.ID != id || m.Type != kind {
			c.t.Fatalf("%s %s %s, want %s of %s", m.Type, m.ID, m.Payload, kind, id)
		}
	}
}

// wantError receives the message that an operation has failed, and returns the extensions of its first error.
func (c *socket) wantError(id, code string) (extensions map[string]any) {
	c.t.Helper()
	m := c.next()
	var errs []struct{ Extensions map[string]any }
	if m.ID != id || m.Type != "error" || json.Unmarshal(m.Payload, &errs) != nil || len(errs) == 0 ||
		errs[0].Extensions["code"] != code {
		c.t.Fatalf("%s %s %s, want the error %s of %s", m.Type, m.ID, m.Payload, code, id)
	}
	return errs[0].Extensions
}

// wantClosed receives the end of the connection.
func (c *socket) wantClosed(code websocket.StatusCode) {
	c.t.Helper()
	m, err := c.receive()
	if got := websocket.CloseStatus(err); got != code {
		c.t.Errorf("%s %s %s %v, want to be closed with %d", m.Type, m.ID, m.Payload, err, code)
	}
}
