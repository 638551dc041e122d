package persistence

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// defaultConnections is how many connections there are for what callers ask for.
	defaultConnections = 16
	// backgroundConnections are those of exports and jobs, which so neither keep callers waiting nor wait for them.
	backgroundConnections = 4
	// backgroundFactor is how many times longer their statements may take.
	backgroundFactor = 10
	// defaultStatementTimeout bounds a statement.
	defaultStatementTimeout = 30 * time.Second
)

// server is what is to be known of a database before it is used.
type server struct {
	// version is the server_version_num.
	version int
	// pooled says that another program stands in between, and gives each transaction any of its own connections.
	pooled bool
	// distributed says that it has Citus, so that tables may be distributed.
	distributed bool
}

// connectServer connects, and asks. The caller must close the connection.
func connectServer(ctx context.Context, text string) (s server, conn *pgx.Conn, err error) {
	config, err := pgxpool.ParseConfig(text)
	if err != nil {
		return s, nil, fmt.Errorf("database URL: %w", err)
	}
	if conn, err = pgx.ConnectConfig(ctx, config.ConnConfig); err != nil {
		return s, nil, err
	}
	var pid uint32
	const query = `
SELECT current_setting('server_version_num')::integer, pg_backend_pid(),
  EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')`
	err = conn.QueryRow(ctx, query, pgx.QueryExecModeSimpleProtocol).Scan(&s.version, &pid, &s.distributed)
	if err != nil {
		return s, nil, errors.Join(err, conn.Close(ctx))
	}
	// A pooler makes up the process that it names when it is connected to.
	s.pooled = pid != conn.PgConn().PID()
	return s, conn, nil
}

// poolOptions are what differs between pools.
type poolOptions struct {
	size             int
	statementTimeout time.Duration
	tracer           pgx.QueryTracer
}

// pool is connections to a server.
type pool struct {
	*pgxpool.Pool
	// distributed is the server's. Then each statement must be one that Citus can send to the shards that it is about, or
	// put together from what each of them answers.
	distributed bool
}

// newPool makes a pool of connections to the server, which connects when it is used.
func (s server) newPool(ctx context.Context, text string, o poolOptions) (pool, error) {
	config, err := pgxpool.ParseConfig(text)
	if err != nil {
		return pool{}, fmt.Errorf("database URL: %w", err)
	}
	config.MaxConns = int32(o.size)
	config.ConnConfig.Tracer = o.tracer
	s.configure(config.ConnConfig, text, o.statementTimeout)
	connections, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return pool{}, fmt.Errorf("database pool: %w", err)
	}
	return pool{connections, s.distributed}, nil
}

// sender is a pool or one of its connections.
type sender interface {
	Begin(ctx context.Context) (pgx.Tx, error)
	SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
}

// together sends statements as one transaction. PostgreSQL takes all that one Sync ends for one, in one round trip; for
// Citus it must be begun, or each statement is one by itself on its shard.
func (p pool) together(ctx context.Context, to sender, batch *pgx.Batch) error {
	if !p.distributed {
		return to.SendBatch(ctx, batch).Close()
	}
	return pgx.BeginFunc(ctx, to, func(tx pgx.Tx) error { return tx.SendBatch(ctx, batch).Close() })
}

// configure adds to what a URL says of its connections what it leaves open.
func (s server) configure(config *pgx.ConnConfig, text string, timeout time.Duration) {
	var said url.Values
	if u, err := url.Parse(text); err == nil {
		said = u.Query()
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "sibyl"
	}
	if s.pooled {
		// Poolers take few settings from a client. What was prepared may be on another connection the next time.
		if !said.Has("default_query_exec_mode") {
			config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		}
	} else if config.RuntimeParams["statement_timeout"] == "" {
		config.RuntimeParams["statement_timeout"] = strconv.FormatInt(timeout.Milliseconds(), 10)
	}
	// After a failover the server that was written to may be there still, for reading.
	if !said.Has("target_session_attrs") {
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	fatal := config.OnPgError
	config.OnPgError = func(conn *pgconn.PgConn, answer *pgconn.PgError) (keep bool) {
		return answer.Code != stateReadOnly && fatal(conn, answer)
	}
}
