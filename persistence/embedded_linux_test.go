package persistence_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sibyl/persistence/persistencetest"
)

const nobody = 65534

// accounts are the ways to be somebody, as changes of the process that serves.
var accounts = map[string]func(*exec.Cmd){
	// Root in a container that has all users but no user namespaces.
	"root without namespaces": func(cmd *exec.Cmd) {
		all := []syscall.SysProcIDMap{{Size: nobody + 1}}
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWUSER, UidMappings: all, GidMappings: all, GidMappingsEnableSetgroups: true,
		}
		cmd.Env = append(cmd.Env, refuseVariable+"=1")
	},
	"an ordinary user": func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	},
}

func TestEmbeddedAsSomebodyElse(t *testing.T) {
	persistencetest.Need(t, "root", os.Geteuid() == 0)
	program := publicCopy(t) // before other tests fork: a child that has it open for writing forbids to run it
	t.Parallel()
	for name, account := range accounts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := publicDirectory(t)
			for range 2 { // a first start, and one on what it has left
				parent := startParent(t, dir, func(cmd *exec.Cmd) {
					cmd.Path, cmd.Args[0] = program, program
					account(cmd)
				})
				url := runningURL(t, dir)
				execute(t, url, "CREATE TABLE IF NOT EXISTS kept (n int)", "INSERT INTO kept VALUES (7)")
				kill(t, parent.Process.Pid)
				_ = parent.Wait()
			}
			if got := ask[int](t, startEmbedded(t, dir).URL(), "SELECT count(*) FROM kept"); got != 2 {
				t.Errorf("%d rows kept, want 2", got)
			}
			info, err := os.Stat(filepath.Join(dir, "pgdata"))
			if err != nil || info.Sys().(*syscall.Stat_t).Uid != nobody {
				t.Errorf("the database is not nobody's (%v)", err)
			}
		})
	}
}

func TestEmbeddedServerIsApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	startEmbedded(t, dir)
	server := postmaster(t, dir)
	group, err := syscall.Getpgid(server)
	if err != nil || group == syscall.Getpgrp() {
		t.Errorf("process group %d (%v): the terminal's Ctrl-C would reach the server", group, err)
	}
	secret := os.Getenv("AWS_SECRET_ACCESS_KEY") // which all tests have
	environ := readFile(t, fmt.Sprintf("/proc/%d/environ", server))
	if secret == "" || strings.Contains(environ, secret) {
		t.Error("the server sees our environment")
	}
	password := strings.TrimSpace(readFile(t, filepath.Join(dir, "postgres.password")))
	if arguments := readFile(t, fmt.Sprintf("/proc/%d/cmdline", server)); strings.Contains(arguments, password) {
		t.Error("the password is an argument of the server")
	}
}

// publicDirectory is a temporary directory that belongs to nobody and that all users can reach.
func publicDirectory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sibyl-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	return dir
}

// publicCopy is this test program where other users can run it.
func publicCopy(t *testing.T) string {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(own)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	path := filepath.Join(publicDirectory(t), "program")
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
