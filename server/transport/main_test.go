package transport_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain fails where a goroutine is left when all tests have ended, and has had time to end on a busy machine. The
// HTTP client's own connections may be.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := leaks(); err != nil {
			fmt.Fprintln(os.Stderr, "the tests have passed, but left goroutines:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// leaks returns an error that tells of all goroutines which somebody should have ended.
func leaks() error {
	for deadline := time.Now().Add(within); ; {
		err := goleak.Find(goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"),
			goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"),
			goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"))
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// awaitNone waits until no stream is open.
func awaitNone(t testing.TB, b *bundle) {
	t.Helper()
	eventually(t, "no stream is open", func() bool { return b.streams.Count() == 0 })
}
