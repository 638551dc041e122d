package persistencetest

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pooledConnections are those that PgBouncer has to the server: fewer than its clients, so that they share them.
const pooledConnections = 3

// PgBouncer starts one in front of a database of this test binary's server, and returns the URL with which it is reached
// through it, in transactions. It takes no setting of its clients but those that it knows. Where the program is missing
// the test is skipped as Need does.
func PgBouncer(t *testing.T, database string) string {
	t.Helper()
	binary, err := exec.LookPath("pgbouncer")
	if err != nil {
		binary, err = exec.LookPath("/usr/sbin/pgbouncer")
	}
	Need(t, "apt's pgbouncer", err == nil)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal("persistencetest: the database's URL cannot be parsed")
	}
	sockets, address := u.Query().Get("host"), freeAddress(t)
	dir, err := os.MkdirTemp("", "sibyl-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	command := exec.Command(binary, configurePgBouncer(t, dir, address, u))
	ordinary(t, command, sockets, dir)
	startServer(t, command, address)
	u.Host, u.User, u.RawQuery = address, url.User(u.User.Username()), ""
	return u.String()
}

// configurePgBouncer writes its configuration, and returns the path.
func configurePgBouncer(t *testing.T, dir, address string, server *url.URL) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(address)
	password, _ := server.User.Password()
	path := filepath.Join(dir, "pgbouncer.ini")
	text := fmt.Sprintf(`[databases]
* = host=%s port=5432 user=%s password=%s
[pgbouncer]
listen_addr = %s
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = %d
max_client_conn = 1000
`, server.Query().Get("host"), server.User.Username(), "'"+strings.ReplaceAll(password, "'", "''")+"'", host, port,
		pooledConnections)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// startServer starts a server and waits until it answers. The end of the test kills it.
func startServer(t *testing.T, command *exec.Cmd, address string) {
	t.Helper()
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	}
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			t.Cleanup(kill)
			return
		}
		if time.Now().After(deadline) {
			kill()
			t.Fatalf("persistencetest: %s does not answer: %s", filepath.Base(command.Path), &said)
		}
	}
}
