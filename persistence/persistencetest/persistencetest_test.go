package persistencetest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"sibyl/persistence/persistencetest"
)

func TestMain(m *testing.M) { persistencetest.Main(m) }

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"one", "another"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, persistencetest.Database(t))
			if _, err := conn.Exec(t.Context(), "CREATE TABLE only_here (n int)"); err != nil {
				t.Error(err)
			}
			// The session stays open: dropping the database must not wait for it.
		})
	}
}

func TestServerHasStatementStatistics(t *testing.T) {
	t.Parallel()
	conn := connect(t, persistencetest.Database(t))
	if _, err := conn.Exec(t.Context(), "CREATE EXTENSION pg_stat_statements"); err != nil {
		t.Fatal(err)
	}
	var calls int
	err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_statements").Scan(&calls)
	if err != nil || calls == 0 {
		t.Errorf("%d statements counted, %v", calls, err)
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
