//go:build unix && !linux

package persistence

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is as whom PostgreSQL runs: here always the user of this process, who cannot be root.
type account struct{}

func accountFor(string, string) (account, error) {
	if os.Geteuid() == 0 {
		return account{}, errors.New("PostgreSQL may not run as root: be an ordinary user, or use --database-url")
	}
	return account{}, nil
}

func (account) attributes(syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
func (account) enter(string) error  { return nil }
func (account) own(string) error    { return nil }
func (account) ownAll(string) error { return nil }
func (account) hint() string        { return "" }

// watchdog starts a shell that stops the server when this process is gone: then the pipe between them ends. There is no
// parent-death signal here.
func (c *cluster) watchdog(server int) (stop func()) {
	cmd := exec.Command("/bin/sh", "-c", `read -r line; kill -INT "$0"`, strconv.Itoa(server))
	cmd.SysProcAttr = c.account.attributes(0)
	pipe, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		return func() {} // the next start ends the server
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = pipe.Close()
		_ = cmd.Wait()
	}
}

// serversOn is the server that works in a database directory, by its process ID file; its children are not seen.
func serversOn(pgdata string) []int {
	pid := (&cluster{pgdata: pgdata}).postmaster()
	if pid <= 0 {
		return nil
	}
	command, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	text := string(command)
	if err != nil || !strings.Contains(text, "postgres") || !strings.Contains(text, filepath.Clean(pgdata)) {
		return nil
	}
	return []int{pid}
}
