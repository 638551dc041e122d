package transport_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sibyl/server/transport"
)

// writeHook is a ResponseWriter that says when something is written.
type writeHook struct {
	http.ResponseWriter
	written func()
}

func (w writeHook) Write(p []byte) (int, error) {
	w.written()
	return w.ResponseWriter.Write(p)
}

// TestAnswersTakeMemory until they have been sent, and are refused where there is none.
func TestAnswersTakeMemory(t *testing.T) {
	var failures strings.Builder
	for i := range 200 {
		fmt.Fprintf(&failures, "a%d: fail ", i)
	}
	for name, row := range map[string]struct {
		document string
		least    int64
		status   int
		code     string
	}{
		"a short answer":       {`{long(bytes: 100)}`, 0, 200, ""},
		"a long answer":        {`{long(bytes: 200000)}`, 200_000, 200, ""},
		"its resolver has":     {`{long(bytes: 200000, take: 190000)}`, 190_000, 200, ""},
		"several have":         {`{a: long(bytes: 1, take: 90000) b: long(bytes: 1, take: 90000)}`, 180_000, 200, ""},
		"its errors":           {"{" + failures.String() + "}", 200 * 512, 200, "NOT_FOUND"},
		"too long a one":       {`{long(bytes: 400000)}`, 0, 503, "OVERLOADED"},
		"too much for one":     {`{long(bytes: 1, take: 400000)}`, 0, 503, "OVERLOADED"},
		"too much for another": {`{a: long(bytes: 1, take: 200000) b: long(bytes: 1, take: 200000)}`, 200_000, 200, "OVERLOADED"},
		"one of a mutation":    {`mutation{long(bytes: 400000)}`, 290_000, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, func(o *transport.Options) {
				o.Answers, o.MaxDocumentBytes = transport.NewGate(0, 300_000), 10_000
			})
			handler, held := b.handler, int64(0)
			b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				handler.ServeHTTP(writeHook{w, func() { _, held = b.answers.InFlight() }}, r)
			})
			resp, a := b.do(t, query(row.document))
			if resp.StatusCode != row.status || a.code() != row.code {
				t.Error(resp.StatusCode, a.Errors)
			}
			if held < row.least || held > max(2*row.least, 1000) {
				t.Errorf("%d bytes were held while it was sent", held)
			}
			if _, left := b.answers.InFlight(); left != 0 {
				t.Errorf("%d bytes were not given back", left)
			}
		})
	}
}

// TestStreamsTakeMemory for each message until it has been sent.
func TestStreamsTakeMemory(t *testing.T) {
	b := setup(t)
	url := b.listen(t)
	inFlight := func(wanted int64) func() bool {
		return func() bool { _, bytes := b.answers.InFlight(); return bytes/1000 == wanted/1000 }
	}
	c := begin(t, url)
	c.subscribe("f", `subscription{flood(bytes: 200000, take: 150000)}`)
	eventually(t, "one message is held", inFlight(200_000))
	response, err := openUnread(t, url, "subscription{flood(bytes: 300000, take: 0)}")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a message of each is held", inFlight(500_000))
	_ = response.Body.Close()
	eventually(t, "one is held", inFlight(200_000))
	_ = c.conn.CloseNow()
	eventually(t, "nothing is held", inFlight(0))
	c = begin(t, url)
	for range 10 {
		c.subscribe("l", `{long(bytes: 400000, take: 400000)}`)
		c.want(`{"type":"next","id":"l","payload":{"data":{"long":"` + strings.Repeat("x", 400_000) + `"}}}`)
		c.want(`{"type":"complete","id":"l"}`)
	}
	eventually(t, "nothing is held", inFlight(0))
}

// TestMessagesTakeMemory while they come, unless they are short.
func TestMessagesTakeMemory(t *testing.T) {
	b := setup(t, func(o *transport.Options) {
		o.Gate, o.MaxDocumentBytes = transport.NewGate(8, 200_000), 1<<20
	})
	c := begin(t, b.listen(t))
	long := `{"type":"ping","payload":{"a":"` + strings.Repeat("x", 100_000) + `"}}`
	c.send(long)
	if text, err := c.receive(); err != nil || len(text) != len(long) {
		t.Fatalf("%d bytes, %v", len(text), err)
	}
	eventually(t, "nothing is held", func() bool { _, bytes := b.gate.InFlight(); return bytes == 0 })
	release, err := b.gate.Reserve(200_000)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	c.subscribe("q", `{ok}`)
	c.wantError("q", "OVERLOADED")
	c.send(long)
	c.wantClosed(1013)
}

// TestMessagesComeInTime, or the connection ends.
func TestMessagesComeInTime(t *testing.T) {
	b := setup(t, func(o *transport.Options) { o.Timeout = 50 * time.Millisecond })
	c := begin(t, b.listen(t))
	w, err := c.conn.Writer(t.Context(), websocket.MessageText)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(`{"type":"ping",` + strings.Repeat(" ", 5000))); err != nil {
		t.Fatal(err)
	}
	if _, err := c.receive(); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("half a message was waited for: %v", err)
	}
	awaitNone(t, b)
}

// TestStrangersTakeNoPlaces of those who have begun the protocol, and the newest can always come.
func TestStrangersTakeNoPlaces(t *testing.T) {
	b := setup(t, func(o *transport.Options) { o.Streams = transport.NewStreams(1, time.Hour) })
	url := b.listen(t)
	oldest := dial(t, url, websocket.DialOptions{})
	stranger := dial(t, url, websocket.DialOptions{})
	if _, err := oldest.receive(); err == nil {
		t.Error("the oldest of too many is there still")
	}
	response, events := openEvents(t, url, "subscription{never}")
	<-b.fields.entered
	if _, refused, err := websocket.Dial(t.Context(), url, nil); err == nil || refused.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one that comes when all places are taken: %v", err)
	}
	stranger.send(`{"type":"connection_init"}`)
	stranger.wantClosed(1013)
	_ = response.Body.Close()
	for range events {
	}
	awaitNone(t, b)
	begin(t, url).subscribe("n", "subscription{never}")
	<-b.fields.entered
}

// TestStrangersAreHeardBriefly: until it is known who they are their messages must be short.
func TestStrangersAreHeardBriefly(t *testing.T) {
	b := setup(t, func(o *transport.Options) { o.MaxDocumentBytes = 1 << 20 })
	c := dial(t, b.listen(t), websocket.DialOptions{})
	c.send(`{"type":"connection_init","payload":{"key":"` + strings.Repeat("x", 20_000) + `"}}`)
	c.wantClosed(1009)
}

// handshake opens a WebSocket of which each byte can be written.
func handshake(t *testing.T, url string) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"+
		"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	return conn
}

// The kinds of frames.
const (
	textFrame   = 1
	binaryFrame = 2
)

// frame is the beginning of a frame of so many bytes.
func frame(kind byte, length int, beginning string) []byte {
	text := binary.BigEndian.AppendUint64([]byte{0x80 | kind, 0x80 | 127}, uint64(length))
	return append(append(text, 0, 0, 0, 0), beginning...)
}

// TestHalfFrames hold no connection open that is being closed.
func TestHalfFrames(t *testing.T) {
	b := setup(t, func(o *transport.Options) {
		o.Gate, o.MaxDocumentBytes = transport.NewGate(8, 100_000), 1<<20
		o.Streams = transport.NewStreams(1, time.Hour)
	})
	url := b.listen(t)
	stranger := handshake(t, url)
	_, _ = stranger.Write(frame(binaryFrame, 1, ""))
	known := handshake(t, url)
	if _, err := io.Copy(io.Discard, stranger); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Log(err) // it was reset
	}
	const begin = `{"type":"connection_init"}`
	_, _ = known.Write(append(frame(textFrame, len(begin), begin), frame(textFrame, 1<<20, strings.Repeat(" ", 300_000))...))
	awaitNone(t, b)
}

// TestStrangersThatAreNotThereYet: one that is ended while it shakes hands does not stay.
func TestStrangersThatAreNotThereYet(t *testing.T) {
	b := setup(t, func(o *transport.Options) { o.Streams = transport.NewStreams(1, time.Hour) })
	handler, slow, goOn := b.handler, make(chan struct{}, 1), make(chan struct{})
	slow <- struct{}{}
	b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(hijackHook{w, func() {
			select {
			case <-slow:
				<-goOn
			default:
			}
		}}, r)
	})
	url := b.listen(t)
	closed := make(chan error, 1)
	go func() {
		conn, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
		if err == nil {
			_, _, err = conn.Read(t.Context())
			_ = conn.CloseNow()
		}
		closed <- err
	}()
	eventually(t, "one has come", func() bool { return b.streams.Count() == 1 })
	eventually(t, "it is being taken over", func() bool { return len(slow) == 0 })
	newest := dial(t, url, websocket.DialOptions{})
	close(goOn)
	if err := <-closed; err == nil {
		t.Error("it stays")
	}
	newest.send(`{"type":"connection_init"}`)
	newest.want(`{"type":"connection_ack"}`)
}

// TestSlowReadersKeepNobodyOut: an operation that has run takes no place.
func TestSlowReadersKeepNobodyOut(t *testing.T) {
	for _, accept := range []string{"application/json", "text/event-stream"} {
		b := setup(t, func(o *transport.Options) {
			o.Gate, o.Answers = transport.NewGate(1, 100_000), transport.NewGate(0, 1<<30)
		})
		url := b.listen(t)
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(conn, "GET /?query={long(bytes:30000000)} HTTP/1.1\r\nHost: test\r\nAccept: %s\r\n\r\n", accept)
		eventually(t, accept+": the answer is being sent, and has left the gate", func() bool {
			operations, _ := b.gate.InFlight()
			_, bytes := b.answers.InFlight()
			return bytes > 30_000_000 && operations == 0
		})
		_ = conn.Close()
		eventually(t, "nothing is held", func() bool { _, bytes := b.answers.InFlight(); return bytes == 0 })
	}
}
