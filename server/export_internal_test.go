package main

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"

	"sibyl/persistence"
	"sibyl/persistence/persistencetest"
	"sibyl/server/transport"
)

// FillExport stores 40 MB of images with their predictions: more than sockets hold.
func FillExport(t *testing.T, db *pgx.Conn) {
	t.Helper()
	const id = `(lpad(to_hex(1700000000000 + n), 12, '0') || '70008000000000000000')::uuid`
	for _, sql := range []string{
		`INSERT INTO inputs (id, created_at, width, height, byte_size, sha256, content_type, image)
SELECT ` + id + `, now(), 28, 28, 100000, sha256(n::text::bytea), 'image/png', convert_to(repeat('x', 100000), 'UTF8')
FROM generate_series(1, 400) n`,
		`INSERT INTO predictions (id, input_id, created_at, decode_microseconds, queue_microseconds, inference_microseconds,
  version, model, source, outputs)
SELECT i.id, i.id, i.created_at, 1, 1, 1, 1, 'mnist', 'REQUEST', '[]'
FROM inputs i`,
	} {
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

// newExportServer serves exports of much that is stored. They give a client little time.
func newExportServer(t *testing.T, gate *transport.Gate) (*exports, *httptest.Server) {
	t.Helper()
	h := newExportHandler(t, gate)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return h, s
}

func newExportHandler(t *testing.T, gate *transport.Gate) *exports {
	t.Helper()
	url := persistencetest.Migrated(t)
	store, err := persistence.Open(t.Context(), url, persistence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	FillExport(t, db)
	if err := db.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := newExports(t.Context(), store, gate, slog.New(slog.NewTextHandler(t.Output(), nil)))
	h.stall = 2 * time.Second // a shorter one may pass before a busy machine has written the first chunk
	return h
}

// TestExportGivesUpClients that do not read, and those that go away.
func TestExportGivesUpClients(t *testing.T) {
	for name, leave := range map[string]func(net.Conn){
		"stuck": func(net.Conn) {}, "gone": func(c net.Conn) { _ = c.Close() },
	} {
		h, s := newExportServer(t, transport.NewGate(1, 1<<30))
		client, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = client.Close() }()
		_, _ = io.WriteString(client, "GET /export?images=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if _, err := io.ReadFull(client, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		leave(client)
		for deadline := time.Now().Add(time.Minute); len(h.running) > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the export goes on", name)
			}
		}
	}
}

// TestExportPatience: a client may stop reading for a while, or be slow, but not for ever.
func TestExportPatience(t *testing.T) {
	for name, row := range map[string]struct {
		pause  time.Duration // before each chunk is taken
		chunks int
		ends   bool
	}{
		"fast":         {time.Millisecond, 10_000, false},
		"at the rate":  {time.Second, 1000, false},
		"stuck":        {exportStall + time.Second, 1, true},
		"a pause":      {exportStall - time.Second, 1, false},
		"many pauses":  {exportStall - time.Second, 2, true},
		"a bit slower": {1100 * time.Millisecond, 1000, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			client := &slowClient{ResponseRecorder: httptest.NewRecorder(), pause: row.pause}
			w := &exportWriter{ctx: t.Context(), to: client, deadline: client.setDeadline, stall: exportStall}
			_, err := w.Write(make([]byte, row.chunks*exportChunk))
			if (err != nil) != row.ends {
				t.Errorf("%s: %v after %d bytes", name, err, w.sent)
			}
		})
	}
}

// slowClient takes each chunk after a pause, unless the deadline is over by then.
type slowClient struct {
	*httptest.ResponseRecorder
	pause    time.Duration
	deadline time.Time
}

func (c *slowClient) setDeadline(t time.Time) error {
	c.deadline = t
	return nil
}

func (c *slowClient) Write(p []byte) (int, error) {
	time.Sleep(c.pause)
	if time.Now().After(c.deadline) {
		return 0, os.ErrDeadlineExceeded
	}
	return len(p), nil
}

// TestExportsAreBounded in number, and by the memory that is left.
func TestExportsAreBounded(t *testing.T) {
	gate := transport.NewGate(1, exportMemory*3/2)
	h, s := newExportServer(t, gate)
	h.stall = time.Minute
	refused := func(why string) {
		resp, err := http.Get(s.URL + "?filter={}")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %v", why, resp.StatusCode, resp.Header)
		}
	}
	for range maxExports {
		h.running <- struct{}{}
	}
	refused("many run")
	for range maxExports {
		<-h.running
	}
	release, err := gate.Reserve(exportMemory)
	if err != nil {
		t.Fatal(err)
	}
	refused("little memory is left")
	release()
	if resp, err := http.Get(s.URL); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%v, %v", resp, err)
	} else if n, err := io.Copy(io.Discard, resp.Body); err != nil || n == 0 {
		t.Errorf("%d bytes, %v", n, err)
	}
	gate.Close()
	refused("the server shuts down")
	if len(h.running) > 0 {
		t.Error("a place was not given back")
	}
}

// TestExportOfOtherImages: the command takes images from the store of its database alone, and says so before it begins.
func TestExportOfOtherImages(t *testing.T) {
	url, claimed, other := persistencetest.Migrated(t), t.TempDir(), t.TempDir()
	store, err := persistence.Open(t.Context(), url, persistence.Options{Images: "file://" + claimed})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.ClaimImages(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		dir        string
		withImages bool
		refused    string
	}{
		{claimed, true, ""},
		{other, true, other + " has no .sibyl"},
		{other, false, ""},
		{other + "/none", true, "image store unavailable"},
	} {
		file := filepath.Join(t.TempDir(), "file")
		c := exportCommand{
			DatabaseConfig: DefaultConfig().DatabaseConfig, Images: ImagesURL("file://" + row.dir), WithImages: row.withImages,
			Output: file,
		}
		c.DatabaseURL = DatabaseURL(url)
		err := c.Run(t.Context())
		if (err == nil) != (row.refused == "") || err != nil && (!strings.HasPrefix(err.Error(), "--images: ") ||
			!strings.Contains(err.Error(), row.refused)) {
			t.Errorf("%+v: %v", row, err)
		}
		if _, statErr := os.Stat(file); (statErr == nil) != (err == nil) {
			t.Errorf("%+v: the file: %v", row, statErr)
		}
	}
}

func TestWriteFile(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "file")
	write := func(text string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			_, _ = io.WriteString(w, text)
			return err
		}
	}
	broken := errors.New("broken")
	for _, step := range []struct {
		write func(io.Writer) error
		err   error
		want  string
	}{{write("a", nil), nil, "a"}, {write("b", broken), broken, "a"}, {write("c", nil), nil, "c"}} {
		if err := writeFile(path, step.write); !errors.Is(err, step.err) {
			t.Error(err)
		}
		text, _ := os.ReadFile(path)
		if files, _ := os.ReadDir(directory); string(text) != step.want || len(files) != 1 {
			t.Errorf("%s, %v; want %s", text, files, step.want)
		}
	}
	if err := writeFile(filepath.Join(directory, "none", "file"), write("", nil)); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	// What is no file stays what it is.
	if err := writeFile(os.DevNull, write("a", nil)); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Error(info, err)
	}
}
