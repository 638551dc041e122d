package persistencetest

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"sibyl/persistence"
)

// template is the database that those with our schema are copies of.
const template = "migrated"

var (
	databases atomic.Int64
	// migrate makes the template.
	migrate = sync.OnceValue(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		server := shared.server.URL()
		if err := tryExecute(ctx, server, "CREATE DATABASE "+template); err != nil {
			return err
		}
		return persistence.MigrateUp(ctx, named(server, template))
	})
)

// Database is the connection URL of a fresh empty database, which is dropped at the end of the test with the sessions
// that are still open.
func Database(tb testing.TB) string {
	tb.Helper()
	return create(tb, "")
}

// Migrated is Database with the newest schema, in a fraction of the time that its migrations take.
func Migrated(tb testing.TB) string {
	tb.Helper()
	Server(tb)
	if err := migrate(); err != nil {
		tb.Fatalf("persistencetest: %v", err)
	}
	database := create(tb, " TEMPLATE "+template)
	execute(tb, database, "UPDATE image_stores SET id = gen_random_uuid()") // by which image stores tell databases apart
	return database
}

func create(tb testing.TB, from string) string {
	tb.Helper()
	server := Server(tb)
	name := fmt.Sprintf("test_%d", databases.Add(1))
	execute(tb, server, "CREATE DATABASE "+name+from)
	tb.Cleanup(func() { execute(tb, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	return named(server, name)
}

// named is the URL of another database of a server, whose URL we have made.
func named(server, database string) string {
	u, err := url.Parse(server)
	if err != nil {
		panic("persistencetest: the server's URL cannot be parsed")
	}
	u.Path = "/" + database
	return u.String()
}

func execute(tb testing.TB, database, statement string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := tryExecute(ctx, database, statement); err != nil {
		tb.Fatalf("persistencetest: %s: %v", statement, err)
	}
}

func tryExecute(ctx context.Context, database, statement string) error {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}
