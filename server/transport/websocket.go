package transport

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
)

// subprotocol is the one that is spoken over WebSocket.
// Source: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
const subprotocol = "graphql-transport-ws"

// webSocket takes operations of every kind, many on a connection.
type webSocket struct{ options *Options }

// Supports reports whether the request asks for a WebSocket.
func (t webSocket) Supports(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// Do answers the request, and leaves the connection to Streams: what net/http holds of a request is more than all that
// an idle subscriber needs.
func (t webSocket) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	c := newConnection(t.options, r, exec)
	if err := t.enter(r, c); err != nil {
		x := &exchange{options: t.options, w: w, r: r, exec: exec, answer: plainJSON}
		x.began = time.Now()
		x.refuse(err)
		return
	}
	// The answer to a request that is no handshake is the library's.
	hijacked := &smallBuffers{ResponseWriter: w}
	ws, err := websocket.Accept(hijacked, r, &websocket.AcceptOptions{
		Subprotocols: []string{subprotocol}, InsecureSkipVerify: true, // enter has looked at the origin
	})
	if err != nil {
		t.options.Streams.leave(c)
		return
	}
	ctx := context.WithoutCancel(r.Context())
	t.options.Streams.running.Go(func() {
		defer t.options.Streams.leave(c)
		c.serve(ctx, &socket{ws, hijacked.conn})
	})
}

// enter lets the connection in, unless it comes from another site: browsers let each open WebSockets everywhere, in its
// visitor's name.
func (t webSocket) enter(r *http.Request, c *connection) error {
	if !sameOrigin(r) && !slices.Contains(t.options.AllowedOrigins, r.Header.Get("Origin")) {
		return errOrigin
	}
	return t.options.Streams.knock(c)
}

// sameOrigin reports whether no browser sent the request, or one that has a page of this host open.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}
