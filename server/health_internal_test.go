package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"sibyl/persistence"
	"sibyl/persistence/persistencetest"
)

// TestProbeThatLeaves: who does not wait for the answer is no reason to warn of the database.
func TestProbeThatLeaves(t *testing.T) {
	store, err := persistence.Open(t.Context(), persistencetest.Migrated(t), persistence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var log bytes.Buffer
	s := &Server{store: store, logger: slog.New(slog.NewTextHandler(&log, nil))}
	gone, leave := context.WithCancel(t.Context())
	leave()
	answer := httptest.NewRecorder()
	s.readyz(answer, httptest.NewRequestWithContext(gone, http.MethodGet, "/readyz", nil))
	if answer.Code != http.StatusServiceUnavailable || log.Len() > 0 {
		t.Errorf("%d, and the log says %q", answer.Code, &log)
	}
}
