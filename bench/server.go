package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// target is a server under load.
type target struct {
	name string
	// process is nil where it is this one.
	process *process
	// address is host:port.
	address string
	// databasePID is the PostgreSQL that the server stores in.
	databasePID int
}

// cpu is the processor time used up to now by the server and its PostgreSQL.
func (t *target) cpu() (cpuTime, error) {
	if t.process == nil { // what it uses cannot be told from what the generator does
		return measureCPU(t.databasePID, t.databasePID)
	}
	return measureCPU(t.process.cmd.Process.Pid, t.databasePID)
}

// sibyl is the built server with a data directory of its own, which is removed at the end.
type sibyl struct {
	target
	data string
	// databaseURL is of the embedded PostgreSQL; it has the password in it.
	databaseURL string
	version     string
}

// listening is the line of the log that tells where the server listens.
var listening = regexp.MustCompile(`listening.*http://([^"\s]+)`)

// startSibyl starts the server with its defaults, on a free port, an empty database somewhere in a directory, and a copy
// of a model's directory as its repository.
func startSibyl(ctx context.Context, binary, directory, model string) (_ *sibyl, err error) {
	version, err := exec.CommandContext(ctx, binary, "version").Output()
	if err != nil {
		return nil, fmt.Errorf("%s version: %w", binary, err)
	}
	data, err := os.MkdirTemp(directory, "sibyl-bench-")
	if err != nil {
		return nil, err
	}
	s := &sibyl{data: data, version: firstLine(version)}
	if err := repositoryOf(model, s.models()); err != nil {
		return nil, errors.Join(err, os.RemoveAll(data))
	}
	cmd := exec.Command(binary, "serve", "--address", "127.0.0.1:0", "--data", data, "--models", s.models())
	cmd.Env = cleanEnvironment()
	if s.process, err = start(cmd, "sibyl"); err != nil {
		return nil, errors.Join(err, os.RemoveAll(data))
	}
	if err := s.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// models is the server's model repository.
func (s *sibyl) models() string { return filepath.Join(s.data, "models") }

func (s *sibyl) awaitReady(ctx context.Context) (err error) {
	s.name = "Sibyl"
	if s.address, err = s.process.await(ctx, listening); err != nil {
		return err
	}
	s.databaseURL, s.databasePID, err = embeddedDatabase(s.data)
	return err
}

// stop ends the server and removes its data.
func (s *sibyl) stop() error {
	err := s.process.stop()
	return errors.Join(err, os.RemoveAll(s.data))
}

// embeddedDatabase gives URL and process of the PostgreSQL that a server runs on a data directory: postgres.json tells
// where it listens, postgres.password its password.
func embeddedDatabase(data string) (databaseURL string, pid int, err error) {
	state, err := os.ReadFile(filepath.Join(data, "postgres.json"))
	if err != nil {
		return "", 0, fmt.Errorf("embedded database: %w", err)
	}
	password, err := os.ReadFile(filepath.Join(data, "postgres.password"))
	if err != nil {
		return "", 0, fmt.Errorf("embedded database: %w", err)
	}
	var found struct {
		Postmaster int    `json:"postmaster"`
		Sockets    string `json:"sockets"`
	}
	if err := json.Unmarshal(state, &found); err != nil {
		return "", 0, fmt.Errorf("embedded database: %w", err)
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("sibyl", strings.TrimSpace(string(password))), Path: "/sibyl",
		RawQuery: "host=" + url.PathEscape(found.Sockets) + "&port=5432&sslmode=disable",
	}
	return u.String(), found.Postmaster, nil
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return line
}
