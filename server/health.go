package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// readyTimeout bounds the look at the database: a probe wants its answer within seconds.
const readyTimeout = 2 * time.Second

// health is the answer of /healthz and /readyz.
type health struct {
	Status string `json:"status"`
	// Reasons say what is not ready, in words that are fit for everybody; the log has the errors.
	Reasons []string `json:"reasons,omitempty"`
}

// healthz answers that the process is alive.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	writeHealth(w, http.StatusOK, health{Status: "alive"})
}

// readyz answers whether the server can predict: it is not shutting down, the database is reachable and migrated,
// the directory of images is in place, where there is one, and every serving version is READY.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if reasons := s.notReady(r.Context()); len(reasons) > 0 {
		writeHealth(w, http.StatusServiceUnavailable, health{"unavailable", reasons})
		return
	}
	writeHealth(w, http.StatusOK, health{Status: "ready"})
}

func (s *Server) notReady(ctx context.Context) (reasons []string) {
	if s.stopBy.Load() != nil {
		return []string{"the server is shutting down"}
	}
	probe := ctx
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.store.Ready(ctx); err != nil {
		if probe.Err() != nil { // whoever asked has left, which says nothing of the database
			return []string{"the probe has gone"}
		}
		s.logger.LogAttrs(ctx, slog.LevelWarn, "database not ready", slog.Any("error", err))
		reasons = append(reasons, "the database cannot be reached, or has another schema")
	}
	if err := s.store.ImagesInPlace(ctx); err != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "images not ready", slog.Any("error", err))
		reasons = append(reasons, "the directory of images has gone, or is another one")
	}
	if err := s.engine.Ready(); err != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "models not ready", slog.Any("error", err))
		reasons = append(reasons, strings.Split(err.Error(), "\n")...)
	}
	return reasons
}

func writeHealth(w http.ResponseWriter, status int, h health) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(h)
}
