package inference_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"sibyl/inference/oip"
)

// mlserver is a real server of the Open Inference Protocol, with the models of a repository of its own.
type mlserver struct {
	repository string
	grpc, http string // ports
	command    *exec.Cmd
	output     lockedBuffer
}

// lockedBuffer is what a process has written so far.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
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

// newMLServer makes a server of models of testdata, or of the embedded one, that is not started yet. The test is
// skipped where `make test` could not install MLServer.
func newMLServer(t *testing.T, models ...string) *mlserver {
	t.Helper()
	if _, err := os.Stat(filepath.Join("..", ".cache", "mlserver", ".ready")); err != nil {
		const missing = "MLServer, which `make test` installs where there is Python 3.11 with venv"
		if strings.TrimSpace(os.Getenv("SIBYL_NO_SKIP")) == "1" {
			t.Fatalf("missing: %s", missing)
		}
		t.Skipf("SKIPPED, missing: %s", missing)
	}
	s := &mlserver{repository: t.TempDir(), grpc: freePort(t), http: freePort(t)}
	for _, model := range models {
		from := filepath.Join(modelPath, model)
		if model == "mnist" {
			from = filepath.Join("models", model)
		}
		if err := os.CopyFS(filepath.Join(s.repository, model), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("MLServer:\n%s", s.output.String())
		}
	})
	return s
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// start returns when every model is ready.
func (s *mlserver) start(t *testing.T) *mlserver {
	t.Helper()
	python := filepath.Join("..", ".cache", "mlserver", "bin", "python")
	s.command = exec.Command(python, filepath.Join("testdata", "remote", "serve.py"), s.repository, s.grpc, s.http)
	s.command.Stdout, s.command.Stderr = &s.output, &s.output
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("127.0.0.1:"+s.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	models, err := filepath.Glob(filepath.Join(s.repository, "*", "*", "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range models {
		parts := strings.Split(path, string(filepath.Separator))
		r := &oip.ModelReadyRequest{Name: parts[len(parts)-3], Version: parts[len(parts)-2]}
		eventually(t, r.GetName()+" is ready", func() bool {
			answer, err := oip.NewGRPCInferenceServiceClient(conn).ModelReady(ctx, r, grpc.WaitForReady(true))
			return err == nil && answer.GetReady()
		})
	}
	return s
}

// runs is how many runs of a model have begun since the server was made.
func (s *mlserver) runs(model string) int {
	return strings.Count(s.output.String(), "running "+model+"\n")
}

// kill ends the server as a crash does.
func (s *mlserver) kill() {
	if s.command != nil {
		_ = s.command.Process.Kill()
		_ = s.command.Wait()
		s.command = nil
	}
}

// remoteRepository names models of a server in a repository, each with the directories of its versions, empty, and with
// its configuration there. more is added to each configuration.
func (s *mlserver) remoteRepository(t *testing.T, more string) string {
	t.Helper()
	dir := t.TempDir()
	versions, err := filepath.Glob(filepath.Join(s.repository, "*", "*", "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range versions {
		version := filepath.Dir(path)
		model := filepath.Dir(version)
		to := filepath.Join(dir, filepath.Base(model))
		if err := os.MkdirAll(filepath.Join(to, filepath.Base(version)), 0o700); err != nil {
			t.Fatal(err)
		}
		config, _ := os.ReadFile(filepath.Join(model, "config.yaml"))
		write(t, filepath.Join(to, "config.yaml"), string(config)+remoteSection("127.0.0.1:"+s.grpc)+more)
		for _, labels := range []string{"labels.txt", filepath.Join(filepath.Base(version), "labels.txt")} {
			if text, err := os.ReadFile(filepath.Join(model, labels)); err == nil {
				write(t, filepath.Join(to, labels), string(text))
			}
		}
	}
	return dir
}

func remoteSection(address string) string { return "\nremote: {url: \"grpc://" + address + "\"}\n" }
