package main_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"sibyl/persistence/persistencetest"
	server "sibyl/server"
)

// TestFailover cuts all connections of a server, which then finds a database that it can only read from, and at last
// one that it can write to.
func TestFailover(t *testing.T) {
	database := persistencetest.Database(t)
	s := newServer(t, func(c *server.Config) { c.DatabaseURL = server.DatabaseURL(database) })
	predicted := func() *result {
		answer := s.predict(t, predictQuery, digit())
		if code := answer.code(); code != "" && (code != "UNAVAILABLE" || answer.Status != 503) {
			t.Errorf("%+v", answer)
		}
		return answer
	}
	waitFor(t, func() bool { return predicted().Status == 200 })
	readOnly(t, database, "on")
	back := sync.OnceFunc(func() { readOnly(t, database, "off") })
	defer back()
	waitFor(t, func() bool { return predicted().Status == 503 })
	waitFor(t, func() bool { status, _ := s.get(t, "/readyz"); return status == 503 })
	if status, _ := s.get(t, "/healthz"); status != 200 {
		t.Errorf("alive: %d", status)
	}
	back()
	waitFor(t, func() bool { return predicted().Status == 200 })
	waitFor(t, func() bool { status, _ := s.get(t, "/readyz"); return status == 200 })
}

// readOnly makes the server one that can only be read from, or the opposite, and cuts the connections to a database.
func readOnly(t *testing.T, database, to string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, statement := range []string{
		`ALTER SYSTEM SET default_transaction_read_only = ` + to, `SELECT pg_reload_conf()`,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReplicasStartTogether on an empty database.
func TestReplicasStartTogether(t *testing.T) {
	t.Parallel()
	database := server.DatabaseURL(persistencetest.Database(t))
	var starting sync.WaitGroup
	for range 5 {
		c := server.DefaultConfig()
		c.Address, c.Data, c.DatabaseURL = "127.0.0.1:0", t.TempDir(), database
		starting.Go(func() {
			s, err := server.New(t.Context(), c, slog.New(slog.DiscardHandler))
			if err == nil {
				err = s.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
}
