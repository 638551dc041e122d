package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// startTimeout bounds the start of a server on a busy machine, the making of its database with it.
	startTimeout = 2 * time.Minute
	// stopTimeout is longer than what the servers give themselves to finish.
	stopTimeout = 45 * time.Second
	// tailLines is how much of what a process said its error tells.
	tailLines = 15
)

// process is a child that this program started and ends by its ID.
type process struct {
	cmd  *exec.Cmd
	name string
	// lines are what it says, until nobody reads them.
	lines  chan string
	exited chan struct{}

	mu   sync.Mutex // guards what follows
	tail []string
}

// start runs a command in a process group of its own, so that a Ctrl-C reaches this program alone.
func start(cmd *exec.Cmd, name string) (*process, error) {
	p := &process{cmd: cmd, name: name, lines: make(chan string, 256), exited: make(chan struct{})}
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go p.listen(r)
	go func() {
		_ = cmd.Wait() // its exit code tells nothing that is needed: a process that ends too early is an error anyway
		_ = w.Close()
		close(p.exited)
	}()
	return p, nil
}

// listen hands lines on while there is room, and keeps the last ones.
func (p *process) listen(r io.Reader) {
	defer close(p.lines)
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		line := scanner.Text()
		p.mu.Lock()
		p.tail = append(p.tail[max(0, len(p.tail)-tailLines+1):], line)
		p.mu.Unlock()
		select {
		case p.lines <- line:
		default: // nobody waits for a line any more
		}
	}
	_, _ = io.Copy(io.Discard, r) // a line too long for the scanner must not stop the process
}

// await reads lines until one matches, and gives the pattern's first group.
func (p *process) await(ctx context.Context, pattern *regexp.Regexp) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		select {
		case line, more := <-p.lines:
			if !more {
				return "", p.said(errors.New("ended"))
			}
			if match := pattern.FindStringSubmatch(line); match != nil {
				return match[1], nil
			}
		case <-ctx.Done():
			return "", p.said(ctx.Err())
		}
	}
}

// said adds the process's last lines to an error.
func (p *process) said(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Errorf("%s: %w; it said:\n%s", p.name, err, strings.Join(p.tail, "\n"))
}

// stop asks the process to end, and waits until it has.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopTimeout):
	}
	err := p.said(fmt.Errorf("did not end within %v", stopTimeout))
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // its group: its children too
	<-p.exited
	return err
}

// cleanEnvironment is this process's without what configures Sibyl or PostgreSQL's clients, so that every run measures
// the defaults. Where the libraries are is kept.
func cleanEnvironment() []string {
	var kept []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		libraries := name == "SIBYL_ONNXRUNTIME" || name == "SIBYL_LIBVIPS" || name == "SIBYL_POSTGRES"
		if libraries || !strings.HasPrefix(name, "SIBYL_") && !strings.HasPrefix(name, "PG") && name != "DATABASE_URL" {
			kept = append(kept, variable)
		}
	}
	return kept
}
