// Package watch keeps a value that is made of files in step with them while they change.
package watch

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quietPeriod is how long after a notification the files are read: writing takes a while.
	quietPeriod = 200 * time.Millisecond
	// lookAround is how often they are read without being told: network file systems tell nothing.
	lookAround = 10 * time.Second
)

// A Reader reads files. It gives their content, by which a change is seen, and what makes the value of it.
type Reader[T any] func() (content []byte, parse func() (T, error), err error)

// Value is what was last made of files that were in order. It is safe for concurrent use.
type Value[T any] struct {
	read    Reader[T]
	changed func()
	what    string
	logger  *slog.Logger
	current atomic.Pointer[T]
	// seen is the content of the files, in order or not, or the error of reading them, so that each is told once.
	seen []byte
	stop func()
}

// Open makes the value, whose error is returned, and from then on makes it again whenever something changes in one of
// the directories, until Close, and calls changed when it has, unless that is nil. Files that are not in order leave the
// old value, and the logger is told of what they are.
func Open[T any](
	what string, read Reader[T], changed func(), logger *slog.Logger, directories ...string,
) (*Value[T], error) {
	if changed == nil {
		changed = func() {}
	}
	v := &Value[T]{read: read, changed: changed, what: what, logger: logger}
	if _, err := v.renew(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { v.watch(ctx, directories) })
	v.stop = func() {
		cancel()
		watching.Wait()
	}
	return v, nil
}

// Get returns the value as it is now.
func (v *Value[T]) Get() T { return *v.current.Load() }

// Close ends the watching; the value stays. It may be called twice.
func (v *Value[T]) Close() { v.stop() }

// renew makes the value anew where the files have changed.
func (v *Value[T]) renew() (changed bool, err error) {
	content, parse, err := v.read()
	if err != nil {
		content = []byte(err.Error())
	}
	if v.seen != nil && bytes.Equal(content, v.seen) {
		return false, nil
	}
	v.seen = append(content, 0)[:len(content)] // not nil, even where there is none
	if err != nil {
		return false, err
	}
	value, err := parse()
	if err != nil {
		return false, err
	}
	v.current.Store(&value)
	return true, nil
}

func (v *Value[T]) watch(ctx context.Context, directories []string) {
	var events chan fsnotify.Event
	var errs chan error
	if notify, err := fsnotify.NewWatcher(); err == nil {
		defer func() { _ = notify.Close() }()
		events, errs = notify.Events, notify.Errors
		for _, directory := range directories {
			_ = notify.Add(directory) // lookAround is there where that does not go
		}
	}
	around := time.NewTicker(lookAround)
	defer around.Stop()
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			if due == nil {
				due = time.After(quietPeriod)
			}
		case <-errs: // some events were lost
			v.look(ctx)
		case <-around.C:
			v.look(ctx)
		case <-due:
			due = nil
			v.look(ctx)
		}
	}
}

func (v *Value[T]) look(ctx context.Context) {
	changed, err := v.renew()
	switch {
	case err != nil:
		v.logger.LogAttrs(ctx, slog.LevelError, "changed files are not in order; what was there before stays",
			slog.String("what", v.what), slog.Any("error", err))
	case changed:
		v.logger.LogAttrs(ctx, slog.LevelInfo, "changed files read", slog.String("what", v.what))
		v.changed()
	}
}
