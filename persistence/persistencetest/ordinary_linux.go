package persistencetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// ordinary lets a program that refuses to be root run as whoever the server of this test binary is, whose sockets and
// own directory it must reach.
func ordinary(t *testing.T, command *exec.Cmd, sockets string, own string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	info, err := os.Stat(sockets)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if owner.Uid == 0 { // as the server does: in a user namespace, where root has another number
		const inside = 1000
		command.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: inside, HostID: 0, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: inside, HostID: 0, Size: 1}},
		}
		return
	}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	paths, _ := filepath.Glob(filepath.Join(own, "*"))
	for _, path := range append(paths, own) {
		if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}
