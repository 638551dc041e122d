package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
)

const (
	peerDirectory = "bench/peer"
	// peerDatabase lies beside Sibyl's own in the same PostgreSQL.
	peerDatabase = "peer"
)

var (
	peerListening = regexp.MustCompile(`Uvicorn running on http://(\S+)`)
	peerWorker    = regexp.MustCompile(`Application startup (complete)`)
)

// startPeer starts the Python service with a worker for each core, two at least, on a free port and a database of its
// own in Sibyl's PostgreSQL.
func startPeer(ctx context.Context, s *sibyl, python, model string) (*target, error) {
	interpreter, err := installPeer(ctx, python)
	if err != nil {
		return nil, err
	}
	databaseURL, err := createDatabase(ctx, s.databaseURL, peerDatabase)
	if err != nil {
		return nil, err
	}
	if model, err = filepath.Abs(model); err != nil {
		return nil, err
	}
	workers := max(2, runtime.NumCPU())
	cmd := exec.Command(interpreter, "-m", "uvicorn", "main:app", "--app-dir", peerDirectory,
		"--host", "127.0.0.1", "--port", "0", "--workers", strconv.Itoa(workers),
		"--loop", "uvloop", "--http", "httptools", "--no-access-log")
	cmd.Env = append(cleanEnvironment(), "DATABASE_URL="+databaseURL, "MODEL="+model,
		"PYTHONDONTWRITEBYTECODE=1")
	process, err := start(cmd, "peer")
	if err != nil {
		return nil, err
	}
	t := &target{name: "peer", process: process, databasePID: s.databasePID}
	if err := t.awaitWorkers(ctx, workers); err != nil {
		return nil, errors.Join(err, process.stop())
	}
	return t, nil
}

// awaitWorkers waits for all of them: one alone would take all connections.
func (t *target) awaitWorkers(ctx context.Context, workers int) (err error) {
	if t.address, err = t.process.await(ctx, peerListening); err != nil {
		return err
	}
	for range workers {
		if _, err := t.process.await(ctx, peerWorker); err != nil {
			return err
		}
	}
	return nil
}

// installPeer makes the peer's virtual environment, anew where its requirements have changed, and gives its Python.
func installPeer(ctx context.Context, python string) (string, error) {
	requirements := filepath.Join(peerDirectory, "requirements.txt")
	wanted, err := os.ReadFile(requirements)
	if err != nil {
		return "", fmt.Errorf("run this in the root of the repository: %w", err)
	}
	environment := filepath.Join(peerDirectory, ".venv")
	interpreter := filepath.Join(environment, "bin", "python")
	marker := filepath.Join(environment, "installed")
	digest := sha256.Sum256(wanted)
	sum := hex.EncodeToString(digest[:])
	installed, err := os.ReadFile(marker)
	if err == nil && string(installed) == sum {
		return interpreter, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	fmt.Fprintln(os.Stderr, "installing the peer's packages in", environment)
	for _, command := range [][]string{
		{python, "-m", "venv", "--clear", environment},
		{interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements},
	} {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("install the peer: %w", err)
		}
	}
	return interpreter, os.WriteFile(marker, []byte(sum), 0o644)
}
