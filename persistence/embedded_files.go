package persistence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	socketFile = ".s.PGSQL.5432"
	// maxSocketPath is what fits into sockaddr_un: 107 bytes on Linux, 103 on macOS.
	maxSocketPath = 103
)

// makeDataDirectory makes a private directory where there is none. Those above it are as the umask wants them.
func makeDataDirectory(dir string) error {
	err := os.MkdirAll(filepath.Dir(dir), 0o777)
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}

// makeSocketDirectory is run/ in the data directory, or a private directory of the system's temporary ones where that
// path is too long for a socket or has a character that connection strings give a meaning.
func (c *cluster) makeSocketDirectory() (string, error) {
	path := filepath.Join(c.dir, "run")
	var err error
	if len(filepath.Join(path, socketFile)) <= maxSocketPath && !strings.ContainsAny(path, `,"\`) {
		err = os.MkdirAll(path, 0o700)
	} else if path, err = os.MkdirTemp("", "sibyl-"); err == nil && len(path) > maxSocketPath-len(socketFile)-1 {
		_ = os.Remove(path)
		path, err = os.MkdirTemp("/tmp", "sibyl-")
	}
	if err != nil {
		return "", fmt.Errorf("socket directory: %w", err)
	}
	return path, c.account.own(path)
}

// removeSockets removes what a server that has ended may have left in its socket directory.
func removeSockets(sockets string) error {
	for _, name := range []string{socketFile, socketFile + ".lock"} {
		if err := os.Remove(filepath.Join(sockets, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("stale socket: %w", err)
		}
	}
	return nil
}

// removeSocketDirectory also removes the directory, unless it is the one in the data directory.
func removeSocketDirectory(dir, sockets string) error {
	if err := removeSockets(sockets); err != nil || filepath.Dir(sockets) == dir {
		return err
	}
	return os.Remove(sockets)
}

// replaceFile writes a file of mode 0600 so that readers see the old content or the new.
func replaceFile(path string, content []byte) error {
	fresh := path + ".new"
	if err := os.WriteFile(fresh, content, 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

// writeFileDurably writes a file of mode 0600 that survives a power cut once this has returned.
func writeFileDurably(path string, content []byte) error {
	if err := replaceFile(path, content); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), syncDirectory(filepath.Dir(path)))
}

func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// globEscape makes a path that filepath.Glob takes literally.
func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
