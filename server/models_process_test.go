package main_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	server "sibyl/server"
)

// awayBeside is a repository with a model that works, one that is FAILED, and one whose server is away.
func awayBeside(t *testing.T) string {
	t.Helper()
	repository := t.TempDir()
	for _, model := range []string{"batch1", "text"} {
		from := os.DirFS(filepath.Join("..", "inference", "testdata", "models", model))
		if err := os.CopyFS(filepath.Join(repository, model), from); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }() // nobody listens there from then on
	if err := os.Mkdir(filepath.Join(repository, "away"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := "remote: {url: \"grpc://" + listener.Addr().String() + "\"}"
	if err := os.WriteFile(filepath.Join(repository, "away", "config.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return repository
}

// TestModelsCommand holds that each version has a row, and each that does not answer its cause.
func TestModelsCommand(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	var table, log bytes.Buffer
	command := exec.CommandContext(t.Context(), path, "models", "--models", awayBeside(t))
	command.Stdout, command.Stderr = &table, &log
	if err := command.Run(); !errors.As(err, new(*exec.ExitError)) {
		t.Error(err)
	}
	for _, want := range []string{
		"away    1        LOADING", "batch1  1        READY", "text    1        FAILED", "away 1 is LOADING: ",
	} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("%q is not in\n%s", want, &table)
		}
	}
	for _, want := range []string{"connection refused", "2 of 3 versions do not answer"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is not in\n%s", want, &log)
		}
	}
}

// TestModelsCommandMissesTheServingVersion: a server with this repository would not be ready either.
func TestModelsCommandMissesTheServingVersion(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	repository := t.TempDir()
	from := os.DirFS(filepath.Join("..", "inference", "testdata", "models", "batch1"))
	if err := os.CopyFS(filepath.Join(repository, "m"), from); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(repository, "m", "config.yaml"), []byte("versions: {serving: 9}"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), path, "models", "--models", repository).CombinedOutput()
	if !errors.As(err, new(*exec.ExitError)) || !strings.Contains(string(out), `version 9 of "m" is to serve`) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestReadyTellsWhichModelIsNot holds that a server is not ready while a model beside others is away, and is where one is
// FAILED.
func TestReadyTellsWhichModelIsNot(t *testing.T) {
	repository := awayBeside(t)
	s := newServer(t, func(c *server.Config) { c.Models, c.DefaultModel = repository, "batch1" })
	status, body := s.get(t, "/readyz")
	if status != 503 || !strings.Contains(body, `"model not ready: no version of \"away\" is READY"`) ||
		strings.Contains(body, "text") {
		t.Errorf("%d %s", status, body)
	}
	if err := os.RemoveAll(filepath.Join(repository, "away")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { status, _ := s.get(t, "/readyz"); return status == 200 })
}
