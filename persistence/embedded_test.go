package persistence_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sibyl/persistence"
)

func TestEmbeddedKeepsRowsOverRestarts(t *testing.T) {
	t.Parallel()
	working, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Rel(working, filepath.Join(t.TempDir(), "a data, directory"))
	if err != nil {
		t.Fatal(err)
	}
	first := startEmbedded(t, dir)
	execute(t, first.URL(), "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := startEmbedded(t, dir)
	if got := ask[int](t, second.URL(), "SELECT n FROM kept"); got != 7 {
		t.Errorf("kept row: %d, want 7", got)
	}
}

func TestEmbeddedIsSafe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := startEmbedded(t, dir)
	for setting, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "data_checksums": "on",
		"listen_addresses": "", "server_encoding": "UTF8", "password_encryption": "scram-sha-256", "jit": "off",
	} {
		if got := ask[string](t, e.URL(), "SHOW "+setting); got != want {
			t.Errorf("%s: %q, want %q", setting, got, want)
		}
	}
	open := ask[int](t, e.URL(), "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'")
	if open != 0 {
		t.Errorf("%d rules of pg_hba.conf let in without a password", open)
	}
	for _, name := range []string{"postgres.password", "postgres.json", "postgres.lock"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info.Mode(), err)
		}
	}
}

func TestEmbeddedRefusesAWrongPassword(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := startEmbedded(t, dir)
	wrong := strings.Replace(e.URL(), "sibyl:", "sibyl:x", 1)
	if err := tryQuery(t.Context(), wrong); err == nil || !strings.Contains(err.Error(), "28P01") {
		t.Errorf("error %v, want SQLSTATE 28P01", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "postgres.password"), "another\n")
	if err := startError(t, dir); !strings.Contains(err.Error(), "28P01") {
		t.Errorf("start with another password: %v, want SQLSTATE 28P01", err)
	}
	if err := os.Remove(filepath.Join(dir, "postgres.password")); err != nil {
		t.Fatal(err)
	}
	if err := startError(t, dir); !strings.Contains(err.Error(), "postgres.password is missing") {
		t.Errorf("start without the password: %v", err)
	}
}

func TestEmbeddedRefusesASecondServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startEmbedded(t, dir)
	if err := startError(t, dir); !errors.Is(err, persistence.ErrInUse) {
		t.Errorf("second server: %v, want ErrInUse", err)
	}
	if err := tryQuery(t.Context(), first.URL()); err != nil {
		t.Errorf("the first server has gone: %v", err)
	}
}

func TestRunningEmbedded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := persistence.RunningEmbedded(filepath.Join(dir, "none")); !errors.Is(err, persistence.ErrNotRunning) {
		t.Errorf("no directory: %v, want ErrNotRunning", err)
	}
	e := startEmbedded(t, dir)
	url, err := persistence.RunningEmbedded(dir)
	if err != nil || url != e.URL() {
		t.Errorf("the URL differs from the server's (%v)", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := persistence.RunningEmbedded(dir); !errors.Is(err, persistence.ErrNotRunning) {
		t.Errorf("after Close: %v, want ErrNotRunning", err)
	}
}

// A child that is being started has a copy of every descriptor until it executes.
func TestUnlockDirectoryBesideACopy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := persistence.LockDirectory(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(lock.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := persistence.UnlockDirectory(lock); err != nil {
		t.Fatal(err)
	}
	if _, err := persistence.RunningEmbedded(dir); !errors.Is(err, persistence.ErrNotRunning) {
		t.Errorf("after the lock is given back: %v, want ErrNotRunning", err)
	}
}

func TestEmbeddedWithALongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	e := startEmbedded(t, dir)
	url, err := persistence.RunningEmbedded(dir)
	if err != nil {
		t.Fatal(err)
	}
	sockets := ask[string](t, url, "SHOW unix_socket_directories")
	if info, err := os.Stat(sockets); err != nil || info.Mode().Perm() != 0o700 || strings.HasPrefix(sockets, dir) {
		t.Errorf("socket directory %s: %v, %v; want a short one of mode 0700", sockets, info, err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(sockets); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("socket directory after Close: %v, want none", err)
	}
}

func TestEmbeddedCloseIsIdempotent(t *testing.T) {
	t.Parallel()
	e := startEmbedded(t, t.TempDir())
	var closers sync.WaitGroup
	for range 4 {
		closers.Go(func() {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	closers.Wait()
	select {
	case <-e.Exited():
	default:
		t.Error("Close returned before the server was gone")
	}
	if err := e.Err(); err != nil {
		t.Errorf("Err after Close: %v", err)
	}
}

func TestEmbeddedStartIsCancelled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := persistence.StartEmbedded(ctx, embeddedOptions(t, dir)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want Canceled", err)
	}
	startEmbedded(t, dir)
}

func TestEmbeddedStartTellsWhatPostgresSaid(t *testing.T) {
	t.Parallel()
	o := embeddedOptions(t, t.TempDir())
	o.Settings = map[string]string{"shared_buffers": "nonsense"}
	_, err := persistence.StartEmbedded(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), `invalid value for parameter "shared_buffers"`) {
		t.Errorf("error %v, want PostgreSQL's own words", err)
	}
}

func TestEmbeddedRefusesOtherDirectories(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ file, content, want string }{
		"another major version": {"PG_VERSION", "14\n", "was made by PostgreSQL 14"},
		"no database":           {"holiday.jpg", "JPEG", "no PostgreSQL database"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "pgdata", test.file), test.content)
			if err := startError(t, dir); !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}
