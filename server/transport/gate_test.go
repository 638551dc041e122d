package transport_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sibyl/graph"
	"sibyl/server/transport"
)

func TestGateRefusesAtOnce(t *testing.T) {
	b := setup(t, func(o *transport.Options) { o.Gate = transport.NewGate(1, 1000) })
	done := make(chan int)
	go func() {
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, query("{stuck}"))
		done <- w.Code
	}()
	<-b.fields.entered
	resp, a := b.do(t, query("{ok}"))
	if resp.StatusCode != 503 || a.code() != "OVERLOADED" || resp.Header.Get("Retry-After") != "1" {
		t.Error(resp.StatusCode, a.code(), resp.Header)
	}
	close(b.fields.release)
	if status := <-done; status != 200 {
		t.Error(status)
	}
	if resp, _ := b.do(t, query("{ok}")); resp.StatusCode != 200 {
		t.Error(resp.StatusCode)
	}
}

// heldBody is a request's body whose end comes when it is told.
type heldBody struct {
	text       io.Reader
	read, goOn chan struct{}
	once       sync.Once
}

func holdBody(r *http.Request) *heldBody {
	b := &heldBody{text: r.Body, read: make(chan struct{}), goOn: make(chan struct{})}
	r.Body = io.NopCloser(b)
	return b
}

func (b *heldBody) Read(p []byte) (int, error) {
	b.once.Do(func() { close(b.read) })
	<-b.goOn
	return b.text.Read(p)
}

// TestBodiesThatDoNotCome take no place from others, but find one when they have come, or are refused, and are waited for.
func TestBodiesThatDoNotCome(t *testing.T) {
	b := setup(t, func(o *transport.Options) { o.Gate = transport.NewGate(1, 10_000) })
	statuses := make(chan int)
	begin := func(r *http.Request) {
		go func() {
			w := httptest.NewRecorder()
			b.handler.ServeHTTP(w, r)
			statuses <- w.Code
		}()
	}
	var bodies []*heldBody
	for range 3 {
		r := query("{ok}")
		bodies = append(bodies, holdBody(r))
		begin(r)
		select {
		case <-bodies[len(bodies)-1].read:
		case status := <-statuses:
			t.Fatalf("kept out by a body that does not come: %d", status)
		}
	}
	if resp, a := b.do(t, query("{ok}")); resp.StatusCode != 200 {
		t.Errorf("beside bodies that do not come: %d %v", resp.StatusCode, a.Errors)
	}
	close(bodies[0].goOn)
	if status := <-statuses; status != 200 {
		t.Errorf("a body that has come: %d", status)
	}
	begin(query("{stuck}"))
	<-b.fields.entered
	close(bodies[1].goOn)
	if status := <-statuses; status != 503 {
		t.Errorf("a body that has come when there is no place: %d", status)
	}
	close(b.fields.release)
	if status := <-statuses; status != 200 {
		t.Errorf("the operation that had the place: %d", status)
	}
	b.gate.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if operations, _ := b.gate.InFlight(); operations != 1 || b.gate.Wait(ended) == nil {
		t.Errorf("%d in flight, which a closed gate does not wait for", operations)
	}
	close(bodies[2].goOn)
	if status := <-statuses; status != 200 {
		t.Errorf("one that was inside when the gate was closed: %d", status)
	}
	if err := b.gate.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAnnouncedBodies: what is announced and does not come takes little of the budget, and no memory beside it.
func TestAnnouncedBodies(t *testing.T) {
	const announced, most = 2 << 20, 64<<10 + 1
	b := setup(t, func(o *transport.Options) {
		o.Gate, o.MaxDocumentBytes = transport.NewGate(1, 2*announced), announced
	})
	statuses := make(chan int)
	var bodies []*heldBody
	for range 8 {
		r := query("{ok}")
		r.ContentLength = announced
		body := holdBody(r)
		bodies = append(bodies, body)
		go func() {
			w := httptest.NewRecorder()
			b.handler.ServeHTTP(w, r)
			statuses <- w.Code
		}()
		<-body.read
	}
	if _, bytes := b.gate.InFlight(); bytes != int64(len(bodies)*most) {
		t.Errorf("%d bytes in flight, want %d", bytes, len(bodies)*most)
	}
	large := query("{ok # " + strings.Repeat("x", announced/2) + "\n}")
	if resp, a := b.do(t, large); resp.StatusCode != 200 {
		t.Errorf("one that comes beside them: %d %v", resp.StatusCode, a.Errors)
	}
	for _, body := range bodies {
		close(body.goOn)
		if status := <-statuses; status != 200 { // a real body ends with an error where it is short
			t.Errorf("%d", status)
		}
	}
	if _, bytes := b.gate.InFlight(); bytes != 0 {
		t.Errorf("%d bytes were not given back", bytes)
	}
}

func TestGateBoundsBytes(t *testing.T) {
	content := strings.Repeat("x", 2000)
	parts := []part{field("operations", oneFile), field("map", `{}`), file("a", content)}
	small := func(o *transport.Options) { o.Gate = transport.NewGate(8, 2000) }
	for name, length := range map[string]int64{"length known": 0, "chunked": -1} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, small)
			r := form(t, parts...)
			r.ContentLength += length * (r.ContentLength + 1)
			if resp, a := b.do(t, r); resp.StatusCode != 503 || a.code() != "OVERLOADED" {
				t.Error(resp.StatusCode, a.Errors)
			}
		})
	}
	t.Run("given back", func(t *testing.T) {
		b := setup(t, func(o *transport.Options) { o.Gate = transport.NewGate(8, 70_000) })
		for range 10 {
			if resp, a := b.do(t, form(t, parts...)); resp.StatusCode != 200 {
				t.Fatal(resp.StatusCode, a.Errors)
			}
		}
	})
}

func TestGateCloses(t *testing.T) {
	b := setup(t)
	done := make(chan int)
	go func() {
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, query("{stuck}"))
		done <- w.Code
	}()
	<-b.fields.entered
	b.gate.Close()
	b.gate.Close()
	if resp, a := b.do(t, query("{ok}")); resp.StatusCode != 503 || a.code() != "OVERLOADED" {
		t.Error(resp.StatusCode, a.code())
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.gate.Wait(ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(b.fields.release)
	if err := b.gate.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if status := <-done; status != 200 {
		t.Error(status)
	}
}

func TestIdleGateCloses(t *testing.T) {
	gate := transport.NewGate(1, 1)
	gate.Close()
	if err := gate.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resp, a := setup(t).do(t, query("{slow}"))
		if resp.StatusCode != 504 || a.code() != "DEADLINE_EXCEEDED" {
			t.Error(resp.StatusCode, a.code())
		}
	})
}

// TestStuckOperation is answered after its deadline, and still has its place in the gate.
func TestStuckOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(o *transport.Options) { o.Gate = transport.NewGate(1, 1000) })
		start := time.Now()
		resp, a := b.do(t, query("{stuck}"))
		if resp.StatusCode != 504 || a.code() != "DEADLINE_EXCEEDED" || time.Since(start) != limits.Timeout+6*time.Second {
			t.Error(resp.StatusCode, a.code(), time.Since(start))
		}
		if resp, _ := b.do(t, query("{ok}")); resp.StatusCode != 503 {
			t.Error(resp.StatusCode)
		}
		close(b.fields.release)
		synctest.Wait()
		if resp, _ := b.do(t, query("{ok}")); resp.StatusCode != 200 {
			t.Error(resp.StatusCode)
		}
	})
}

// TestClientGoesAway: its operation ends, and is not seen as one that took too long.
func TestClientGoesAway(t *testing.T) {
	var seen graph.Code
	b := setup(t, func(o *transport.Options) {
		o.Observe = func(o transport.Observation) { seen = o.Code }
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-b.fields.entered
		cancel()
	}()
	b.do(t, query("{slow}").WithContext(ctx)) // returns because the operation's context has ended
	if seen != transport.Cancelled {
		t.Errorf("seen as %q", seen)
	}
}

// slowBody is a connection whose deadline passes before the body has come.
type slowBody struct{}

func (slowBody) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

func TestSlowBody(t *testing.T) {
	for name, r := range map[string]*http.Request{"json": query("{ok}"), "multipart": form(t)} {
		r.Body = io.NopCloser(slowBody{})
		resp, a := setup(t).do(t, r)
		if resp.StatusCode != 504 || a.code() != "DEADLINE_EXCEEDED" || !strings.Contains(a.Errors[0].Message, "body") {
			t.Errorf("%s: %d %v", name, resp.StatusCode, a.Errors)
		}
	}
}

// TestReadDeadline goes over a real connection: a body that never ends is answered, and so is a request after it.
func TestReadDeadline(t *testing.T) {
	server := httptest.NewServer(setup(t, func(o *transport.Options) { o.Timeout = 50 * time.Millisecond }).handler)
	defer server.Close()
	body, never := io.Pipe()
	defer never.Close()
	for _, mediaType := range []string{"application/json", "multipart/form-data; boundary=b"} {
		r, _ := http.NewRequest(http.MethodPost, server.URL, body)
		r.Header.Set("Content-Type", mediaType)
		r.Header.Set("Apollo-Require-Preflight", "1")
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 504 || !resp.Close {
			t.Errorf("%s: %d, closes: %t", mediaType, resp.StatusCode, resp.Close)
		}
	}
}

func TestReserve(t *testing.T) {
	b := setup(t, func(o *transport.Options) { o.Gate = transport.NewGate(1, 100) })
	release, err := b.gate.Reserve(60)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.gate.Reserve(41); err == nil {
		t.Error("more than there is was reserved")
	}
	if resp, _ := b.do(t, query("{ok # "+strings.Repeat("x", 40)+"\n}")); resp.StatusCode != 503 {
		t.Errorf("an operation had room: %d", resp.StatusCode)
	}
	release()
	if release, err = b.gate.Reserve(101); err != nil {
		t.Errorf("one that is larger than all, alone: %v", err)
	}
	b.gate.Close()
	if err := b.gate.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	release()
	if _, err := b.gate.Reserve(1); err == nil {
		t.Error("reserved in a closed gate")
	}
}
