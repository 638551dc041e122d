package main

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/rs/cors"
)

// preflightAge is how long a browser may remember what it was allowed.
const preflightAge = time.Hour

// allowOrigins lets the pages of other sites ask, and read the answers. There are no cookies here, so that a browser
// sends nothing of its own accord that would let them in: a key they must have themselves.
func allowOrigins(origins []string, next http.Handler) http.Handler {
	if len(origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost},
		AllowedHeaders: []string{
			"Accept", "Authorization", "Content-Type", "X-API-Key", "X-Request-Id", "Range", "Traceparent", "Tracestate",
			"GraphQL-Require-Preflight", "Apollo-Require-Preflight", "X-Apollo-Operation-Name", "X-Apollo-Operation-Id",
		},
		ExposedHeaders: []string{"Content-Range", "Retry-After", "Server-Timing", "X-Request-Id"},
		MaxAge:         int(preflightAge.Seconds()),
	}).Handler(next)
}

// checkOrigins reports the first that is none: a wildcard would let every site in, which nobody needs who can name them.
func checkOrigins(origins []string) error {
	for _, origin := range origins {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Hostname() == "*" ||
			origin != u.Scheme+"://"+u.Host {
			return errors.New("--cors-origins are https://host or http://host, " +
				"with :port where it is another than the scheme's")
		}
	}
	return nil
}
