package persistence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// orphanSteps is what is done about servers that an earlier run left behind, by the time waited for them. A server gets
// the signal for its fast shutdown from the kernel when its parent dies, so mostly waiting is enough.
var orphanSteps = []struct {
	after  time.Duration
	signal syscall.Signal
}{{3 * time.Second, syscall.SIGINT}, {60 * time.Second, syscall.SIGQUIT}, {70 * time.Second, syscall.SIGKILL}}

// orphanPatience is when a start gives up waiting for them.
const orphanPatience = 80 * time.Second

// clear makes the data directory, which this process has locked, ready for a new server: what an earlier one left
// behind is waited for, its process ID disowned and its socket removed.
func (c *cluster) clear(ctx context.Context, logger *slog.Logger) error {
	if err := c.awaitOrphans(ctx, logger); err != nil {
		return err
	}
	if err := c.disownPIDFile(); err != nil {
		return fmt.Errorf("stale postmaster.pid: %w", err)
	}
	if old := readState(c.dir).Sockets; old != "" && old != c.sockets {
		_ = removeSocketDirectory(c.dir, old) // may be gone already
	}
	c.cleared = true
	return removeSockets(c.sockets)
}

// awaitOrphans returns when no process of PostgreSQL uses the directory any more. It helps those that an earlier run of
// ours started to end, and leaves a server alone that somebody else has started there: that one it refuses.
func (c *cluster) awaitOrphans(ctx context.Context, logger *slog.Logger) error {
	ours := readState(c.dir).Postmaster
	began := time.Now()
	for step := 0; ; {
		orphans := serversOn(c.pgdata)
		if len(orphans) == 0 {
			return nil
		}
		waited := time.Since(began)
		leader := c.postmaster()
		led := slices.Contains(orphans, leader)
		if step < len(orphanSteps) && waited > orphanSteps[step].after {
			if led && leader != ours {
				return fmt.Errorf("%w: a PostgreSQL server that was not started here (process %d) runs on %s",
					ErrInUse, leader, c.pgdata)
			}
			signal := orphanSteps[step].signal
			logger.Warn("an earlier postgres is still there", "pids", orphans, "signal", signal.String())
			signalOrphans(orphans, leader, led, signal)
			step++
		}
		if err := pauseForOrphans(ctx, waited); err != nil {
			return fmt.Errorf("%w: an earlier server on %s does not end (processes %v): %w",
				ErrInUse, c.pgdata, orphans, err)
		}
	}
}

// pauseForOrphans waits for the next look, or says why there is none.
func pauseForOrphans(ctx context.Context, waited time.Duration) error {
	if waited > orphanPatience {
		return fmt.Errorf("waited %v", orphanPatience)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(readyPoll):
		return nil
	}
}

// signalOrphans signals the server, which deals with its children, or the children that are left of a dead one: these
// take a SIGINT as no reason to go.
func signalOrphans(orphans []int, leader int, led bool, signal syscall.Signal) {
	if led && signal != syscall.SIGKILL {
		orphans = []int{leader}
	} else if signal == syscall.SIGINT {
		signal = syscall.SIGQUIT
	}
	for _, pid := range orphans {
		_ = syscall.Kill(pid, signal) // it may be gone already
	}
}

// postmaster is the process that postmaster.pid names; 0 when there is none.
func (c *cluster) postmaster() int {
	b, err := os.ReadFile(filepath.Join(c.pgdata, "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := bytes.Cut(b, []byte("\n"))
	pid, _ := strconv.Atoi(string(bytes.TrimSpace(first)))
	return pid
}

// disownPIDFile puts our own process ID into a postmaster.pid that a crash has left. PostgreSQL refuses to start when
// the process named there lives, even if that number is somebody else's by now, but never minds its own parent. The
// file is not removed: by its other lines PostgreSQL sees whether shared memory of the dead server is still in use.
func (c *cluster) disownPIDFile() error {
	path := filepath.Join(c.pgdata, "postmaster.pid")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if c.postmaster() <= 0 {
		return os.Remove(path) // the crash came while it was written
	}
	_, rest, _ := bytes.Cut(b, []byte("\n"))
	return os.WriteFile(path, append(fmt.Appendf(nil, "%d\n", os.Getpid()), rest...), 0o600)
}
