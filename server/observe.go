package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"sibyl/persistence"
	"sibyl/server/tracing"
	"sibyl/server/transport"
)

// stored tells everybody who wants to know of a prediction that was stored.
func (s *Server) stored(ctx context.Context, p *persistence.Prediction, commit time.Duration) {
	s.metrics.Prediction(p, commit)
	s.tracing.Prediction(ctx, p, commit)
	timing := transport.ServerTimingOf(ctx)
	for stage, took := range p.Stages() {
		timing.Add(stage, took)
	}
	timing.Add("commit", commit)
}

// openTracing comes before all that makes spans; what they made is sent when they have closed.
func (s *Server) openTracing(ctx context.Context) (err error) {
	if s.tracing, err = tracing.Open(ctx, s.config.OTLPEndpoint); err != nil {
		return fmt.Errorf("--otlp-endpoint: %w", err)
	}
	s.opened = append(s.opened, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), s.closingTime())
		defer cancel()
		if err := s.tracing.Close(ctx); err != nil {
			s.logger.WarnContext(ctx, "traces were lost", "error", err)
		}
		return nil
	})
	return nil
}

// openDebug serves pprof, where it is asked for, apart from everything else.
func (s *Server) openDebug(ctx context.Context) error {
	if s.config.DebugAddress == "" {
		return nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.config.DebugAddress)
	if err != nil {
		return fmt.Errorf("--debug-address: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	debug := &http.Server{Handler: refuseOtherHosts(mux), ReadHeaderTimeout: readHeaderTimeout}
	go func() {
		if err := debug.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.logger.Error("pprof", "error", err)
		}
	}()
	s.logger.InfoContext(ctx, "pprof", "url", "http://"+listener.Addr().String()+"/debug/pprof/")
	s.opened = append(s.opened, debug.Close)
	return nil
}
