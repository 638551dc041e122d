package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sibyl/server/transport"
)

// within bounds the wait for what must happen at some time, on a busy machine.
const within = time.Minute

// listen serves the bundle over a real connection, and ends all streams with the test.
func (b *bundle) listen(t testing.TB) (url string) {
	t.Helper()
	server := httptest.NewServer(b.handler)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		b.streams.Close()
		if err := b.streams.Wait(ctx); err != nil {
			t.Error(err)
		}
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// client is the other end of a WebSocket.
type client struct {
	t    testing.TB
	conn *websocket.Conn
}

// dial opens a WebSocket without a word.
func dial(t testing.TB, url string, o websocket.DialOptions) *client {
	t.Helper()
	if o.Subprotocols == nil {
		o.Subprotocols = []string{"graphql-transport-ws"}
	}
	conn, response, err := websocket.Dial(t.Context(), url, &o)
	if err != nil {
		t.Fatal(err)
	}
	if response.Body != nil {
		_ = response.Body.Close()
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{t, conn}
}

// begin opens a WebSocket and its protocol.
func begin(t testing.TB, url string) *client {
	t.Helper()
	c := dial(t, url, websocket.DialOptions{})
	c.send(`{"type":"connection_init"}`)
	c.want(`{"type":"connection_ack"}`)
	return c
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// subscribe asks for an operation.
func (c *client) subscribe(id, document string) {
	c.t.Helper()
	payload, _ := json.Marshal(map[string]string{"query": document})
	c.send(fmt.Sprintf(`{"id":%q,"type":"subscribe","payload":%s}`, id, payload))
}

func (c *client) receive() (string, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), within)
	defer cancel()
	_, text, err := c.conn.Read(ctx)
	return string(text), err
}

// want receives one of the messages.
func (c *client) want(texts ...string) {
	c.t.Helper()
	got, err := c.receive()
	if err != nil {
		c.t.Fatal(err)
	}
	if !slices.Contains(texts, got) {
		c.t.Fatalf("got  %s\nwant %s", got, texts)
	}
}

// wantError receives the message that an operation has failed with the code.
func (c *client) wantError(id, code string) {
	c.t.Helper()
	text, err := c.receive()
	if err != nil {
		c.t.Fatal(err)
	}
	var m struct {
		ID, Type string
		Payload  []struct{ Extensions struct{ Code string } }
	}
	if json.Unmarshal([]byte(text), &m) != nil || m.ID != id || m.Type != "error" || len(m.Payload) == 0 ||
		m.Payload[0].Extensions.Code != code {
		c.t.Fatalf("got %s, want the error %s of %s", text, code, id)
	}
}

// wantClosed receives the end of the connection.
func (c *client) wantClosed(code int) {
	c.t.Helper()
	text, err := c.receive()
	if got := websocket.CloseStatus(err); int(got) != code {
		c.t.Errorf("got %s %v, want to be closed with %d", text, err, code)
	}
}

func TestWebSocketOperations(t *testing.T) {
	url := setup(t).listen(t)
	c := begin(t, url)
	c.subscribe("q", `{echo(text: "a \"b\"")}`)
	c.want(`{"type":"next","id":"q","payload":{"data":{"echo":"a \"b\"\u003cnil\u003e"}}}`)
	c.want(`{"type":"complete","id":"q"}`)
	c.send(`{"id":"m \"1\"","type":"subscribe","payload":{"query":"mutation($f: [Upload]){upload(files: $f)}","variables":{"f":[]}}}`)
	c.want(`{"type":"next","id":"m \"1\"","payload":{"data":{"upload":"[]"}}}`)
	c.want(`{"type":"complete","id":"m \"1\""}`)
	c.subscribe("s", `subscription{count(to: 3)}`)
	for i := range 3 {
		c.want(fmt.Sprintf("{\"type\":\"next\",\"id\":\"s\",\"payload\":{\"data\":{\"count\":\n%d}}}", i+1))
	}
	c.want(`{"type":"complete","id":"s"}`)
	c.subscribe("s", `{ok}`) // an ID that is free again
	c.want(`{"type":"next","id":"s","payload":{"data":{"ok":"yes"}}}`)
	c.want(`{"type":"complete","id":"s"}`)
	c.send(`{"type":"ping","payload":{"a":1}}`)
	c.want(`{"type":"pong","payload":{"a":1}}`)
	c.send(`{"type":"pong"}`)
	c.send(`{"type":"complete","id":"unknown"}`)
	for document, code := range map[string]string{
		"{":                        "GRAPHQL_PARSE_FAILED",
		"{nothing}":                invalid,
		"subscription{refused}":    "NOT_FOUND",
		"subscription{ended}":      "NOT_FOUND",
		"subscription{__typename}": invalid,
	} {
		c.subscribe("e", document)
		c.wantError("e", code)
	}
	c.subscribe("p", `{must}`) // has data, though they are null
	c.want(`{"type":"next","id":"p","payload":{"data":null,"errors":[{"message":"it failed","path":["must"],` +
		`"extensions":{"code":"NOT_FOUND"}}]}}`)
	c.want(`{"type":"complete","id":"p"}`)
	c.subscribe("x", `{panic}`)
	c.wantError("x", internal)
}

// TestWebSocketComplete ends an operation in which the client has no interest any more; nothing more is said of it.
func TestWebSocketComplete(t *testing.T) {
	// What was cancelled may hold its part of the gate for a while, which is no more than its message is long.
	b := setup(t, func(o *transport.Options) { o.Gate = transport.NewGate(8, 1000) })
	c := begin(t, b.listen(t))
	for _, document := range []string{`subscription{never}`, `{slow}`} {
		c.subscribe("n", document)
		<-b.fields.entered
		c.send(`{"type":"complete","id":"n"}`)
		c.subscribe("n", `{ok}`)
		c.want(`{"type":"next","id":"n","payload":{"data":{"ok":"yes"}}}`)
		c.want(`{"type":"complete","id":"n"}`)
	}
}

func TestWebSocketCloseCodes(t *testing.T) {
	b := setup(t, func(o *transport.Options) {
		o.Authenticate = func(ctx context.Context, _ http.Header, payload map[string]any) (context.Context, error) {
			if payload["key"] != "right" {
				return ctx, errors.New("secret reason")
			}
			return ctx, nil
		}
		o.Streams = transport.NewStreams(100, time.Hour) // one that was closed may leave later than the next ones come
	})
	url := b.listen(t)
	const start = `{"type":"connection_init","payload":{"key":"right"}}`
	const never = `{"id":"a","type":"subscribe","payload":{"query":"subscription{never}"}}`
	for name, row := range map[string]struct {
		code     int
		messages []string
	}{
		"no JSON":                 {4400, []string{start, `{`}},
		"no object":               {4400, []string{start, `[]`}},
		"no type":                 {4400, []string{start, `{}`}},
		"unknown type":            {4400, []string{start, `{"type":"start"}`}},
		"odd payload":             {4400, []string{`{"type":"connection_init","payload":1}`}},
		"odd ping":                {4400, []string{start, `{"type":"ping","payload":[]}`}},
		"type in capitals":        {4400, []string{start, `{"TYPE":"ping"}`}},
		"complete without id":     {4400, []string{start, `{"type":"complete"}`}},
		"id of a number":          {4400, []string{start, `{"id":1,"type":"complete"}`}},
		"no id":                   {4400, []string{start, `{"type":"subscribe","payload":{"query":"{ok}"}}`}},
		"no query":                {4400, []string{start, `{"id":"a","type":"subscribe","payload":{}}`}},
		"a list":                  {4400, []string{start, `{"id":"a","type":"subscribe","payload":[{"query":"{ok}"}]}`}},
		"invalid UTF-8":           {4400, []string{start, "{\"type\":\"ping\",\"payload\":{\"a\":\"\xff\"}}"}},
		"subscribed before ack":   {4401, []string{`{"id":"a","type":"subscribe","payload":{"query":"{ok}"}}`}},
		"forbidden":               {4403, []string{`{"type":"connection_init","payload":{"key":"wrong"}}`}},
		"forbidden without key":   {4403, []string{`{"type":"connection_init"}`}},
		"the same id":             {4409, []string{start, never, never}},
		"begun twice":             {4429, []string{start, start}},
		"larger than is accepted": {1009, []string{start, `{"type":"ping","payload":{"a":"` + strings.Repeat("x", 6000) + `"}}`}},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, url, websocket.DialOptions{})
			for _, text := range row.messages {
				c.send(text)
			}
			if row.messages[0] == start {
				c.want(`{"type":"connection_ack"}`)
			}
			c.wantClosed(row.code)
		})
	}
	c := dial(t, url, websocket.DialOptions{Subprotocols: []string{"graphql-ws"}})
	c.wantClosed(4406)
	c = dial(t, url, websocket.DialOptions{})
	if err := c.conn.Write(t.Context(), websocket.MessageBinary, []byte(start)); err != nil {
		t.Fatal(err)
	}
	c.wantClosed(4400)
}

// TestWebSocketInitTimeout closes a connection on which nothing is said.
func TestWebSocketInitTimeout(t *testing.T) {
	url := setup(t, func(o *transport.Options) { o.InitTimeout = time.Millisecond }).listen(t)
	dial(t, url, websocket.DialOptions{}).wantClosed(4408)
}

func TestWebSocketOrigin(t *testing.T) {
	b := setup(t, func(o *transport.Options) {
		o.AllowedOrigins, o.Streams = []string{"https://friend.example"}, transport.NewStreams(100, time.Hour)
	})
	url := b.listen(t)
	host := strings.TrimPrefix(url, "http://")
	for origin, status := range map[string]int{
		"":                                   http.StatusSwitchingProtocols,
		url:                                  http.StatusSwitchingProtocols,
		"https://friend.example":             http.StatusSwitchingProtocols,
		"http://friend.example":              http.StatusForbidden,
		"https://foe.example":                http.StatusForbidden,
		"null":                               http.StatusForbidden,
		"http://" + host + ".foe":            http.StatusForbidden,
		"http://foe.example/?http://" + host: http.StatusForbidden,
	} {
		o := websocket.DialOptions{HTTPHeader: http.Header{}}
		if origin != "" {
			o.HTTPHeader.Set("Origin", origin)
		}
		conn, response, err := websocket.Dial(t.Context(), url, &o)
		if response == nil || response.StatusCode != status {
			t.Errorf("%q: %+v %v, want %d", origin, response, err, status)
		}
		if conn != nil {
			_ = conn.CloseNow()
		}
	}
}

// TestWebSocketInAHurry says everything in one packet, with the handshake.
func TestWebSocketInAHurry(t *testing.T) {
	url := setup(t).listen(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(within))
	text := []byte("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n" +
		"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n")
	long := `{"type":"ping","payload":{"a":"` + strings.Repeat("x", 600) + `"}}`
	for _, m := range []string{
		`{"type":"connection_init"}`, `{"type":"ping"}`, long,
		`{"id":"1","type":"subscribe","payload":{"query":"{ok}"}}`,
	} {
		// A masked text frame, of which the mask is zero (RFC 6455, 5.2).
		text = append(text, 0x81, 0x80|126, byte(len(m)>>8), byte(len(m)), 0, 0, 0, 0)
		text = append(text, m...)
	}
	if _, err := conn.Write(text); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for buffer := make([]byte, 4096); !strings.Contains(got.String(), `"complete"`); {
		n, err := conn.Read(buffer)
		got.Write(buffer[:n])
		if err != nil {
			t.Fatalf("%v after %q", err, got.String())
		}
	}
	for _, want := range []string{" 101 ", `"connection_ack"`, `"pong"`, "xxx", `{"ok":"yes"}`} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("%q has no %s", got.String(), want)
		}
	}
}

// TestWebSocketIsAnHTTPRequest that is answered as one where there is no handshake.
func TestWebSocketIsAnHTTPRequest(t *testing.T) {
	b := setup(t)
	r := httptest.NewRequest(http.MethodGet, "/graphql", nil)
	r.Header.Set("Upgrade", "websocket")
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	if w.Code != http.StatusUpgradeRequired || b.streams.Count() != 0 {
		t.Errorf("%d %s, %d open", w.Code, w.Body, b.streams.Count())
	}
}
