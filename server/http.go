package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"sibyl/graph"
)

const (
	// keepAlive is how often something is sent to subscribers: proxies take what is silent for a minute for dead.
	keepAlive = 20 * time.Second
	// initTimeout is how long a client may take to begin the protocol on a WebSocket.
	initTimeout = 10 * time.Second
	// sendTimeout is how long a subscriber may take to read a message.
	sendTimeout = 10 * time.Second
	// readHeaderTimeout and idleTimeout bound the time a connection may say nothing; the body has the operation's.
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	// writeTimeout bounds the time from a request's headers to the last byte of its answer: enough for a file of the
	// largest size at 64 kB a second, and an end for clients that do not read. Where an operation may take that long,
	// there is answerTimeout after it.
	writeTimeout  = 5 * time.Minute
	answerTimeout = time.Minute
	// maxHeaderBytes bounds the headers of a request, and with them the URL of a query by GET.
	maxHeaderBytes = 64 << 10
)

// handler has all that HTTP answers, and the order in which a request goes through the middleware. Exports end with
// exporting.
func (s *Server) handler(exporting context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/graphql", s.graphQL())
	mux.Handle("/images/{id}", readOnly(s.access.guard(graph.RoleReader, boundTime(longestAnswer(s.config.Timeout),
		images{s.store, s.gate, s.logger, s.config.Timeout}))))
	mux.Handle("/export", s.access.guardLasting(graph.RoleReader, newExports(exporting, s.store, s.gate, s.logger)))
	mux.Handle("/healthz", readOnly(http.HandlerFunc(s.healthz)))
	mux.Handle("/readyz", readOnly(http.HandlerFunc(s.readyz)))
	mux.Handle("/metrics", readOnly(s.access.guard(graph.RoleReader, s.metrics.Handler())))
	playground := s.config.Playground && !s.config.Production
	mux.Handle("/", pageHandler(playground))
	if playground {
		h := playgroundHandler(findPlayground())
		mux.Handle("/playground", readOnly(h))
		mux.Handle("/playground/", readOnly(h))
	}

	h := allowOrigins(s.config.CORSOrigins, mux)
	if s.config.open() {
		h = refuseOtherHosts(h)
	}
	h = s.tracing.Middleware(isWork, h)
	h = secureHeaders(h)
	if s.tls != nil {
		h = stayWithTLS(h)
	}
	h = boundBody(s.config.Timeout, h)
	h = recoverPanics(s.logger, h)
	h = logRequests(s.logger, h)
	h = identifyRequests(h)
	return h
}

// isWork reports whether a request is worth a trace: those who look after the server ask every few seconds.
func isWork(r *http.Request) bool {
	switch r.URL.Path {
	case "/healthz", "/readyz", "/metrics":
		return false
	}
	return true
}

// longestAnswer is the time from a request's headers to the last byte of its answer.
func longestAnswer(timeout time.Duration) time.Duration {
	return max(writeTimeout, timeout+answerTimeout)
}

// newHTTPServer returns a server for the handler whose requests live in base. Operations may take as long as timeout.
func newHTTPServer(base context.Context, h http.Handler, timeout time.Duration, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		WriteTimeout:      longestAnswer(timeout),
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return base },
		// What clients do wrong below HTTP, such as a broken TLS handshake.
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
