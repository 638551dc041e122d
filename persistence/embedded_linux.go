package persistence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	nobody = 65534
	// namespaceUID is what root's ID looks like to a server in a user namespace: anything but 0.
	namespaceUID = 1000
)

// account is as whom PostgreSQL runs. It refuses to be root: then it runs in a user namespace, where root has another
// number, and where these are refused as the owner of its files or as nobody.
type account struct {
	uid, gid  int  // owner of its files
	namespace bool // only for root
}

// accountFor chooses the account for a database, which may not exist yet.
func accountFor(pgdata, binaries string) (account, error) {
	self := account{uid: os.Geteuid(), gid: os.Getegid()}
	owner := self
	info, err := os.Stat(pgdata)
	if err == nil {
		s := info.Sys().(*syscall.Stat_t)
		owner = account{uid: int(s.Uid), gid: int(s.Gid)}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return account{}, fmt.Errorf("database: %w", err)
	}
	if owner.uid != self.uid && self.uid != 0 {
		return account{}, fmt.Errorf("%s belongs to user %d, but this is user %d", pgdata, owner.uid, self.uid)
	}
	if owner.uid != 0 {
		return owner, nil
	}
	self.namespace = true
	probe := exec.Command(filepath.Join(binaries, "postgres"), "--version")
	probe.SysProcAttr = self.attributes(syscall.SIGKILL)
	if probe.Run() == nil {
		return self, nil
	}
	return account{uid: nobody, gid: nobody}, nil
}

// attributes makes a child run as this account, in a process group of its own, and get a signal when the thread that
// started it ends.
func (a account) attributes(parentDeath syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: parentDeath}
	switch {
	case a.namespace:
		attr.Cloneflags = syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: namespaceUID, HostID: a.uid, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: namespaceUID, HostID: a.gid, Size: 1}}
	case a.foreign():
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}

// foreign tells whether the account is not the one of this process.
func (a account) foreign() bool { return a.uid != os.Geteuid() }

// enter lets the account reach the content of a directory.
func (a account) enter(dir string) error {
	if !a.foreign() {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if err := os.Chmod(dir, info.Mode().Perm()|0o111); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}

// own gives a file or an empty directory to the account.
func (a account) own(path string) error {
	if !a.foreign() {
		return nil
	}
	if err := os.Lchown(path, a.uid, a.gid); err != nil {
		return fmt.Errorf("give to user %d: %w", a.uid, err)
	}
	return nil
}

// ownAll gives a tree to the account, unless its root is the account's already.
func (a account) ownAll(root string) error {
	info, err := os.Stat(root)
	if err != nil {
		return err
	}
	if !a.foreign() || int(info.Sys().(*syscall.Stat_t).Uid) == a.uid {
		return nil
	}
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return a.own(path)
	})
}

// hint is a line for the error of a child that runs as somebody else.
func (a account) hint() string {
	if !a.foreign() {
		return ""
	}
	return fmt.Sprintf("\n(root may not run PostgreSQL and user namespaces are refused here, so it ran as user %d, "+
		"who must reach the binaries and the data directory; or run as an ordinary user, or use --database-url)", a.uid)
}

// watchdog is not needed here: the kernel tells the server that its parent is gone.
func (c *cluster) watchdog(int) (stop func()) { return func() {} }

// serversOn are the processes of PostgreSQL that work in a database directory, as all of a server do.
func serversOn(pgdata string) []int {
	home, err := os.Stat(pgdata)
	if err != nil {
		return nil
	}
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		cwd, err := os.Stat("/proc/" + entry.Name() + "/cwd")
		if err != nil || !os.SameFile(cwd, home) {
			continue
		}
		exe, _ := os.Readlink("/proc/" + entry.Name() + "/exe")
		if strings.HasPrefix(filepath.Base(exe), "postgres") { // also: "postgres (deleted)"
			pids = append(pids, pid)
		}
	}
	return pids
}
