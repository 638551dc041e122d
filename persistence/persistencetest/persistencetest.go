// Package persistencetest gives tests a real PostgreSQL: one server a test binary, one database a test.
package persistencetest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"sibyl/persistence"
)

// BinariesVariable names the environment variable with the directory of other PostgreSQL binaries to test with.
const BinariesVariable = "SIBYL_TEST_POSTGRES"

// startTimeout bounds the start of the server on a busy machine.
const startTimeout = 2 * time.Minute

// shared is the server of this test binary.
var shared struct {
	mu      sync.Mutex // guards what follows
	managed bool       // Main runs
	server  *persistence.Embedded
	dir     string
	err     error
}

// Main runs the tests of a package, stops the server that they have used, and ends the process: with 1 where all tests
// have passed, but left a goroutine. Call it from TestMain.
func Main(m *testing.M) {
	shared.mu.Lock()
	shared.managed = true
	shared.mu.Unlock()
	for name, value := range s3Environment {
		_ = os.Setenv(name, value) // which no name or value of ours fails
	}
	code := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "persistencetest:", err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := leaks(); err != nil {
			fmt.Fprintln(os.Stderr, "persistencetest: the tests have passed, but left goroutines:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func stop() error {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server == nil {
		return nil
	}
	if err := shared.server.Close(); err != nil {
		return err
	}
	return os.RemoveAll(shared.dir)
}

// Server is the connection URL of a superuser on the server of this test binary, which the first call starts. It has
// pg_stat_statements loaded. Safe for concurrent use.
func Server(tb testing.TB) string {
	tb.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.managed {
		tb.Fatal("persistencetest: TestMain must call persistencetest.Main, which stops the server")
	}
	if shared.server == nil && shared.err == nil {
		start()
	}
	if shared.err != nil {
		tb.Fatalf("persistencetest: %v", shared.err)
	}
	return shared.server.URL()
}

// start runs under the lock.
func start() {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if shared.dir, shared.err = os.MkdirTemp("", "sibyl-test-"); shared.err != nil {
		return
	}
	shared.server, shared.err = persistence.StartEmbedded(ctx, persistence.EmbeddedOptions{
		Dir:      shared.dir,
		Binaries: os.Getenv(BinariesVariable),
		Settings: map[string]string{
			"shared_preload_libraries": "pg_stat_statements",
			"max_connections":          "500", // the pools of as many tests as run at a time
		},
	})
	if shared.err != nil {
		shared.server = nil
		_ = os.RemoveAll(shared.dir)
	}
}

// Need skips a test whose means are missing, by their name; it fails it instead when SIBYL_NO_SKIP=1, as in CI.
func Need(tb testing.TB, what string, ok bool) {
	tb.Helper()
	if ok {
		return
	}
	if strings.TrimSpace(os.Getenv("SIBYL_NO_SKIP")) == "1" {
		tb.Fatalf("missing: %s", what)
	}
	tb.Skipf("SKIPPED, missing: %s", what)
}
