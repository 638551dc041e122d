package transport

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// eventStream is an answer as Server-Sent Events, in the distinct connections mode.
// Source: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
type eventStream struct {
	w http.ResponseWriter
	// timeout bounds a write.
	timeout time.Duration
	// cancel ends the subscription, and with a *graph.Error or a *refusal says why; set before anybody else knows of the stream.
	cancel context.CancelCauseFunc
	// stillMay returns the error of a caller who may not have it any more; set as cancel is.
	stillMay func() error

	mu sync.Mutex
	// begun and ended say when the answer can be written to; guarded by mu.
	begun, ended bool
}

// takeEvents makes ready for an answer that is a stream of events, and returns the context that such an operation lives in.
func (x *exchange) takeEvents() context.Context {
	ctx, cancel := context.WithCancelCause(x.r.Context())
	x.events = &eventStream{w: x.w, timeout: x.options.SendTimeout, cancel: cancel}
	x.admit = x.enter
	return ctx
}

// leave ends what takeEvents began, and gives back what the answer took.
func (x *exchange) leave() {
	if x.events != nil {
		x.options.Streams.leave(x.events)
		x.events.cancel(nil)
	}
	x.sent()
}

// once gives one answer.
func once(resp *graphql.Response) func() *graphql.Response {
	return func() *graphql.Response {
		given := resp
		resp = nil
		return given
	}
}

// send sends answer after answer until there are no more, the client has gone, or reads too slowly.
func (s *eventStream) send(more func() *graphql.Response) {
	defer s.finish()
	s.begin()
	// A comment has no meaning; it tells the client that it is heard.
	for heard := s.write([]byte(":\n\n")); heard; {
		resp := more()
		if resp != nil {
			heard = s.write(appendEvent(make([]byte, 0, len(resp.Data)+256), resp))
		}
		if resp == nil || resp.Data == nil {
			// Without data, even if it is empty, browsers do not tell scripts of an event.
			s.write([]byte("event: complete\ndata:\n\n"))
			return
		}
	}
}

// appendEvent appends an answer, all of which must be on one line: JSON has line breaks only where they mean nothing.
func appendEvent(dst []byte, resp *graphql.Response) []byte {
	dst = append(dst, "event: next\ndata: "...)
	start := len(dst)
	dst = appendResponse(dst, resp)
	for _, lineBreak := range []byte("\n\r") {
		for text := dst[start:]; ; {
			i := bytes.IndexByte(text, lineBreak)
			if i < 0 {
				break
			}
			text[i] = ' '
			text = text[i:]
		}
	}
	return append(dst, "\n\n"...)
}

// begin sends the headers, with the next write.
func (s *eventStream) begin() {
	h := s.w.Header()
	h.Set("Content-Type", string(eventStreamType))
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // proxies would collect what is to be seen at once
	h.Add("Vary", "Accept")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.w.WriteHeader(http.StatusOK)
	s.begun = true
}

// write reports whether the text was sent. A client that does not take it in time is given up.
func (s *eventStream) write(text []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.begun || s.ended {
		return false
	}
	conn := http.NewResponseController(s.w)
	// Writers that know no deadlines are those of tests.
	_ = conn.SetWriteDeadline(time.Now().Add(s.timeout))
	_, err := s.w.Write(text)
	if err == nil {
		err = conn.Flush()
	}
	if err != nil {
		s.ended = true
		s.cancel(nil)
	}
	return err == nil
}

// finish lets nothing be written any more: the handler is about to return.
func (s *eventStream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

func (s *eventStream) ping() { s.write([]byte(":\n\n")) }

// end tells the client why, which has no close code to learn it from as that of a WebSocket has.
func (s *eventStream) end() { s.cancel(errShuttingDown) }

func (s *eventStream) abort() { s.end() }
