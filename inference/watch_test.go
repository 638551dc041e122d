package inference

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// TestFilesThatNeverRest holds that a model is looked at although its files go on changing.
func TestFilesThatNeverRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{due: make(map[string]due)}
		begin := time.Now()
		w.touch(quietPeriod, "m")
		if at := time.Until(w.due["m"].at); at != quietPeriod {
			t.Errorf("due in %s", at)
		}
		for time.Since(begin) < time.Minute {
			w.touch(quietPeriod, "m")
			time.Sleep(quietPeriod / 2)
		}
		if at := w.due["m"].at.Sub(begin); at != latest {
			t.Errorf("due after %s, want %s", at, latest)
		}
	})
}

// TestNewDirectoryIsCovered holds that only what is new is looked into.
func TestNewDirectoryIsCovered(t *testing.T) {
	dir := t.TempDir()
	add := func(path ...string) string {
		path = append([]string{dir}, path...)
		if err := os.MkdirAll(filepath.Join(path...), 0o700); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(path...)
	}
	add("a", "1")
	add("b", "1")
	r, err := openRepository(dir)
	if err != nil {
		t.Fatal(err)
	}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	w := &watcher{
		lifecycle: newLifecycle(&loader{repository: r}, Options{}), dir: dir, notify: notify, due: make(map[string]due),
	}
	w.cover()
	unheard := add("b", "2")
	version, weights := add("a", "2"), add("a", "2", "weights")
	model, first := add("c"), add("c", "1")
	file := filepath.Join(dir, "a", "1", "model.onnx")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{version, model, file} {
		w.told(fsnotify.Event{Name: name, Op: fsnotify.Create})
	}
	covered := notify.WatchList()
	for _, name := range []string{version, weights, model, first} {
		if !slices.Contains(covered, name) {
			t.Errorf("%s is not covered", name)
		}
	}
	for _, name := range []string{unheard, file} {
		if slices.Contains(covered, name) {
			t.Errorf("%s is covered", name)
		}
	}
	if _, due := w.due["b"]; due || len(w.due) != 2 {
		t.Errorf("%v", w.due)
	}
}
