package persistence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNotRunning is returned by RunningEmbedded when no process serves the data directory.
var ErrNotRunning = errors.New("no embedded database is running")

// lockPatience is how long a start waits for one who only looks at the lock (RunningEmbedded).
const lockPatience = 300 * time.Millisecond

// serverState is the content of postgres.json: where the server of a data directory is found. It holds no secret.
type serverState struct {
	Postmaster int    `json:"postmaster"` // process ID of the server
	Sockets    string `json:"sockets"`    // directory of its Unix socket
	Ready      bool   `json:"ready"`      // it has accepted connections
	Parent     int    `json:"parent"`     // process ID of who serves the directory
}

// current tells whether the server can be connected to. The lock is held by somebody, but maybe by one who has just
// got it and not yet seen that the state is of a process that was killed.
func (s serverState) current() bool { return s.Ready && !errors.Is(unix.Kill(s.Parent, 0), unix.ESRCH) }

// RunningEmbedded is the connection URL of the embedded server that another process runs on a data directory. It has
// the password in it: never log it. It returns ErrNotRunning when there is none.
func RunningEmbedded(dir string) (string, error) {
	lock, err := os.Open(lockFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w in %s", ErrNotRunning, dir)
	}
	if err != nil {
		return "", fmt.Errorf("lock of the data directory: %w", err)
	}
	defer lock.Close()
	if unix.Flock(int(lock.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil {
		_ = unix.Flock(int(lock.Fd()), unix.LOCK_UN) // as in unlockDirectory
		return "", fmt.Errorf("%w in %s", ErrNotRunning, dir)
	}
	state := readState(dir)
	if !state.current() {
		return "", fmt.Errorf("the embedded database in %s is starting: try again", dir)
	}
	password, err := os.ReadFile(filepath.Join(dir, "postgres.password"))
	if err != nil {
		return "", fmt.Errorf("database password: %w", err)
	}
	return embeddedURL(state.Sockets, strings.TrimSpace(string(password)), embeddedName), nil
}

func lockFile(dir string) string { return filepath.Join(dir, "postgres.lock") }

// lockDirectory makes this process the only one that serves a data directory, until the file is closed. The kernel
// gives the lock back when the process ends in any way.
func lockDirectory(ctx context.Context, dir string) (*os.File, error) {
	f, err := os.OpenFile(lockFile(dir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock of the data directory: %w", err)
	}
	for began := time.Now(); ; {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if ctx.Err() != nil || time.Since(began) > lockPatience {
			return nil, errors.Join(refusal(dir, f, err), f.Close())
		}
		time.Sleep(readyPoll)
	}
	if err := errors.Join(f.Truncate(0), writePID(f)); err != nil {
		return nil, errors.Join(fmt.Errorf("lock of the data directory: %w", err), unlockDirectory(f))
	}
	return f, nil
}

// unlockDirectory gives the lock back by name and not only by closing the file: a child that is being started has a copy
// of the descriptor until it executes, and would hold the lock that long.
func unlockDirectory(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}

func refusal(dir string, f *os.File, cause error) error {
	if !errors.Is(cause, unix.EWOULDBLOCK) {
		return fmt.Errorf("lock of the data directory %s: %w", dir, cause)
	}
	var owner int
	_, _ = fmt.Fscan(f, &owner)
	return fmt.Errorf("%w: %s by process %d; stop that, or choose another directory", ErrInUse, dir, owner)
}

func writePID(f *os.File) error {
	_, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

// remember writes down the server's process, for RunningEmbedded and for the start after a crash.
func (c *cluster) remember(pid int, ready bool) error {
	b, err := json.Marshal(serverState{Postmaster: pid, Sockets: c.sockets, Ready: ready, Parent: os.Getpid()})
	if err != nil {
		return err
	}
	path := stateFile(c.dir)
	return errors.Join(replaceFile(path, b), c.account.own(path))
}

// unready writes down that the server of an earlier run, if one is written down, is not to be connected to.
func unready(dir string) error {
	s := readState(dir)
	if !s.Ready {
		return nil
	}
	s.Ready = false
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return replaceFile(stateFile(dir), b)
}

// forget removes what is there only while a server runs. Where none could be started because of another one that still
// runs, it leaves what may be the other's.
func (c *cluster) forget() error {
	if !c.cleared {
		if filepath.Dir(c.sockets) != c.dir {
			return os.Remove(c.sockets)
		}
		return nil
	}
	err := removeSocketDirectory(c.dir, c.sockets)
	if gone := os.Remove(stateFile(c.dir)); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

func stateFile(dir string) string { return filepath.Join(dir, "postgres.json") }

// readState is the zero state when there is none that can be read.
func readState(dir string) serverState {
	var s serverState
	b, err := os.ReadFile(stateFile(dir))
	if err == nil {
		_ = json.Unmarshal(b, &s)
	}
	return s
}
