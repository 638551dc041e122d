package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// within bounds the wait for what must happen at some time, on a busy machine.
const within = time.Minute

// binary builds the program once for all tests that need it as a process of its own, beside that of `make build`.
var binary = sync.OnceValues(func() (string, error) {
	path, err := filepath.Abs("../bin/sibyl-test")
	if err != nil {
		return "", err
	}
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// process is a `sibyl serve` of its own, on a data directory that outlives it.
type process struct {
	url     string
	command *exec.Cmd
	// exited is closed when the process has ended, with err set.
	exited chan struct{}
	err    error
	log    lockedBuffer
}

// lockedBuffer is what has been logged so far, by whichever goroutine.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer // guarded by mu
}

func (b *lockedBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(text)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// startProcess starts the server on port 0 and waits until it listens. The end of the test stops it.
func startProcess(t *testing.T, data string, arguments ...string) *process {
	t.Helper()
	p := launch(t, data, arguments...)
	deadline := time.After(within)
	listening := make(chan string, 1)
	go func() {
		for url := ""; url == ""; time.Sleep(10 * time.Millisecond) {
			select {
			case <-p.exited:
				return
			default:
			}
			if url = p.find("listening").URL; url != "" {
				listening <- url
			}
		}
	}()
	select {
	case p.url = <-listening:
	case <-p.exited:
		t.Fatalf("the server ended: %v\n%s", p.err, p.logged())
	case <-deadline:
		t.Fatalf("the server does not listen\n%s", p.logged())
	}
	return p
}

// launch starts the server and does not wait.
func launch(t *testing.T, data string, arguments ...string) *process {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	arguments = append([]string{"serve", "--address", "127.0.0.1:0", "--data", data, "--log-format", "json"}, arguments...)
	p := &process{command: exec.Command(path, arguments...), exited: make(chan struct{})}
	stderr, err := p.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			_, _ = p.log.Write(append(lines.Bytes(), '\n'))
		}
		p.err = p.command.Wait()
	}()
	t.Cleanup(p.end)
	return p
}

// entry is a line of the log.
type entry struct {
	Msg string
	URL string
	PID int
}

// find returns the first line of the log with the message; the zero entry where there is none.
func (p *process) find(message string) entry {
	for line := range strings.Lines(p.logged()) {
		var e entry
		if json.Unmarshal([]byte(line), &e) == nil && e.Msg == message {
			return e
		}
	}
	return entry{}
}

// databasePID is the process of the embedded PostgreSQL.
func (p *process) databasePID(t *testing.T) int {
	t.Helper()
	pid := p.find("database started").PID
	if pid == 0 {
		t.Fatalf("the log tells no process of the database\n%s", p.logged())
	}
	return pid
}

func (p *process) logged() string { return p.log.String() }

// kill ends the process at once, as kill -9 does.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.exited
}

// end stops the process in order, so that its database does not outlive it in the data directory, or else kills it.
func (p *process) end() {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(within):
		p.kill()
	}
}

// stop asks the process to end, and returns how it did.
func (p *process) stop(t *testing.T) error {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.exited:
	case <-time.After(within):
		t.Fatalf("the server does not stop\n%s", p.logged())
	}
	return p.err
}

// result is a GraphQL answer over HTTP.
type result struct {
	Status int
	Header http.Header `json:"-"`
	Data   map[string]json.RawMessage
	Errors []struct {
		Message    string
		Extensions struct{ Code, Stored string }
	}
}

// predictQuery is the operation of uploadBody.
const predictQuery = `mutation ($image: Upload!) { predict(image: $image) { id } }`

// uploadBody is a multipart request that predicts the file.
func uploadBody(query string, file []byte) (body []byte, contentType string) {
	var buffer bytes.Buffer
	w := multipart.NewWriter(&buffer)
	operations, _ := json.Marshal(map[string]any{"query": query, "variables": map[string]any{"image": nil}})
	_ = w.WriteField("operations", string(operations))
	_ = w.WriteField("map", `{"0": ["variables.image"]}`)
	part, _ := w.CreateFormFile("0", "digit.png")
	_, _ = part.Write(file)
	_ = w.Close()
	return buffer.Bytes(), w.FormDataContentType()
}

// predict sends the file; its error is of the connection.
func (p *process) predict(ctx context.Context, file []byte) (*result, error) {
	body, contentType := uploadBody(predictQuery, file)
	return p.post(ctx, body, contentType)
}

// query sends a query and must succeed.
func (p *process) query(t *testing.T, query string, data any) {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"query": query})
	answer, err := p.post(t.Context(), body, "application/json")
	if err != nil || len(answer.Errors) > 0 {
		t.Fatalf("%s: %v, %+v", query, err, answer)
	}
	joined, _ := json.Marshal(answer.Data)
	if err := json.Unmarshal(joined, data); err != nil {
		t.Fatal(err)
	}
}

func (p *process) post(ctx context.Context, body []byte, contentType string) (*result, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("GraphQL-Require-Preflight", "1")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	answer := &result{Status: response.StatusCode, Header: response.Header}
	if err := json.Unmarshal(text, answer); err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	return answer, nil
}

// digit is a PNG of a one: a dark bar on white paper.
func digit() []byte {
	picture := image.NewGray(image.Rect(0, 0, 40, 40))
	for i := range picture.Pix {
		picture.Pix[i] = 255
	}
	for y := 6; y < 34; y++ {
		for x := 18; x < 22; x++ {
			picture.SetGray(x, y, color.Gray{})
		}
	}
	var buffer bytes.Buffer
	if err := png.Encode(&buffer, picture); err != nil {
		panic(err)
	}
	return buffer.Bytes()
}
