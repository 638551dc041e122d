package persistence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// ErrInUse is returned when another process serves the data directory already.
var ErrInUse = errors.New("data directory is in use")

// EmbeddedOptions says where the embedded PostgreSQL lives. Only Dir is required.
type EmbeddedOptions struct {
	// Dir is the data directory; it is made when missing. It holds pgdata/ (the database), run/ (the socket) and
	// postgres.lock, postgres.password and postgres.json, each of mode 0600.
	Dir string
	// Binaries is the directory of initdb and postgres; empty: what FindPostgres finds.
	Binaries string
	// Logger hears of starts and deaths, and what PostgreSQL itself logs; nil: nobody does.
	Logger *slog.Logger
	// Settings are more settings of postgresql.conf, stronger than ours. No secrets: they are arguments of a process.
	Settings map[string]string
}

// Embedded is a PostgreSQL that runs as a child of this process, listens on a Unix socket only and is started again
// when it dies. It stops when Close is called and when this process ends in any other way. Safe for concurrent use.
type Embedded struct {
	cluster *cluster
	url     string
	logger  *slog.Logger
	output  *serverLog
	lock    *os.File
	ready   chan struct{} // closed when the server has answered for the first time
	exited  chan struct{} // closed when the supervisor has gone

	closing  sync.Once
	closeErr error

	mu      sync.Mutex // guards what follows
	cancel  context.CancelFunc
	process *os.Process // nil while no server runs
	err     error
}

// StartEmbedded starts the PostgreSQL of a data directory, makes the database at the first start, and returns when it
// accepts connections. The context bounds the start only, which after a crash includes the recovery.
//
// It returns ErrInUse when another process serves the directory, ErrNoPostgres when there are no binaries, and says so
// when the directory was made by another major version. The caller owns the result and must Close it.
func StartEmbedded(ctx context.Context, o EmbeddedOptions) (*Embedded, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("data directory %q: %w", o.Dir, err)
	}
	binaries, err := FindPostgres(o.Binaries)
	if err != nil {
		return nil, err
	}
	if err := makeDataDirectory(dir); err != nil {
		return nil, err
	}
	lock, err := lockDirectory(ctx, dir)
	if err != nil {
		return nil, err
	}
	e, err := startLocked(ctx, dir, binaries, o)
	if err != nil {
		return nil, errors.Join(err, unlockDirectory(lock))
	}
	e.lock = lock
	if err := e.superviseUntilReady(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// startLocked prepares all that a server needs, in a directory that this process has locked.
func startLocked(ctx context.Context, dir, binaries string, o EmbeddedOptions) (*Embedded, error) {
	began := time.Now()
	if err := unready(dir); err != nil {
		return nil, fmt.Errorf("state of the database: %w", err)
	}
	c, err := openCluster(ctx, dir, binaries)
	if err != nil {
		return nil, err
	}
	if c.created {
		o.Logger.Info("database created", "directory", c.pgdata, "duration", time.Since(began))
	}
	c.arguments = serverArguments(c, o.Settings)
	return &Embedded{
		cluster: c,
		url:     c.url(),
		logger:  o.Logger,
		output:  newServerLog(o.Logger),
		ready:   make(chan struct{}),
		exited:  make(chan struct{}),
	}, nil
}

// superviseUntilReady starts the supervisor and waits for the first answer of the server.
func (e *Embedded) superviseUntilReady(ctx context.Context) error {
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e.cancel = cancel
	go e.supervise(run)
	select {
	case <-e.ready:
		return nil
	case <-e.exited:
		return e.Err()
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("postgres is not ready: %w%s", ctx.Err(), e.output.tail()), e.Close())
	}
}

// URL is the connection URL of the server, the same over restarts. It has the password in it: never log it.
func (e *Embedded) URL() string { return e.url }

// Exited is closed when the server is gone for good: after Close, or when it could not be started again (see Err).
func (e *Embedded) Exited() <-chan struct{} { return e.exited }

// Err says why the server is gone for good. It is nil while it runs or is being started again, and after Close.
func (e *Embedded) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// shutdownSteps is how a server is asked to end, ever less politely: PostgreSQL's fast shutdown (sessions are ended,
// all is written), its immediate one (the next start recovers), and the kernel's.
var shutdownSteps = []struct {
	signal syscall.Signal
	wait   time.Duration
}{{syscall.SIGINT, 60 * time.Second}, {syscall.SIGQUIT, 10 * time.Second}, {syscall.SIGKILL, 10 * time.Second}}

// Close stops the server and returns when it has gone, its supervisor too. Sessions that are still open are ended.
// It may be called several times; a later call returns what the first did.
func (e *Embedded) Close() error {
	e.closing.Do(func() { e.closeErr = e.shutdown() })
	return e.closeErr
}

func (e *Embedded) shutdown() error {
	e.mu.Lock()
	e.cancel() // under the lock: no server is started after this
	e.mu.Unlock()
	for _, step := range shutdownSteps {
		e.signal(step.signal)
		select {
		case <-e.exited:
			return nil
		case <-time.After(step.wait):
			e.logger.Warn("postgres does not stop", "signal", step.signal.String(), "waited", step.wait)
		}
	}
	return errors.New("postgres does not stop")
}

// signal sends a signal to the server, if one runs.
func (e *Embedded) signal(s syscall.Signal) {
	e.output.quiet(true)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.process != nil {
		_ = e.process.Signal(s) // it may be gone already
	}
}
