package persistencetest

import (
	"net/http"
	"time"

	"go.uber.org/goleak"
)

// leakTimeout is how long goroutines may take to end after the last test, on a busy machine.
const leakTimeout = time.Minute

// leaks returns an error where a goroutine is left that somebody should have ended: it tells them all.
func leaks() error {
	// Which the whole process shares: what it keeps for the next request has nobody who would close it.
	http.DefaultClient.CloseIdleConnections()
	deadline := time.Now().Add(leakTimeout)
	for {
		err := goleak.Find()
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}
