package persistence

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// maxFailures is how many starts in a row may fail before the supervisor gives up (after about a minute). Only tests
// change it.
var maxFailures = 10

const (
	// lingering is how long the children of a dead server may keep its output open before they are ended.
	lingering = 10 * time.Second
	// stillInUse is what PostgreSQL says when processes of an earlier server are there that clear could not see, as
	// those in another user namespace.
	stillInUse = "pre-existing shared memory block"
)

// supervise keeps a server running until Close. It stays on its thread all its life: the parent-death signal of a child
// comes when the thread that started it ends.
func (e *Embedded) supervise(run context.Context) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(e.exited)
	defer e.release()
	for failures := 0; ; failures++ {
		answered, err := e.serve(run)
		if run.Err() != nil {
			return
		}
		if answered {
			failures = 0
		}
		if e.hopeless(failures) {
			e.giveUp(err)
			return
		}
		delay := min(100*time.Millisecond<<min(failures, 10), 10*time.Second)
		e.logger.Warn("postgres does not run, starting it again", "reason", err, "delay", delay)
		select {
		case <-run.Done():
			return
		case <-time.After(delay):
		}
	}
}

// hopeless tells whether to give up after so many failures. A full disk has room again some time, and nothing else is
// wrong then.
func (e *Embedded) hopeless(failures int) bool {
	if !e.wasReady() && !e.output.says(stillInUse) {
		return true
	}
	return failures >= maxFailures && !e.output.toldFull()
}

// release gives back what the data directory holds for a running server.
func (e *Embedded) release() {
	e.mu.Lock()
	e.cancel()
	e.mu.Unlock()
	if err := errors.Join(e.cluster.forget(), unlockDirectory(e.lock)); err != nil {
		e.logger.Warn("data directory not tidy", "error", err)
	}
}

func (e *Embedded) giveUp(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = err
}

func (e *Embedded) wasReady() bool {
	select {
	case <-e.ready:
		return true
	default:
		return false
	}
}

// serve runs one server from start to end. It tells whether it ever answered, and why it ended.
func (e *Embedded) serve(run context.Context) (answered bool, err error) {
	began := time.Now()
	e.output.begin()
	if err := e.cluster.clear(run, e.logger); err != nil {
		return false, err
	}
	cmd, err := e.spawn(run)
	if err != nil {
		return false, err
	}
	alive, died := context.WithCancel(run)
	watch := make(chan error, 1)
	go func() {
		err := e.awaitAnswer(alive, cmd, began)
		if err != nil {
			e.signal(syscall.SIGINT) // it runs, but cannot be used
		}
		watch <- err
	}()
	ended := e.wait(cmd)
	died()
	switch err := <-watch; {
	case errors.Is(err, context.Canceled):
		return false, fmt.Errorf("start postgres: %w%s", ended, e.output.tail())
	case err != nil:
		return false, fmt.Errorf("start postgres: %w", err)
	}
	return true, ended
}

// spawn starts a server and writes down its process. It refuses after Close.
func (e *Embedded) spawn(run context.Context) (*exec.Cmd, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if run.Err() != nil {
		return nil, run.Err()
	}
	cmd := e.cluster.command("postgres", syscall.SIGINT, e.cluster.arguments...)
	cmd.Stdout, cmd.Stderr = e.output, e.output
	cmd.WaitDelay = lingering
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	e.process = cmd.Process
	if err := e.cluster.remember(cmd.Process.Pid, false); err != nil {
		e.logger.Warn("state of the database not written", "error", err)
	}
	return cmd, nil
}

// wait returns when the server has ended, and its children too: they share its output, whose end is waited for.
func (e *Embedded) wait(cmd *exec.Cmd) error {
	stopWatchdog := e.cluster.watchdog(cmd.Process.Pid)
	err := cmd.Wait()
	stopWatchdog()
	e.mu.Lock()
	e.process = nil
	e.mu.Unlock()
	if err == nil {
		err = errors.New("postgres ended")
	}
	return err
}

// awaitAnswer returns nil when the server accepts connections, and tells all who wait for that. The context alive ends
// with the server.
func (e *Embedded) awaitAnswer(alive context.Context, cmd *exec.Cmd, began time.Time) error {
	if err := awaitReady(alive, e.url, e.cluster.maintenanceURL()); err != nil {
		return err
	}
	e.output.quiet(false)
	if err := e.cluster.remember(cmd.Process.Pid, true); err != nil {
		e.logger.Warn("state of the database not written", "error", err)
	}
	e.logger.Info("database started", "pid", cmd.Process.Pid, "duration", time.Since(began))
	if !e.wasReady() {
		close(e.ready)
	}
	return nil
}
