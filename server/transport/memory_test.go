package transport_test

import (
	"context"
	"errors"
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
		"too long a one":       {`{long(bytes: 400000)}`, 0, 503, "OVERLOADED"},
		"too much for one":     {`{long(bytes: 1, take: 400000)}`, 0, 503, "OVERLOADED"},
		"too much for another": {`{a: long(bytes: 1, take: 200000) b: long(bytes: 1, take: 200000)}`, 200_000, 200, "OVERLOADED"},
		"one of a mutation":    {`mutation{long(bytes: 400000)}`, 290_000, 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, func(o *transport.Options) { o.Answers = transport.NewGate(0, 300_000) })
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
		return func() bool { _, bytes := b.answers.InFlight(); return bytes == wanted }
	}
	c := begin(t, url)
	c.subscribe("f", `subscription{flood(bytes: 200000)}`)
	eventually(t, "one message is held", inFlight(200_000))
	response, err := openUnread(t, url, "subscription{flood(bytes: 300000)}")
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
