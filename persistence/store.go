package persistence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// oldestServer is the lowest server_version_num that the statements are written for.
const oldestServer = 150000

// Options configure a Store; the zero value of each field has a meaning.
type Options struct {
	// MaxConnections bounds the connections for what callers ask for; exports and jobs have 4 more. 0: 16.
	MaxConnections int
	// StatementTimeout bounds a statement, and ten times as long one of exports and jobs; 0: 30 s. Behind a pooler it is
	// the server's own that does.
	StatementTimeout time.Duration
	// Images is the URL of the object store that new images go to: s3://, gs://, azblob:// or file://, with the query that
	// gocloud.dev/blob knows for it; empty: they go to the database. Those of stored inputs are read from where they are.
	// Whether it is the right one is what ClaimImages finds out.
	Images string
	// ConnectTimeout bounds how long Open waits for a database that is not there yet; 0: 30 s.
	ConnectTimeout time.Duration
	// Tracer is told of every statement, but for those that listen; nil: none is.
	Tracer pgx.QueryTracer
	// ListenURL is the PostgreSQL at url without a pooler in between, for subscriptions; empty: as url.
	ListenURL string
	// RecordTimeout is the longest that records may wait, once they are made, until a writer takes them; 0: 30 s.
	// RecordBytes are the most that are stored together; 0: as many as take no longer than others. Subscriptions look back
	// as far as both tell when they have lost the connection.
	RecordTimeout time.Duration
	RecordBytes   int64
	// Logger is told while Open waits, and of trouble with listening; nil: none is told.
	Logger *slog.Logger
}

// Store reads and writes the database, and the object store where there is one. It is safe for concurrent use.
type Store struct {
	pool       pool
	background pool // of exports and jobs
	writer     *writer
	listener   *listener
	objects    *objects // nil: images go to the database
}

// Open connects to the PostgreSQL at url, waiting for one that is starting. It returns ErrUnavailable where none
// answers in time, and ErrImagesUnavailable where the object store does not. The schema is not touched: see MigrateUp.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	server, err := awaitServer(ctx, url, o)
	if err != nil {
		return nil, err
	}
	listen, err := listenConfig(cmp.Or(o.ListenURL, url))
	if err != nil {
		return nil, err
	}
	s := new(Store)
	if err := s.openPools(ctx, server, url, o); err != nil {
		return nil, err
	}
	if o.Images != "" {
		if s.objects, err = openObjects(ctx, o.Images); err != nil {
			s.closePools()
			return nil, err
		}
	}
	s.writer = newWriter(s.pool)
	s.listener = newListener(s, listen, o)
	return s, nil
}

func (s *Store) openPools(ctx context.Context, server server, url string, o Options) (err error) {
	size, timeout := cmp.Or(o.MaxConnections, defaultConnections), cmp.Or(o.StatementTimeout, defaultStatementTimeout)
	if s.pool, err = server.newPool(ctx, url, poolOptions{size, timeout, o.Tracer}); err != nil {
		return err
	}
	background := poolOptions{backgroundConnections, backgroundFactor * timeout, o.Tracer}
	if s.background, err = server.newPool(ctx, url, background); err != nil {
		s.pool.Close()
	}
	return err
}

// inBackground is the store on the connections of exports and jobs.
func (s *Store) inBackground() *Store {
	background := *s
	background.pool = s.background
	return &background
}

func (s *Store) closePools() {
	s.pool.Close()
	s.background.Close()
}

// Close ends subscriptions, writes what has been handed to Record, and ends all connections after the statements that
// run. It may be called twice.
func (s *Store) Close() {
	s.listener.close()
	s.writer.close()
	s.closePools()
	if s.objects != nil {
		_ = s.objects.bucket.Close() // what it holds is connections
	}
}

// Ready returns nil where the database answers and has the schema of this binary.
func (s *Store) Ready(ctx context.Context) error {
	var version uint
	var dirty bool
	if err := s.pool.QueryRow(ctx, versionQuery).Scan(&version, &dirty); err != nil {
		return classify(err)
	}
	// A newer schema is no fault of a replica that runs while its successors are rolled out; only starting on one is.
	if err := checkSchema(version, dirty); !errors.Is(err, ErrSchemaNewer) {
		return err
	}
	return nil
}

// awaitServer asks for what the server is until it is told, or until asking again cannot help.
func awaitServer(ctx context.Context, url string, o Options) (server, error) {
	timeout := o.ConnectTimeout
	if timeout <= 0 {
		timeout = 30 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for told := false; ; {
		server, conn, err := connectServer(ctx, url)
		if err == nil {
			_ = conn.Close(ctx)
		}
		switch {
		case err == nil && server.version < oldestServer:
			return server, fmt.Errorf("database: server version %d is older than PostgreSQL 15", server.version/10000)
		case err == nil:
			return server, nil
		case !mayStart(err):
			return server, fmt.Errorf("database: %w", err)
		}
		if o.Logger != nil && !told {
			o.Logger.WarnContext(ctx, "waiting for the database", "timeout", timeout)
			told = true
		}
		select {
		case <-ctx.Done():
			return server, fmt.Errorf("%w: %w", ErrUnavailable, err)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// mayStart tells a server that is not there yet, or does not answer in time, from one that refuses: a wrong password never
// gets better.
func mayStart(err error) bool {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return errors.Is(classifyState(answer), ErrUnavailable)
	}
	return errors.Is(classify(err), ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}
