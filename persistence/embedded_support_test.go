package persistence_test

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sibyl/persistence"
	"sibyl/persistence/persistencetest"
)

// within is how long a test waits for what must happen at some time.
const within = time.Minute

// startEmbedded starts a server that the end of the test closes.
func startEmbedded(t *testing.T, dir string) *persistence.Embedded {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	e, err := persistence.StartEmbedded(ctx, embeddedOptions(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// startError is the error of a start that must fail.
func startError(t *testing.T, dir string) error {
	t.Helper()
	e, err := persistence.StartEmbedded(t.Context(), embeddedOptions(t, dir))
	if err == nil {
		t.Fatal("started", e.Close())
	}
	return err
}

func embeddedOptions(t *testing.T, dir string) persistence.EmbeddedOptions {
	t.Helper()
	return persistence.EmbeddedOptions{
		Dir:      dir,
		Binaries: os.Getenv(persistencetest.BinariesVariable),
		Logger:   slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// ask runs a statement that gives one value.
func ask[T any](t *testing.T, url, statement string) (value T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := conn.QueryRow(t.Context(), statement).Scan(&value); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return value
}

func execute(t *testing.T, url string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// tryQuery is nil when the server answers.
func tryQuery(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// eventually polls until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); {
		if time.Since(began) > within {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// postmaster is the process of the server on a data directory.
func postmaster(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "pgdata", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

const (
	// parentVariable names the data directory of the process that TestEmbeddedParent is run in.
	parentVariable = "SIBYL_TEST_PARENT_OF"
	// refuseVariable makes that process, which has a user namespace of its own, forbid further ones.
	refuseVariable = "SIBYL_TEST_REFUSE_NAMESPACES"
)

// TestEmbeddedParent is not a test: it is what the process does that startParent starts and a test kills.
func TestEmbeddedParent(t *testing.T) {
	dir := os.Getenv(parentVariable)
	if dir == "" {
		return
	}
	if os.Getenv(refuseVariable) != "" {
		if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
			t.Fatal(err)
		}
	}
	e := startEmbedded(t, dir)
	<-e.Exited()
}

// startParent runs a process that serves a data directory. The caller ends it; the end of the test makes sure.
func startParent(t *testing.T, dir string, change func(*exec.Cmd)) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run=^TestEmbeddedParent$", "-test.v")
	cmd.Env = append(os.Environ(), parentVariable+"="+dir)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	cmd.WaitDelay = time.Second
	if change != nil {
		change(cmd)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		eventually(t, "the server has gone", func() bool {
			return len(persistence.ServersOn(filepath.Join(dir, "pgdata"))) == 0
		})
	})
	return cmd
}

// runningURL waits for the server of another process.
func runningURL(t *testing.T, dir string) (url string) {
	t.Helper()
	eventually(t, "a server runs on "+dir, func() bool {
		var err error
		url, err = persistence.RunningEmbedded(dir)
		return err == nil
	})
	return url
}
