package main

import (
	"log/slog"
	"net/http"
	"testing"
	"time"
)

// TestAnswersHaveTimeToBeWritten: the time of an answer must not be over before that of the operation.
func TestAnswersHaveTimeToBeWritten(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{
		30 * time.Second: writeTimeout,
		10 * time.Minute: 11 * time.Minute,
	} {
		s := newHTTPServer(t.Context(), http.NotFoundHandler(), timeout, slog.New(slog.DiscardHandler))
		if s.WriteTimeout != want {
			t.Errorf("--timeout %s: %s, want %s", timeout, s.WriteTimeout, want)
		}
	}
}
