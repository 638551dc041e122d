package main

import (
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"sibyl/server/transport"
)

// TestClosingHasWhatIsLeft of the shutdown timeout when something never closes.
func TestClosingHasWhatIsLeft(t *testing.T) {
	const timeout = 40 * time.Second
	for name, row := range map[string]struct {
		drained bool
		waited  time.Duration // since then
		want    time.Duration
	}{
		"not drained":       {false, 0, timeout},
		"at once":           {true, 0, timeout},
		"after some time":   {true, timeout / 2, timeout / 2},
		"after nearly all":  {true, timeout - time.Second, timeout / closingShare},
		"after the timeout": {true, 2 * timeout, timeout / closingShare},
	} {
		synctest.Test(t, func(t *testing.T) {
			stuck := make(chan struct{})
			defer close(stuck)
			s := &Server{
				config: Config{ShutdownTimeout: timeout}, logger: slog.New(slog.DiscardHandler),
				gate: transport.NewGate(1, 1), streams: transport.NewStreams(1, time.Hour), http: &http.Server{},
				opened: []func() error{func() error { <-stuck; return nil }},
			}
			if row.drained {
				if err := s.drain(); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(row.waited)
			start := time.Now()
			if err := s.closeAll(); err == nil || time.Since(start) != row.want {
				t.Errorf("%s: %v after %s, want %s", name, err, time.Since(start), row.want)
			}
		})
	}
}
