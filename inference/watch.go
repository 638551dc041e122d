package inference

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quietPeriod is how long a model's files must have been left alone before they are read: copying takes a while.
	quietPeriod = 500 * time.Millisecond
	// lookAgain is when a model is tried again that could not be loaded for want of something out of reach.
	lookAgain = 2 * time.Second
	// latest is when they are read even if they have not been left alone.
	latest = 10 * time.Second
	// lookAround is how often everything is looked at without being told: network file systems tell nothing, and neither
	// does a repository that another one is put in the place of.
	lookAround = 10 * time.Second
)

// watcher keeps a life cycle in step with a directory while it changes.
type watcher struct {
	lifecycle *lifecycle
	dir       string
	log       *slog.Logger
	// notify is nil where there are no notifications (the system may have run out of them).
	notify *fsnotify.Watcher
	// due is when each model is to be looked at.
	due map[string]due
}

// due is a time, and the first that it was put off from.
type due struct{ at, first time.Time }

// watch runs until ctx ends. The models named in again are looked at first.
func watch(ctx context.Context, l *lifecycle, again map[string]error) {
	w := &watcher{lifecycle: l, log: l.log, due: make(map[string]due)}
	w.again(again)
	var events chan fsnotify.Event
	var errs chan error
	if dir := l.loader.repository.dir; dir != "" { // else it is the embedded one, which never changes
		w.dir = filepath.Clean(dir)
		notify, err := fsnotify.NewWatcher()
		if err == nil {
			defer notify.Close()
			w.notify, events, errs = notify, notify.Events, notify.Errors
		} else {
			l.log.LogAttrs(ctx, slog.LevelWarn, "no notifications of files", slog.Any("error", err),
				slog.Duration("every", lookAround))
		}
	}
	w.cover()
	around := time.NewTicker(lookAround)
	defer around.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-events:
			w.told(event)
		case <-errs: // some events were lost
			w.look(ctx)
		case <-around.C:
			w.look(ctx)
		case <-w.next():
			w.sync(ctx)
		}
	}
}

// touch makes a model due after a while, and later one that is due already, but not for ever.
func (w *watcher) touch(after time.Duration, model string) {
	now := time.Now()
	d, known := w.due[model]
	if !known {
		d.first = now
	}
	if d.at = now.Add(after); d.at.After(d.first.Add(latest)) {
		d.at = d.first.Add(latest)
	}
	w.due[model] = d
}

// again makes models due that could not be loaded yet.
func (w *watcher) again(models map[string]error) {
	for model := range models {
		w.touch(lookAgain, model)
	}
}

// told takes an event as a sign that its model changes.
func (w *watcher) told(event fsnotify.Event) {
	path, err := filepath.Rel(w.dir, event.Name)
	model, _, below := strings.Cut(path, string(filepath.Separator))
	if err != nil || strings.HasPrefix(model, ".") {
		return
	}
	switch {
	case !event.Has(fsnotify.Create): // else it may be a directory
	case below:
		w.coverAll(event.Name)
	default:
		w.coverModel(model)
	}
	w.touch(quietPeriod, model)
}

// cover asks for notifications of all directories of models. It is no error where that does not go.
func (w *watcher) cover() {
	if w.notify == nil {
		return
	}
	_ = w.notify.Add(w.dir)
	models, _ := w.lifecycle.loader.repository.directories(".")
	for _, model := range models {
		w.coverModel(model)
	}
}

func (w *watcher) coverModel(model string) {
	versions, err := w.lifecycle.loader.repository.directories(model)
	if err != nil {
		return // no directory
	}
	_ = w.notify.Add(filepath.Join(w.dir, model))
	for _, version := range versions {
		w.coverAll(filepath.Join(w.dir, model, version))
	}
}

// coverAll asks for notifications of a directory and all below it.
func (w *watcher) coverAll(dir string) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return
	}
	_ = w.notify.Add(dir) // by its own name where that is a link
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			_ = w.notify.Add(path)
		}
		return nil
	})
}

// look finds models that have changed without being told.
func (w *watcher) look(ctx context.Context) {
	w.cover()
	for _, model := range w.lifecycle.changed(ctx) {
		if _, due := w.due[model]; !due {
			w.touch(quietPeriod, model)
		}
	}
}

// next is when the first model is due; nil, which is never, where none is.
func (w *watcher) next() <-chan time.Time {
	var first time.Time
	for _, d := range w.due {
		if first.IsZero() || d.at.Before(first) {
			first = d.at
		}
	}
	if first.IsZero() {
		return nil
	}
	return time.After(time.Until(first))
}

// sync looks at the models that are due.
func (w *watcher) sync(ctx context.Context) {
	look := look{models: make(map[string]bool)}
	for model, d := range w.due {
		if time.Until(d.at) <= 0 {
			look.models[model] = true
			delete(w.due, model)
		}
	}
	again, err := w.lifecycle.sync(ctx, look)
	if err != nil && ctx.Err() == nil {
		w.log.LogAttrs(ctx, slog.LevelWarn, "model repository not read", slog.Any("error", err))
		return // lookAround tries again
	}
	w.again(again)
}
