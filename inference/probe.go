package inference

import (
	"context"
	"encoding/json"
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

// probeIdle is how long a probe's process is kept for the next version.
const probeIdle = 2 * time.Second

// probe loads and runs versions in a process of its own before this one does. What ONNX Runtime does wrong with a
// model ends the process that it does it in: a division that the processor refuses, a stack that is too small, all
// memory that there is, an hour of folding constants. It is safe for concurrent use.
type probe struct {
	command    []string
	library    string
	repository string
	warmUp     time.Duration

	// mu guards what follows, and is held while a version is tried.
	mu sync.Mutex
	// process is nil where none runs, and idle ends it.
	process *probeProcess
	idle    *time.Timer
}

// probeProcess is a child that runs ServeProbe.
type probeProcess struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	answers *json.Decoder
	stderr  head
}

// probeRequest asks for one version to be tried.
type probeRequest struct {
	Library, Repository string
	Model               string
	Version             int
	WarmUp              time.Duration
}

// probeAnswer is given twice: when the version begins to be loaded, from where on the model is to blame for what happens
// to the process, and when that is done.
type probeAnswer struct {
	Began bool
	// Unable tells why the process could not begin.
	Unable string
	// Reason tells why the version cannot be loaded; empty where it can. Memory tells that this is for want of memory.
	Reason string
	Memory bool
}

// refusal is why a version that was tried cannot be loaded on the CPU: it harmed nobody, and another provider may take
// it.
type refusal string

func (r refusal) Error() string { return string(r) }

// processEnd tells that the process ended before it had tried the version.
type processEnd struct{ error }

func (e processEnd) Unwrap() error { return e.error }

// newProbe is nil where versions are not tried.
func newProbe(o Options, library string, r *repository) *probe {
	if len(o.Probe) == 0 || r.dir == "" {
		return nil
	}
	return &probe{command: o.Probe, library: library, repository: r.dir, warmUp: o.WarmUp}
}

// try loads and runs a version, within the limit. The error is a refusal; or what the version does to the process that
// tries it; or ErrUnavailable where there is none that could try it.
func (p *probe) try(ctx context.Context, model string, version int, limit time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.idle != nil {
		p.idle.Stop()
	}
	request := probeRequest{p.library, p.repository, model, version, p.warmUp}
	err := p.ask(ctx, request, limit)
	if errors.As(err, new(processEnd)) { // the kernel may have ended it, which takes it first when memory is scarce
		err = p.ask(ctx, request, limit)
	}
	return err
}

// ask is try with one process: the one that rests, or a new one. mu is held.
func (p *probe) ask(ctx context.Context, request probeRequest, limit time.Duration) error {
	if p.process == nil {
		process, err := startProbe(p.command)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, readError("the process that tries models", err))
		}
		p.process = process
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not loaded and run once after %s", limit))
	defer cancel()
	answer, err := p.process.ask(ctx, request)
	if err != nil {
		p.process = nil
		return err
	}
	p.idle = time.AfterFunc(probeIdle, p.rest)
	switch {
	case answer.Unable != "":
		return fmt.Errorf("%w: the process that tries models: %s", ErrUnavailable, answer.Unable)
	case answer.Memory:
		return errors.New(answer.Reason)
	case answer.Reason != "":
		return refusal(answer.Reason)
	}
	return nil
}

// rest ends the process; the next version starts another.
func (p *probe) rest() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process != nil {
		_ = p.process.end()
		p.process = nil
	}
}

func startProbe(command []string) (*probeProcess, error) {
	p := &probeProcess{command: exec.Command(command[0], command[1:]...)}
	// Its traces are of no use here, and an interrupt at the terminal is for this process alone.
	p.command.Env = append(os.Environ(), "GOTRACEBACK=none")
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.command.Stderr = &p.stderr
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.stdin, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	p.answers = json.NewDecoder(stdout)
	return p, p.command.Start()
}

// ask waits for the last answer. After an error it has ended. The error is ctx's cause, or tells how the process ended;
// it is ErrUnavailable where that is not the model's doing.
func (p *probeProcess) ask(ctx context.Context, request probeRequest) (answer probeAnswer, err error) {
	kill := context.AfterFunc(ctx, func() { _ = p.command.Process.Kill() })
	defer kill()
	if err = json.NewEncoder(p.stdin).Encode(request); err == nil {
		err = p.answers.Decode(&answer)
	}
	began := err == nil && answer.Began
	if began {
		answer = probeAnswer{}
		err = p.answers.Decode(&answer)
	}
	if err == nil && ctx.Err() == nil {
		return answer, nil
	}
	ended := p.end()
	switch exited := errors.As(ended, new(*exec.ExitError)); {
	case ctx.Err() != nil && began:
		err = context.Cause(ctx)
	case ctx.Err() != nil:
		err = fmt.Errorf("%w: the process that tries models does not begin: %w", ErrUnavailable, context.Cause(ctx))
	case exited && began:
		err = processEnd{fmt.Errorf("ONNX Runtime ended the process that tried it: %s", p.words(ended))}
	case exited:
		err = processEnd{fmt.Errorf("%w: the process that tries models ended: %s", ErrUnavailable, p.words(ended))}
	default:
		err = processEnd{fmt.Errorf("%w: the process that tries models: %w", ErrUnavailable, errors.Join(err, ended))}
	}
	return probeAnswer{}, err
}

// crashLine is what the runtimes of Go and C++ say first when a signal or want of memory ends a process.
var crashLine = regexp.MustCompile(
	`(?m)^(SIG[A-Z]+: .*|fatal error: .*|.*out of memory.*|terminate called .*|runtime/cgo: pthread_create failed.*)$`)

// words tell why the process ended.
func (p *probeProcess) words(ended error) string {
	line := string(crashLine.Find(p.stderr.text))
	switch {
	case line == "":
		return ended.Error()
	case strings.Contains(line, "pthread_create"): // which speaks of a resource
		return line + " (no memory for its stack, mostly)"
	}
	return line
}

// end asks the process to end, or makes it, and waits.
func (p *probeProcess) end() error {
	_ = p.stdin.Close()
	late := time.AfterFunc(probeIdle, func() { _ = p.command.Process.Kill() })
	defer late.Stop()
	return p.command.Wait()
}

// head keeps the first bytes that are written.
type head struct{ text []byte }

func (h *head) Write(text []byte) (int, error) {
	const most = 4096
	h.text = append(h.text, text[:min(len(text), most-len(h.text))]...)
	return len(text), nil
}

// ServeProbe is the main function of the process that Options.Probe names: it tries one version after the other, as it
// is asked for on in, with no more memory than there is. It returns when in ends, even while a version is tried.
func ServeProbe(in io.Reader, out io.Writer) error {
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) // this process first, where Linux kills
	requests := make(chan probeRequest)
	defer close(requests)
	go func() {
		answer := func(a probeAnswer) {
			_ = json.NewEncoder(out).Encode(a) // who asked is gone where it fails, and so ends in
		}
		for request := range requests {
			answer(request.try(func() { answer(probeAnswer{Began: true}) }))
		}
	}()
	for decoder := json.NewDecoder(in); ; {
		var request probeRequest
		if err := decoder.Decode(&request); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		requests <- request
	}
}

// noMemory is how ONNX Runtime says that it got none.
var noMemory = regexp.MustCompile(`bad.alloc|[Ff]ailed to allocate memory`)

// try loads the version, when it has told that it begins.
func (r probeRequest) try(begin func()) probeAnswer {
	limitMemory()
	l, err := r.loader()
	if err != nil {
		return probeAnswer{Unable: err.Error()}
	}
	begin()
	v, err := l.load(context.Background(), r.Model, r.Version)
	if err != nil {
		return probeAnswer{Reason: err.Error(), Memory: noMemory.MatchString(err.Error())}
	}
	_ = v.close()
	return probeAnswer{}
}

// loader loads from the same repository as the one that asks, on the CPU alone.
func (r probeRequest) loader() (*loader, error) {
	repository, err := openRepository(r.Repository)
	if err != nil {
		return nil, err
	}
	if err := openRuntime(r.Library); err != nil {
		return nil, err
	}
	cpu, err := openProviders(context.Background(), r.Library, Options{Provider: ProviderCPU}.withDefaults())
	if err != nil {
		return nil, err
	}
	return &loader{repository: repository, providers: cpu, warmUp: r.WarmUp, trial: true}, nil
}

// limitMemory lets this process have nine tenths of the memory that is free, so that a model that asks for more gets an
// error.
func limitMemory() {
	available, used := availableMemory(), kilobytes("/proc/self/status", "VmData")
	if available == 0 || used == 0 {
		return
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_DATA, &limit) == nil {
		limit.Cur = min(used+available/10*9, limit.Max)
		_ = syscall.Setrlimit(syscall.RLIMIT_DATA, &limit)
	}
}
