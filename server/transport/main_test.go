package transport_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain fails where a goroutine is left when all tests have ended. The HTTP client's own connections may be.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"))
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
