package persistence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// listenTimeout bounds everything that is asked on the listener's connection.
	listenTimeout = 10 * time.Second
	// silence is how long nothing may be heard before it is asked whether the connection is there.
	silence = 10 * time.Second
	// settleTimeout bounds the wait for groups that looked for listeners before this one was there.
	settleTimeout = time.Second
	settlePause   = 5 * time.Millisecond
	// lateTimeout is how long those that take longer are looked for.
	lateTimeout = 5 * time.Minute
	// catchUpRows is how many rows are read at a time of what was stored meanwhile.
	catchUpRows = 500
	// beginRows is how many IDs are.
	beginRows = 10_000
)

// errPooled says why nothing would be heard.
var errPooled = errors.New("a pooler stands in between, which does not tell what is listened for: give --listen-url")

// listenConfig configures the listener's connection.
func listenConfig(url string) (*pgx.ConnConfig, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database URL to listen on: %w", err)
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "sibyl listener"
	}
	server{}.configure(config.ConnConfig, url, listenTimeout)
	return config.ConnConfig, nil
}

// listen connects, reads what was stored since l.heard, and then hears of all that is, until ctx ends or the connection
// does.
func (l *listener) listen(ctx context.Context) error {
	conn, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if l.heard.IsZero() {
		err = l.begin(ctx, conn)
	} else {
		err = l.catchUp(ctx, conn)
	}
	if err != nil {
		return err
	}
	l.goLive()
	for {
		if err := l.hear(ctx, conn); err != nil {
			return err
		}
	}
}

// connect returns a connection that hears of every group from now on.
func (l *listener) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, l.config)
	if err != nil {
		return nil, err
	}
	var pid uint32
	if err = conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err == nil && pid != conn.PgConn().PID() {
		err = errPooled
	}
	for _, statement := range []string{"LISTEN " + channel, "SELECT pg_advisory_lock_shared(" + listening + ")"} {
		if err == nil {
			_, err = conn.Exec(ctx, statement)
		}
	}
	if err == nil {
		err = l.settle(ctx, conn)
	}
	if err != nil {
		_ = conn.Close(ctx)
		return nil, err
	}
	return conn, nil
}

// writing is who has written predictions and not ended: all who have, or those of $1. It asks for locks and not for
// transaction IDs: a snapshot leaves out those that began last, and counts those of other databases.
const writing = `
SELECT array_agg(l.virtualtransaction)
FROM pg_locks l
JOIN pg_database d ON d.oid = l.database
WHERE d.datname = current_database()
  AND l.relation = 'predictions'::regclass
  AND l.mode = 'RowExclusiveLock'
  AND ($1::text[] IS NULL OR l.virtualtransaction = ANY($1))`

// settle waits until no transaction is left that wrote before the lock was there: it may have found no listener, and
// commit without a word. One that takes long is left to advance.
func (l *listener) settle(ctx context.Context, conn *pgx.Conn) error {
	l.late, l.settled = nil, time.Now()
	for ; ; time.Sleep(settlePause) {
		if err := l.lookForLate(ctx, conn); err != nil || len(l.late) == 0 || time.Since(l.settled) > settleTimeout {
			return err
		}
	}
}

// lookForLate leaves those of l.late that have not ended.
func (l *listener) lookForLate(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	return conn.QueryRow(ctx, writing, l.late).Scan(&l.late)
}

// hear waits for the next groups and tells subscribers of them. In silence it asks whether the connection is there.
func (l *listener) hear(ctx context.Context, conn *pgx.Conn) error {
	patience := silence
	if len(l.unseen) > 0 {
		patience = unseenPause
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	notification, err := conn.WaitForNotification(waiting)
	silent := waiting.Err() != nil && ctx.Err() == nil
	cancel() // from here on nothing is waited for
	if err != nil && !silent {
		return err
	}
	for {
		asked := time.Now()
		if err := l.ask(ctx, conn, notification); err != nil {
			return err
		}
		// What was committed before has come with the answer, and may be more than is heard of for long.
		if notification, _ = conn.WaitForNotification(waiting); notification == nil {
			return l.advance(ctx, conn, asked)
		}
	}
}

// advance takes down that all that was stored until heard has been heard of. While there are transactions that may commit
// without a word that is not so; when they have ended, what they have stored is read.
func (l *listener) advance(ctx context.Context, conn *pgx.Conn, heard time.Time) error {
	if len(l.late) == 0 {
		l.heard = heard
		return nil
	}
	if err := l.lookForLate(ctx, conn); err != nil {
		return err
	}
	if len(l.late) > 0 {
		if time.Since(l.settled) < lateTimeout {
			return nil
		}
		l.logger.LogAttrs(ctx, slog.LevelWarn, "subscribers may miss what a long transaction stores",
			slog.Any("transactions", l.late))
		l.late = nil
	}
	return l.catchUp(ctx, conn)
}

// ask asks for the predictions of a notification, and for those that could not be read before, and tells subscribers of
// them; or it asks for nothing.
func (l *listener) ask(ctx context.Context, conn *pgx.Conn, notification *pgconn.Notification) error {
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	ids := l.unseen.ids()
	if notification != nil {
		told, err := announced(notification.Payload)
		if err != nil { // it is not ours: anybody may notify
			l.logger.LogAttrs(ctx, slog.LevelWarn, "odd notification", slog.Any("error", err))
		}
		ids = append(ids, told...)
	}
	if len(ids) == 0 {
		return conn.Ping(ctx)
	}
	const query = `
SELECT ` + predictionColumns + `
FROM predictions p
WHERE p.id = ANY($1)`
	rows, err := selectPredictions(ctx, conn, query, ids)
	if err != nil {
		return fmt.Errorf("read predictions: %w", err)
	}
	if l.store.pool.distributed {
		l.unseen = l.unseen.without(ids, rows)
	}
	l.tell(ctx, rows, 0)
	return nil
}

// begin remembers what is there as if it had been told: it is older than the subscriptions, but not too old for catchUp.
func (l *listener) begin(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	// Without a bound a database that knows nothing of the table yet might read all of it.
	const query = `
SELECT p.id
FROM predictions p
WHERE p.source = $1
  AND p.id > $2
ORDER BY p.id
LIMIT $3`
	from := time.Now()
	for _, source := range allSources {
		id := PredictionID(firstUUID(from.Add(-l.margin)))
		for more := true; more; {
			n := 0
			rows, err := conn.Query(ctx, query, source, id, beginRows)
			if err == nil {
				_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
					l.told.add(id, from)
					n++
					return nil
				})
			}
			if err != nil {
				return fmt.Errorf("look for what is there: %w", err)
			}
			more = n == beginRows
		}
	}
	l.heard = from
	return nil
}

// catchUp tells subscribers of what was stored since l.heard. The order of IDs is not that of commits, so that it begins
// a margin before.
func (l *listener) catchUp(ctx context.Context, conn *pgx.Conn) error {
	from := time.Now()
	for _, source := range allSources {
		after := firstUUID(l.heard.Add(-l.margin))
		for more := true; more; {
			rows, err := readAfter(ctx, conn, source, after)
			if err != nil {
				return fmt.Errorf("catch up: %w", err)
			}
			if more = len(rows) == catchUpRows; more {
				after = uuid.UUID(rows[len(rows)-1].ID)
			}
			l.tell(ctx, rows, catchUpPatience)
		}
	}
	l.heard = from
	return nil
}

// readAfter reads the next predictions of one source, in the order of an index.
func readAfter(ctx context.Context, conn *pgx.Conn, source Source, after uuid.UUID) ([]*Prediction, error) {
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	query := `
SELECT ` + predictionColumns + `
FROM predictions p
WHERE p.source = $1
  AND p.id > $2
ORDER BY p.id
LIMIT $3`
	return selectPredictions(ctx, conn, query, source, after, catchUpRows)
}
