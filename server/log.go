package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"sibyl/graph"
)

// newLogger returns a logger in the given format (`auto`, `text`, `json`) that drops what is below the level.
func newLogger(w io.Writer, format, level string) *slog.Logger {
	var options slog.HandlerOptions
	var least slog.Level
	if least.UnmarshalText([]byte(level)) == nil {
		options.Level = least
	}
	if file, ok := w.(*os.File); format == "text" || format == "auto" && ok && term.IsTerminal(int(file.Fd())) {
		return slog.New(slog.NewTextHandler(w, &options))
	}
	options.ReplaceAttr = spellDuration
	return slog.New(slog.NewJSONHandler(w, &options))
}

// spellDuration writes durations with their unit, which slog's JSON leaves out.
func spellDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// logRequests tells the logger of each request that was answered: of server errors, and of what was refused to those who
// may not have it or ask too often, at level info, of others at debug. Neither bodies nor the URL's parameters are logged:
// they may hold images and what people ask about.
func logRequests(logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		asking := &client{address: r.RemoteAddr}
		r = r.WithContext(context.WithValue(r.Context(), clientKey{}, asking))
		body := &watchedBody{ReadCloser: r.Body}
		r.Body = body
		counter := &countingWriter{ResponseWriter: w, status: http.StatusOK, body: body, request: r}
		next.ServeHTTP(counter, r)
		level := slog.LevelDebug
		switch status := counter.status; {
		case status >= http.StatusInternalServerError, status == http.StatusForbidden, status == http.StatusTooManyRequests:
			level = slog.LevelInfo
		}
		if !logger.Enabled(r.Context(), level) {
			return
		}
		attrs := []slog.Attr{
			slog.String("request_id", graph.RequestID(r.Context())),
			slog.String("method", r.Method),
			slog.String("path", r.URL.Path),
			slog.Int("status", counter.status),
			slog.Duration("duration", time.Since(start)),
			slog.Int64("bytes", counter.bytes),
			slog.String("address", asking.address),
		}
		if name := asking.caller.Load(); name != nil {
			attrs = append(attrs, slog.String("caller", *name))
		}
		logger.LogAttrs(r.Context(), level, "request", attrs...)
	})
}

// client is who sent a request.
type client struct {
	address string                 // as http.Request has it
	caller  atomic.Pointer[string] // the name of the key, which is found below logRequests; nil: none
}

type clientKey struct{}

// clientAddress is where the context's request came from; empty where logRequests has not seen it.
func clientAddress(ctx context.Context) string {
	if c, ok := ctx.Value(clientKey{}).(*client); ok {
		return c.address
	}
	return ""
}

// logCaller tells logRequests the name of who asks.
func logCaller(ctx context.Context, name string) {
	if c, ok := ctx.Value(clientKey{}).(*client); ok {
		c.caller.Store(&name)
	}
}

// statusClientGone is logged in the place of a status that tells why an operation was given up, where that is because its
// client had gone: the server was not at fault, and nobody was told. Other servers log the same number.
const statusClientGone = 499

// errGivenUp is why requests end that the server does not wait for any longer. They have it before their connections are
// closed, which look as if their clients had.
var errGivenUp = errors.New("the server gave up what was in flight")

// countingWriter remembers what was answered.
type countingWriter struct {
	http.ResponseWriter
	status  int
	written bool // the status has been
	bytes   int64

	body    *watchedBody
	request *http.Request // its context ends when the client has gone, its body came too late, or the server gives up
}

// WriteHeader remembers the first status that ends a request: those below 200 only go before it.
func (w *countingWriter) WriteHeader(status int) {
	if !w.written && status >= http.StatusOK {
		w.status, w.written = w.blame(status), true
	}
	w.ResponseWriter.WriteHeader(status)
}

// blame is the status to log: where nobody is left to be told, the one that says why.
func (w *countingWriter) blame(status int) int {
	ctx := w.request.Context()
	stopped := status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
	switch {
	case errors.Is(context.Cause(ctx), errGivenUp) && (stopped || status == http.StatusBadRequest): // half a body
		return http.StatusServiceUnavailable
	case stopped && ctx.Err() != nil && !w.body.late:
		return statusClientGone
	}
	return status
}

// watchedBody remembers whether a body came too late.
type watchedBody struct {
	io.ReadCloser
	late bool
}

// Read reads the body.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.late = b.late || errors.Is(err, os.ErrDeadlineExceeded)
	return n, err
}

// Write counts the bytes.
func (w *countingWriter) Write(p []byte) (int, error) {
	w.written = true
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController find the connection.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
