package transport_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sibyl/server/transport"
)

// TestStreamsAreBounded in number, and the operations of each.
func TestStreamsAreBounded(t *testing.T) {
	b := setup(t, func(o *transport.Options) { o.Streams = transport.NewStreams(1, time.Hour) })
	b.fields.entered = make(chan struct{}, 1000)
	url := b.listen(t)
	c := begin(t, url)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"?query=subscription{never}", nil)
	r.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a second stream: %s", response.Status)
	}
	_, response, err = websocket.Dial(t.Context(), url, nil)
	if err == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a second WebSocket: %v", err)
	}
	const most = 128
	for i := range most {
		c.subscribe(fmt.Sprint(i), `subscription{never}`)
		select {
		case <-b.fields.entered:
		case <-time.After(within):
			t.Fatal("it has not begun")
		}
	}
	c.subscribe("more", `subscription{never}`)
	c.wantError("more", "OVERLOADED")
}

// TestGateHoldsForWebSockets: they take places while they run, and subscriptions none.
func TestGateHoldsForWebSockets(t *testing.T) {
	b := setup(t, func(o *transport.Options) { o.Gate = transport.NewGate(1, 1000) })
	c := begin(t, b.listen(t))
	c.subscribe("never", `subscription{never}`)
	<-b.fields.entered
	eventually(t, "a subscription that has begun leaves the gate", func() bool {
		operations, _ := b.gate.InFlight()
		return operations == 0
	})
	c.subscribe("slow", `{stuck}`)
	<-b.fields.entered
	c.subscribe("more", `{ok}`)
	c.wantError("more", "OVERLOADED")
	close(b.fields.release)
	c.want(`{"type":"next","id":"slow","payload":{"data":{"stuck":"late"}}}`)
	c.want(`{"type":"complete","id":"slow"}`)
}

// TestStreamsEndInOrder completes subscriptions, waits for what runs, and says why it ends.
func TestStreamsEndInOrder(t *testing.T) {
	b := setup(t)
	url := b.listen(t)
	c := begin(t, url)
	c.subscribe("s", `subscription{never}`)
	<-b.fields.entered
	c.subscribe("q", `{stuck}`)
	<-b.fields.entered
	_, events := openEvents(t, url, "subscription{never}")
	<-b.fields.entered
	b.gate.Close()
	b.streams.Close()
	c.want(`{"type":"complete","id":"s"}`)
	if got := <-events; !strings.HasPrefix(got, "event: next\n") || !strings.Contains(got, `"code":"OVERLOADED"`) ||
		!strings.Contains(got, "shutting down") {
		t.Errorf("the event stream: %q", got)
	}
	if got := <-events; got != "event: complete\ndata:" {
		t.Errorf("the event stream: %q", got)
	}
	c.subscribe("late", `{ok}`)
	c.wantError("late", "OVERLOADED")
	close(b.fields.release)
	c.want(`{"type":"next","id":"q","payload":{"data":{"stuck":"late"}}}`)
	c.want(`{"type":"complete","id":"q"}`)
	c.wantClosed(1001)
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := b.streams.Wait(ctx); err != nil {
		t.Error(err)
	}
	if _, _, err := websocket.Dial(t.Context(), url, nil); err == nil {
		t.Error("another one was opened")
	}
}

// hijackHook is a ResponseWriter that says when its connection is taken over.
type hijackHook struct {
	http.ResponseWriter
	hijacked func()
}

func (w hijackHook) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.hijacked()
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// TestStreamsEndInTheHandshake: a connection that has been let in, and is no WebSocket yet, is closed as others are.
func TestStreamsEndInTheHandshake(t *testing.T) {
	b := setup(t)
	handler := b.handler
	b.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(hijackHook{w, func() {
			b.streams.Close()
			time.Sleep(10 * time.Millisecond) // it is told to end by another goroutine
		}}, r)
	})
	c := dial(t, b.listen(t), websocket.DialOptions{})
	c.wantClosed(1001)
}

// TestSlowReaderIsCutOff alone: the messages that it does not read are nobody else's delay.
func TestSlowReaderIsCutOff(t *testing.T) {
	b := setup(t, func(o *transport.Options) { o.SendTimeout = time.Second })
	url := b.listen(t)
	slow, fast := begin(t, url), begin(t, url)
	slow.subscribe("f", `subscription{flood(bytes: 100000, take: 100000)}`)
	_, _ = openUnread(t, url, "subscription{flood(bytes: 100000, take: 100000)}")
	fast.subscribe("c", `subscription{count(to: 1)}`)
	fast.want("{\"type\":\"next\",\"id\":\"c\",\"payload\":{\"data\":{\"count\":\n1}}}")
	fast.want(`{"type":"complete","id":"c"}`)
	eventually(t, "one stream is open", func() bool { return b.streams.Count() == 1 })
	fast.subscribe("q", `{ok}`)
	fast.want(`{"type":"next","id":"q","payload":{"data":{"ok":"yes"}}}`)
}

// TestPings find out who has gone without a word, and are answered by those who are there.
func TestPings(t *testing.T) {
	b := setup(t, func(o *transport.Options) {
		o.SendTimeout, o.Streams = within, transport.NewStreams(4, time.Millisecond)
	})
	url := b.listen(t)
	pinged := make(chan struct{}, 1000)
	c := dial(t, url, websocket.DialOptions{OnPingReceived: func(context.Context, []byte) bool {
		select {
		case pinged <- struct{}{}:
		default:
		}
		return true
	}})
	c.send(`{"type":"connection_init"}`)
	c.want(`{"type":"connection_ack"}`)
	c.subscribe("n", `subscription{never}`)
	go func() { _, _ = c.receive() }()
	_, events := openEvents(t, url, "subscription{never}")
	for range 3 {
		<-pinged
		if got := <-events; got != ":" {
			t.Errorf("got %q", got)
		}
	}
}

// TestIdleSubscribersAreSmall: what a connection with a subscription holds on the heap and in stacks.
func TestIdleSubscribersAreSmall(t *testing.T) {
	const clients, most = 200, 50_000
	b := setup(t, func(o *transport.Options) { o.Streams = transport.NewStreams(clients, time.Hour) })
	b.fields.entered = make(chan struct{}, clients)
	url := b.listen(t)
	before := used()
	for range clients {
		c := begin(t, url)
		c.subscribe("n", `subscription{never}`)
		<-b.fields.entered
	}
	// The other end is in this process, too.
	if each := (used() - before) / clients; each > 2*most {
		t.Errorf("%d bytes for each", each)
	}
}

// used is what the heap and the stacks take.
func used() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
