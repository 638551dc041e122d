package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sibyl/graph"
	"sibyl/inference"
	"sibyl/persistence"
	"sibyl/server/keys"
	"sibyl/server/metrics"
	"sibyl/server/tracing"
	"sibyl/server/transport"
)

// closingShare is the part of the shutdown timeout that is kept for closing what is open, however long operations take.
const closingShare = 4

// Server is the whole service: the database, the models, and HTTP in front of both.
type Server struct {
	config    Config
	logger    *slog.Logger
	listener  net.Listener
	database  database
	store     *persistence.Store
	engine    *inference.Engine
	resolver  *graph.Resolver
	gate      *transport.Gate
	streams   *transport.Streams
	documents *transport.Documents
	access    access
	tls       *tls.Config // nil: no TLS
	metrics   *metrics.Metrics
	tracing   *tracing.Tracing
	http      *http.Server
	// abort ends what http has in flight.
	abort context.CancelCauseFunc
	// stopBy is when all must have ended; nil until the server is told to stop: it is not ready from then on.
	stopBy atomic.Pointer[time.Time]
	// opened are what close what New opened, in its order.
	opened []func() error
	close  func() error
}

// New opens everything, in order: the address, certificate and keys, trusted documents, the database, its schema, jobs,
// the models, HTTP. It returns the first error, with all closed again. The caller must Close the Server.
func New(ctx context.Context, c Config, logger *slog.Logger) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Server{
		config: c, logger: logger, gate: transport.NewGate(c.MaxInFlight, int64(c.MaxInFlightBytes)),
		streams: transport.NewStreams(c.MaxStreams, keepAlive),
	}
	s.close = sync.OnceValue(s.closeAll)
	for _, open := range []func(context.Context) error{
		s.listen, s.openTLS, s.openKeys, s.openDocuments, s.openTracing,
		s.openDatabase, s.startJobs, s.openEngine, s.openHTTP, s.openDebug,
	} {
		if err := open(ctx); err != nil {
			if closeErr := s.Close(); closeErr != nil {
				logger.ErrorContext(ctx, "close", "error", closeErr)
			}
			return nil, err
		}
	}
	return s, nil
}

// URL is where the server listens.
func (s *Server) URL() string {
	scheme := "http://"
	if s.tls != nil {
		scheme = "https://"
	}
	return scheme + s.listener.Addr().String()
}

// listen comes first: an address that is taken is told before a database is made.
func (s *Server) listen(ctx context.Context) (err error) {
	var config net.ListenConfig
	if s.listener, err = config.Listen(ctx, "tcp", s.config.Address); err != nil {
		return fmt.Errorf("--address: %w", err)
	}
	s.opened = append(s.opened, func() error {
		if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

func (s *Server) openKeys(context.Context) error {
	s.access.limit, s.access.logger = newRateLimit(s.config.RateLimit, s.config.RateBurst), s.logger
	if s.config.APIKeys == "" {
		return nil
	}
	ring, err := keys.Open(s.config.APIKeys, s.logger, func() {
		s.access.lasting.run()
		s.streams.Recheck()
	})
	if err != nil {
		return fmt.Errorf("--api-keys: %w", err)
	}
	s.access.ring = ring
	s.opened = append(s.opened, func() error { ring.Close(); return nil })
	return nil
}

func (s *Server) openDatabase(ctx context.Context) (err error) {
	if s.database, err = s.config.start(ctx, s.logger); err != nil {
		return err
	}
	s.opened = append(s.opened, s.database.close)
	s.store, err = persistence.Open(ctx, s.database.url, persistence.Options{
		MaxConnections: s.config.MaxConnections, Images: string(s.config.Images), Logger: s.logger,
		StatementTimeout: s.config.StatementTimeout, Tracer: s.tracing.Statements(),
		ListenURL: s.database.direct, RecordTimeout: max(s.config.Timeout, graph.ShadowTimeout),
		RecordBytes: int64(s.config.MaxRequestBytes),
	})
	if err != nil {
		return imagesError(err)
	}
	s.opened = append(s.opened, func() error { s.store.Close(); return nil })
	if err := persistence.MigrateUp(ctx, s.database.direct); err != nil {
		return err
	}
	return imagesError(s.store.ClaimImages(ctx))
}

// imagesError names the flag of what is wrong with the image store.
func imagesError(err error) error {
	if errors.Is(err, persistence.ErrImagesUnavailable) || errors.Is(err, persistence.ErrOtherImages) {
		return fmt.Errorf("--images: %w", err)
	}
	return err
}

func (s *Server) openEngine(ctx context.Context) (err error) {
	o := s.config.options()
	o.Libvips = s.config.Libvips
	o.DefaultModel, o.MaxPixels, o.MaxOutputValues = s.config.DefaultModel, s.config.MaxPixels, s.config.MaxOutputValues
	o.Admit, o.Watch, o.Logger = graph.Admit(s.store, s.logger), true, s.logger
	s.engine, err = inference.Open(ctx, o)
	if err != nil {
		return err
	}
	s.opened = append(s.opened, s.engine.Close)
	return anyHope(s.engine.Models())
}

// anyHope returns an error where no version of any model can run, nor will when what it needs is there: the log has why,
// for each.
func anyHope(models []*inference.Model) error {
	for _, model := range models {
		for _, version := range model.Versions {
			if version.State == inference.ModelReady || version.State == inference.ModelLoading {
				return nil
			}
		}
	}
	return errors.New("every version of every model is FAILED: the log tells why")
}

func (s *Server) openHTTP(ctx context.Context) error {
	s.resolver = graph.New(s.engine, s.store, graph.Options{
		MaxResponseBytes: int64(min(s.config.MaxResponseBytes, s.config.MaxInFlightBytes)), TakeMemory: transport.TakeMemory,
		Authorize: s.access.ring != nil, Logger: s.logger, Stored: s.stored,
	})
	s.metrics = metrics.New(metrics.Sources{
		Models: s.engine.Statistics, Store: s.store.Statistics, Shadows: s.resolver.ShadowStatistics,
		InFlight: s.gate.InFlight, Streams: s.streams.Count,
	})
	if err := s.resolver.Start(ctx); err != nil {
		return err
	}
	s.opened = append(s.opened, func() error { s.resolver.Close(); return nil })
	base, abort := context.WithCancelCause(context.Background())
	s.abort = abort
	exporting, stopExports := context.WithCancel(base)
	s.http = newHTTPServer(base, s.handler(exporting), s.config.Timeout, s.logger)
	s.http.RegisterOnShutdown(stopExports) // they may take hours, so that nobody waits for them
	s.opened = append(s.opened, func() error {
		s.gate.Close()
		s.streams.Abort()
		return s.giveUp()
	})
	return nil
}

// Run serves until ctx ends, and then until what is in flight has been answered. It returns an error where it could
// not serve, or had to give up operations.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.serveHTTP() }()
	s.logger.InfoContext(ctx, "listening", "url", s.URL())
	select {
	case <-ctx.Done():
		err := s.drain()
		<-served
		return err
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-s.database.exited():
		return errors.Join(fmt.Errorf("embedded database: %w", s.database.embedded.Err()), s.giveUp())
	}
}

// drain refuses new operations, still over HTTP, and waits for those in flight; then it closes all connections.
func (s *Server) drain() error {
	timeout := s.config.ShutdownTimeout
	s.logger.Info("shutting down", "timeout", timeout)
	stopBy := time.Now().Add(timeout)
	s.stopBy.Store(&stopBy)
	s.gate.Close()
	s.streams.Close()
	ctx, cancel := context.WithDeadline(context.Background(), stopBy.Add(-timeout/closingShare))
	defer cancel()
	err := s.gate.Wait(ctx)
	if err == nil {
		err = s.streams.Wait(ctx)
	}
	if err == nil {
		err = s.http.Shutdown(ctx)
	}
	if err != nil {
		return errors.Join(errors.New("shutdown: requests in flight were given up"), s.giveUp())
	}
	return nil
}

// giveUp ends the requests in flight, and closes all connections.
func (s *Server) giveUp() error {
	s.abort(errGivenUp)
	return s.http.Close()
}

// Close closes all that is open, the last first, for as long as Run has left of the shutdown timeout. It may be called
// twice, and without Run.
func (s *Server) Close() error { return s.close() }

func (s *Server) closeAll() error {
	done := make(chan error, 1)
	go func() {
		var errs []error
		for _, closeOne := range slices.Backward(s.opened) {
			errs = append(errs, closeOne())
		}
		done <- errors.Join(errs...)
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(s.closingTime()):
		return errors.New("shutdown: closing took too long")
	}
}

// closingTime is what is left of the shutdown timeout: all of it where nothing has been waited for.
func (s *Server) closingTime() time.Duration {
	timeout := s.config.ShutdownTimeout
	if stopBy := s.stopBy.Load(); stopBy != nil {
		return max(time.Until(*stopBy), timeout/closingShare)
	}
	return timeout
}
