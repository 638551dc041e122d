package keys_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sibyl/graph"
	"sibyl/server/keys"
)

// within bounds the wait for what must happen at some time, on a busy machine.
const within = time.Minute

func write(t *testing.T, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

func newKey(t *testing.T, name string, roles ...graph.Role) (key, line string) {
	t.Helper()
	key, line, err := keys.New(name, roles)
	if err != nil {
		t.Fatal(err)
	}
	return key, line
}

// log is a logger's output that can be read while it is written.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

func open(t *testing.T, path string) (*keys.Ring, *log) {
	t.Helper()
	l := &log{}
	ring, err := keys.Open(path, slog.New(slog.NewTextHandler(l, nil)), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ring.Close)
	return ring, l
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it takes too long")
		}
	}
}

func TestKeyIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	camera, cameraLine := newKey(t, "camera-1", graph.RolePredictor)
	desk, deskLine := newKey(t, "desk", graph.RoleReader, graph.RoleLabeller)
	write(t, path, "# who may ask", "", cameraLine, "  "+deskLine+"\r")
	ring, _ := open(t, path)
	if c := ring.Find(camera); c == nil || c.Name != "camera-1" || !c.May(graph.RolePredictor) || c.May(graph.RoleReader) {
		t.Errorf("%+v", c)
	}
	if c := ring.Find(desk); c == nil || c.Name != "desk" || !c.May(graph.RoleLabeller) || c.May(graph.RoleAdmin) {
		t.Errorf("%+v", c)
	}
	for _, wrong := range []string{"", "sibyl_", camera + "x", camera[1:], strings.ToLower(camera), cameraLine} {
		if c := ring.Find(wrong); c != nil {
			t.Errorf("%q is a key of %s", wrong, c.Name)
		}
	}
}

func TestKeysDiffer(t *testing.T) {
	one, line := newKey(t, "a", graph.RoleAdmin)
	other, _ := newKey(t, "a", graph.RoleAdmin)
	if one == other || len(one) < 50 || !strings.HasPrefix(one, "sibyl_") || strings.Contains(line, one) {
		t.Error(one, other, line)
	}
}

func TestBadFilesAreRefused(t *testing.T) {
	secret, line := newKey(t, "camera", graph.RoleReader)
	digest := line[strings.Index(line, "sha256:"):]
	_, other := newKey(t, "camera", graph.RoleAdmin)
	for text, want := range map[string]string{
		"":                                       "no key",
		"# nothing\n":                            "no key",
		"camera reader":                          "line 1: a line is",
		"camera reader " + digest + " more":      "line 1: a line is",
		"\n-camera reader " + digest:             "line 2: a name is",
		"caméra reader " + digest:                "line 1: a name is",
		"camera writer " + digest:                "the roles are",
		"camera READER " + digest:                "the roles are",
		"camera reader, " + digest:               "the roles are",
		"camera reader,reader " + digest:         "reader is there twice",
		"camera reader " + secret:                "third word",
		"camera reader sha256:" + secret:         "third word",
		"camera reader " + digest[:70]:           "third word",
		"camera reader " + digest + "00":         "third word",
		line + "\n" + other:                      "line 2: another key has the name camera",
		line + "\nlater reader " + digest:        "line 2: the key is that of camera",
		strings.Repeat("#", 1<<20) + "\n" + line: "is larger than",
	} {
		path := filepath.Join(t.TempDir(), "keys")
		write(t, path, text)
		ring, err := keys.Open(path, slog.New(slog.DiscardHandler), nil)
		if err == nil {
			ring.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%.80q: %v, want %s", text, err, want)
		}
	}
}

func TestBadNamesGetNoKey(t *testing.T) {
	for _, name := range []string{"", "a b", "a\nb admin", strings.Repeat("x", 65), "#a"} {
		if _, line, err := keys.New(name, graph.Roles); err == nil {
			t.Errorf("%q: %s", name, line)
		}
	}
	if _, line, err := keys.New("a", nil); err == nil {
		t.Error(line)
	}
}

func TestFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	first, line := newKey(t, "first", graph.RoleReader)
	write(t, path, line)
	ring, l := open(t, path)

	second, line := newKey(t, "second", graph.RoleReader)
	write(t, path, line)
	eventually(t, func() bool { return ring.Find(second) != nil })
	if ring.Find(first) != nil {
		t.Error("the first key was taken away, and is taken")
	}

	write(t, path, line, "third reader "+first)
	eventually(t, func() bool { return l.has("line 2: the third word") })
	if ring.Find(second) == nil || l.has(first) {
		t.Error("the key is gone, or was logged")
	}

	third, line := newKey(t, "third", graph.RoleReader)
	put := filepath.Join(filepath.Dir(path), "new")
	write(t, put, line)
	if err := os.Rename(put, path); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return ring.Find(third) != nil })

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return l.has("no such file") })
	if ring.Find(third) == nil {
		t.Error("without the file the key is gone")
	}
}

// TestMountedSecret is changed as Kubernetes changes one: the file is a link through another one, which is replaced.
func TestMountedSecret(t *testing.T) {
	dir := t.TempDir()
	var made []string
	for i := range 2 {
		key, line := newKey(t, "a", graph.RoleReader)
		version := filepath.Join(dir, fmt.Sprint("..", i))
		if err := os.Mkdir(version, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(version, "keys"), line)
		made = append(made, key)
	}
	link := func(target, name string) {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..0", "..data")
	link("..data/keys", "keys")
	ring, _ := open(t, filepath.Join(dir, "keys"))
	link("..1", "..new")
	if err := os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return ring.Find(made[1]) != nil && ring.Find(made[0]) == nil })
}
