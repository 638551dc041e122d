package persistence

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// embeddedName is the database and its owner.
const embeddedName = "sibyl"

// cluster is the data directory of an embedded server and the binaries that belong to it.
type cluster struct {
	dir, pgdata string
	binaries    string
	sockets     string   // directory of the Unix socket
	password    string   // of embeddedName, also in postgres.password
	account     account  // as whom the server runs
	created     bool     // by this process
	arguments   []string // of postgres
	cleared     bool     // nothing of an earlier server is left; only the supervisor writes and reads this
}

// openCluster makes sure that there is a database in a locked directory and that these binaries can serve it.
func openCluster(ctx context.Context, dir, binaries string) (*cluster, error) {
	c := &cluster{dir: dir, pgdata: filepath.Join(dir, "pgdata"), binaries: binaries}
	var err error
	if c.account, err = accountFor(c.pgdata, binaries); err != nil {
		return nil, err
	}
	if err := errors.Join(c.account.enter(dir), c.account.own(lockFile(dir))); err != nil {
		return nil, err
	}
	exists, err := c.checkVersion(ctx)
	if err != nil {
		return nil, err
	}
	if c.password, err = c.readPassword(!exists); err != nil {
		return nil, err
	}
	if !exists {
		if err := c.create(ctx); err != nil {
			return nil, err
		}
		c.created = true
	} else if err := c.account.ownAll(c.pgdata); err != nil {
		return nil, err
	}
	c.sockets, err = c.makeSocketDirectory()
	return c, err
}

// HasEmbedded tells whether a data directory has a database.
func HasEmbedded(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "pgdata", "PG_VERSION"))
	return !errors.Is(err, fs.ErrNotExist)
}

// checkVersion tells whether there is a database, and refuses one that these binaries cannot read.
func (c *cluster) checkVersion(ctx context.Context) (exists bool, err error) {
	b, err := os.ReadFile(filepath.Join(c.pgdata, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		entries, _ := os.ReadDir(c.pgdata)
		if len(entries) > 0 {
			return false, fmt.Errorf("%s is not empty, but no PostgreSQL database: move it away", c.pgdata)
		}
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("database version: %w", err)
	}
	major, err := postgresMajor(ctx, c.binaries)
	if err != nil {
		return false, err
	}
	if made := strings.TrimSpace(string(b)); made != fmt.Sprint(major) {
		return false, fmt.Errorf("%s was made by PostgreSQL %s, but %s is PostgreSQL %d: use binaries of version %s, "+
			"or another data directory", c.pgdata, made, c.binaries, major, made)
	}
	return true, nil
}

// readPassword reads the password, and makes it first where there is no database yet.
func (c *cluster) readPassword(create bool) (string, error) {
	b, err := os.ReadFile(c.passwordFile())
	if password := strings.TrimSpace(string(b)); err == nil && password != "" {
		return password, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("database password: %w", err)
	}
	if !create {
		return "", fmt.Errorf("%s has a database, but its password file %s is missing or empty: restore it",
			c.pgdata, c.passwordFile())
	}
	password := rand.Text()
	if err := writeFileDurably(c.passwordFile(), []byte(password+"\n")); err != nil {
		return "", fmt.Errorf("database password: %w", err)
	}
	return password, nil
}

func (c *cluster) passwordFile() string { return filepath.Join(c.dir, "postgres.password") }

// create runs initdb beside the place of the database and moves the result there, so that a start that is killed
// leaves either no database or a whole one.
func (c *cluster) create(ctx context.Context) error {
	leftovers, _ := filepath.Glob(filepath.Join(globEscape(c.dir), "pgdata-new-*"))
	for _, old := range leftovers {
		_ = os.RemoveAll(old) // only space is lost when it cannot be removed
	}
	fresh, err := os.MkdirTemp(c.dir, "pgdata-new-")
	if err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	if err := errors.Join(c.account.own(fresh), c.account.own(c.passwordFile())); err != nil {
		return err
	}
	if err := c.initdb(ctx, fresh); err != nil {
		return errors.Join(err, os.RemoveAll(fresh))
	}
	if err := os.Rename(fresh, c.pgdata); err != nil {
		return fmt.Errorf("create database: %w", err)
	}
	return syncDirectory(c.dir)
}

func (c *cluster) initdb(ctx context.Context, pgdata string) error {
	cmd := c.command("initdb", syscall.SIGTERM, "--pgdata="+pgdata, "--username="+embeddedName,
		"--pwfile="+c.passwordFile(), "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums",
		"--no-instructions")
	output, err := runUntil(ctx, cmd)
	if err != nil {
		return fmt.Errorf("create database: initdb: %w\n%s%s", err, output, c.account.hint())
	}
	return nil
}

// runUntil runs a command and gives its output; when the context ends first it ends the command.
func runUntil(ctx context.Context, cmd *exec.Cmd) (string, error) {
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = lingering
	if err := cmd.Start(); err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	err := cmd.Wait()
	if !stop() {
		err = ctx.Err()
	}
	return strings.TrimSpace(output.String()), err
}

// command is a program of PostgreSQL, run as the cluster's account in a process group of its own, so that the
// terminal's Ctrl-C does not reach it. The signal is sent to it when the thread that starts it ends.
func (c *cluster) command(program string, parentDeath syscall.Signal, arguments ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.binaries, program), arguments...)
	cmd.Dir = c.dir
	cmd.Env = childEnvironment()
	cmd.SysProcAttr = c.account.attributes(parentDeath)
	return cmd
}

// childEnvironment is what PostgreSQL sees of ours: nothing that changes its behaviour, and no secrets.
func childEnvironment() []string {
	env := []string{"LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"PATH", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// serverArguments are the arguments of postgres: ours, then the caller's, of which the last wins.
func serverArguments(c *cluster, extra map[string]string) []string {
	arguments := []string{"-D", c.pgdata}
	for _, setting := range []string{
		"listen_addresses=", "port=5432", "unix_socket_directories=" + c.sockets, "unix_socket_permissions=0700",
		"password_encryption=scram-sha-256", "max_connections=100", "cluster_name=" + embeddedName,
		"fsync=on", "full_page_writes=on", "synchronous_commit=on",
		"shared_buffers=128MB", "wal_buffers=16MB", "max_wal_size=2GB", "checkpoint_timeout=15min",
		"jit=off", "random_page_cost=1.1", "timezone=UTC", "log_timezone=UTC",
		"logging_collector=off", "log_destination=stderr", "log_line_prefix=", "log_checkpoints=off",
	} {
		arguments = append(arguments, "-c", setting)
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		arguments = append(arguments, "-c", name+"="+extra[name])
	}
	return arguments
}

func (c *cluster) url() string { return embeddedURL(c.sockets, c.password, embeddedName) }

// maintenanceURL leads to the database that is always there.
func (c *cluster) maintenanceURL() string { return embeddedURL(c.sockets, c.password, "postgres") }

// embeddedURL is a connection URL for pgx and libpq. (libpq reads + as itself, so a space has to be %20.)
func embeddedURL(sockets, password, database string) string {
	u := url.URL{
		Scheme: "postgres",
		User:   url.UserPassword(embeddedName, password),
		Path:   "/" + database,
		RawQuery: "host=" + strings.ReplaceAll(url.QueryEscape(sockets), "+", "%20") +
			"&port=5432&sslmode=disable",
	}
	return u.String()
}
