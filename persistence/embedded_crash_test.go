package persistence_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sibyl/persistence"
)

// keepRow commits a row that keptRow finds again.
func keepRow(t *testing.T, url string) {
	t.Helper()
	execute(t, url, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")
}

func keptRow(t *testing.T, url string) {
	t.Helper()
	if got := ask[int](t, url, "SELECT n FROM kept"); got != 7 {
		t.Errorf("kept row: %d, want 7", got)
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func TestEmbeddedEndsWithItsParent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	parent := startParent(t, dir, nil)
	keepRow(t, runningURL(t, dir))
	kill(t, parent.Process.Pid)
	eventually(t, "all processes of the server have gone", func() bool {
		return len(persistence.ServersOn(filepath.Join(dir, "pgdata"))) == 0
	})
	if _, err := persistence.RunningEmbedded(dir); !errors.Is(err, persistence.ErrNotRunning) {
		t.Errorf("after the parent's death: %v, want ErrNotRunning", err)
	}
	keptRow(t, startEmbedded(t, dir).URL())
}

func TestEmbeddedStartsAtOnceAfterAKill(t *testing.T) {
	t.Parallel()
	for name, serverToo := range map[string]bool{"parent": false, "parent and server": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			parent := startParent(t, dir, nil)
			keepRow(t, runningURL(t, dir))
			server := postmaster(t, dir)
			kill(t, parent.Process.Pid)
			if serverToo {
				kill(t, server)
			}
			_ = parent.Wait() // its lock is free now
			keptRow(t, startEmbedded(t, dir).URL())
		})
	}
}

func TestEmbeddedIsStartedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := startEmbedded(t, dir)
	keepRow(t, e.URL())
	for range 3 {
		old := postmaster(t, dir)
		kill(t, old)
		eventually(t, "another server answers", func() bool {
			return tryQuery(t.Context(), e.URL()) == nil && postmaster(t, dir) != old
		})
		keptRow(t, e.URL())
	}
	select {
	case <-e.Exited():
		t.Error("the supervisor has gone:", e.Err())
	default:
	}
}

func TestEmbeddedClosesWhileStartingAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := startEmbedded(t, dir)
	kill(t, postmaster(t, dir))
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if left := persistence.ServersOn(filepath.Join(dir, "pgdata")); len(left) > 0 {
		t.Errorf("processes left after Close: %v", left)
	}
}

func TestEmbeddedStartsDespiteStaleProcessIDs(t *testing.T) {
	t.Parallel()
	stranger := exec.Command("sleep", "600")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stranger.Process.Kill(); _ = stranger.Wait() })
	for name, first := range map[string]string{
		"somebody else's": fmt.Sprint(stranger.Process.Pid), "gone": "4194000", "half-written": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			parent := startParent(t, dir, nil)
			keepRow(t, runningURL(t, dir))
			server := postmaster(t, dir)
			kill(t, server)
			kill(t, parent.Process.Pid)
			_ = parent.Wait()
			for _, path := range []string{"pgdata/postmaster.pid", "run/.s.PGSQL.5432.lock"} {
				renumber(t, filepath.Join(dir, path), first)
			}
			keptRow(t, startEmbedded(t, dir).URL())
		})
	}
}

// renumber puts another process ID into a lock file of PostgreSQL; an empty one empties it.
func renumber(t *testing.T, path, pid string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(b, []byte("\n"))
	content := pid + "\n" + string(rest)
	if pid == "" {
		content = ""
	}
	writeFile(t, path, content)
}

func TestEmbeddedLeavesAStrangersServerAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := startEmbedded(t, dir)
	keepRow(t, e.URL())
	state := filepath.Join(dir, "postgres.json")
	stranger := postmaster(t, dir)
	// As if the server had been started by hand: our lock is on another file, and our state names another process.
	if err := os.Remove(filepath.Join(dir, "postgres.lock")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, state, strings.ReplaceAll(readFile(t, state), fmt.Sprint(stranger), "1"))
	err := startError(t, dir)
	if !errors.Is(err, persistence.ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint(stranger)) {
		t.Errorf("error %v, want ErrInUse with process %d", err, stranger)
	}
	keptRow(t, e.URL())
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEmbeddedStartsAfterAnInterruptedFirstStart(t *testing.T) {
	t.Parallel()
	dir := interruptedFirstStart(t)
	keepRow(t, startEmbedded(t, dir).URL())
	if half, _ := filepath.Glob(filepath.Join(dir, "pgdata-new-*")); len(half) > 0 {
		t.Errorf("left of the first start: %v", half)
	}
}

// interruptedFirstStart is a directory in which initdb was killed. On a busy machine it may be done before it is seen,
// and is tried again.
func interruptedFirstStart(t *testing.T) string {
	t.Helper()
	for range 20 {
		dir := t.TempDir()
		isDone := func() bool { _, err := os.Stat(filepath.Join(dir, "pgdata")); return err == nil }
		parent := startParent(t, dir, nil)
		eventually(t, "initdb works", func() bool {
			half, _ := filepath.Glob(filepath.Join(dir, "pgdata-new-*", "base"))
			return len(half) > 0 || isDone()
		})
		kill(t, parent.Process.Pid)
		_ = parent.Wait()
		if !isDone() {
			return dir
		}
	}
	t.Fatal("initdb was too fast for this test")
	return ""
}
