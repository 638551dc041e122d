package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"sibyl/graph"
)

const (
	requestIDHeader  = "X-Request-Id"
	maxRequestIDSize = 128
)

// identifyRequests gives each request an ID, which is in its answer, in the log, and in internal errors: the one that
// came with it, where it is fit to be logged, or a new one.
func identifyRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestIDHeader)
		if !validRequestID(id) {
			id = rand.Text()
		}
		w.Header().Set(requestIDHeader, id)
		next.ServeHTTP(w, r.WithContext(graph.WithRequestID(r.Context(), id)))
	})
}

// validRequestID accepts letters, digits and `-_.:/+=` : what UUIDs, trace IDs and Base64 are made of.
func validRequestID(id string) bool {
	for _, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '_', c == '.', c == ':', c == '/', c == '+', c == '=':
		default:
			return false
		}
	}
	return id != "" && len(id) <= maxRequestIDSize
}

// recoverPanics answers 500 where a handler panics, and gives the logger the stack. Where the answer has begun already,
// the connection is cut, so that nobody takes half of it for the whole.
func recoverPanics(logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler {
				panic(v)
			}
			logger.LogAttrs(r.Context(), slog.LevelError, "panic",
				slog.String("request_id", graph.RequestID(r.Context())),
				slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			if counter, ok := w.(*countingWriter); ok && counter.written {
				panic(http.ErrAbortHandler)
			}
			http.Error(w, "internal server error", http.StatusInternalServerError)
		}()
		next.ServeHTTP(w, r)
	})
}

// boundBody sets a time by which a request's body must have come: net/http reads what a handler has left of it.
func boundBody(timeout time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(timeout))
		}
		next.ServeHTTP(w, r)
	})
}

// readOnly answers what is neither GET nor HEAD itself.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isRead(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// isRead reports whether a request is GET or HEAD. Else it answers it: OPTIONS is told those two, others are refused.
func isRead(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
	} else {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
	return false
}

// boundTime gives a request's context a deadline.
func boundTime(timeout time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// refuseOtherHosts answers 421 where a request was not sent to localhost or to an IP address. Any other name may be
// that of a site which let it mean this machine after its page was loaded (DNS rebinding): to the browser we are of
// one origin then, and its scripts could read and do everything here.
func refuseOtherHosts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isOwnHost(r.Host) {
			http.Error(w, "This server has no API keys, so it must be asked by localhost or an IP address, not by "+
				"another name. (--insecure allows every name.)", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isOwnHost reports whether a Host header is an IP address, localhost or a name below it, with or without a port.
func isOwnHost(host string) bool {
	name := strings.ToLower((&url.URL{Host: host}).Hostname())
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return strings.HasSuffix("."+strings.TrimSuffix(name, "."), ".localhost")
}

// secure are headers that tell browsers not to guess content types, not to tell other sites what was looked at here, to
// show an answer in no frame and load nothing for it, and to give it to no other site that does not ask by CORS.
var secure = http.Header{
	"Content-Security-Policy":      {"default-src 'none'; frame-ancestors 'none'"},
	"Cross-Origin-Resource-Policy": {"same-origin"},
	"Referrer-Policy":              {"no-referrer"},
	"X-Content-Type-Options":       {"nosniff"},
	"X-Frame-Options":              {"DENY"},
}

// secureHeaders gives every answer the secure headers. What needs more than they allow says so in its own.
func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), secure)
		next.ServeHTTP(w, r)
	})
}
