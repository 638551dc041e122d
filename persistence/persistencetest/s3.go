package persistencetest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// S3 is a real S3 server on loopback with one bucket, which lies in a directory. The end of the test stops it.
type S3 struct {
	// URL is that of the bucket. The keys to it are in the environment of every test.
	URL string
	// Dir has a file for each object, by its key.
	Dir string

	binary, address, root, meta string
	server                      *exec.Cmd
	said                        bytes.Buffer
}

// s3Environment has the keys to every server. Main sets it: tests that each did could not run beside each other.
var s3Environment = map[string]string{
	"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "testsecret", "AWS_EC2_METADATA_DISABLED": "true",
}

// StartS3 starts an S3 server. Where its program is missing, which `make test` installs, the test is skipped as Need
// does.
func StartS3(t *testing.T) *S3 {
	t.Helper()
	binary := versitygw(t)
	Need(t, "versitygw in .cache/bin, which `make test-go` installs", binary != "")
	s := &S3{binary: binary, address: freeAddress(t), root: t.TempDir(), meta: t.TempDir()}
	s.Dir = filepath.Join(s.root, "images")
	if err := os.Mkdir(s.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s.URL = "s3://images?region=us-east-1&use_path_style=true&endpoint=http://" + s.address
	s.Start(t)
	t.Cleanup(s.Stop)
	return s
}

// Start starts the server, again after Stop, and waits until it answers.
func (s *S3) Start(t *testing.T) {
	t.Helper()
	s.server = exec.Command(s.binary, "--access", s3Environment["AWS_ACCESS_KEY_ID"],
		"--secret", s3Environment["AWS_SECRET_ACCESS_KEY"], "--port", s.address, "--quiet",
		"posix", "--sidecar", s.meta, s.root)
	s.said.Reset()
	s.server.Stdout, s.server.Stderr = &s.said, &s.said
	if err := s.server.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", s.address)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			s.Stop()
			t.Fatalf("persistencetest: the S3 server does not answer: %s", &s.said)
		}
	}
}

// Stop kills the server. It may be called twice.
func (s *S3) Stop() {
	if s.server != nil {
		_ = s.server.Process.Kill()
		_ = s.server.Wait()
		s.server = nil
	}
}

// versitygw is the path of the newest installed S3 server; empty where there is none.
func versitygw(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for parent := filepath.Dir(dir); parent != dir; dir, parent = parent, filepath.Dir(parent) {
		if found, _ := filepath.Glob(filepath.Join(dir, ".cache", "bin", "versitygw-v*")); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	return ""
}

// freeAddress is one on loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
