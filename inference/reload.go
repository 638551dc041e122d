package inference

import (
	"context"
	"errors"
	"time"
)

const (
	// settling is how often a reload looks again at files that change, and settlingPause lies between.
	settling      = 5
	settlingPause = 200 * time.Millisecond
)

// reload is a look at everything that somebody asked for.
type reload struct {
	done chan struct{}
	err  error // once done is closed
}

// reload looks at everything, and tries again what is not READY. Whoever asks before it begins shares it. It returns
// ctx's error when that takes longer, and then it goes on; ErrClosed; or what keeps the repository from being read.
func (l *lifecycle) reload(ctx context.Context) error {
	r, err := l.nextReload()
	if err != nil {
		return err
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// nextReload is one that has not begun.
func (l *lifecycle) nextReload() (*reload, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loading.Err() != nil {
		return nil, ErrClosed
	}
	if l.next == nil {
		r := &reload{done: make(chan struct{})}
		l.next = r
		l.background.Go(func() { l.runReload(r) })
	}
	return l.next, nil
}

func (l *lifecycle) runReload(r *reload) {
	defer close(r.done)
	l.reloading.Lock()
	defer l.reloading.Unlock()
	l.mu.Lock()
	l.next = nil // who comes from here on may have changed what is read already
	l.mu.Unlock()
	if r.err = l.settle(l.loading); l.loading.Err() != nil {
		r.err = ErrClosed
	}
}

// settle looks at everything, and a few times more at what is still changing. What is out of reach is left alone: it
// would take as long again.
func (l *lifecycle) settle(ctx context.Context) error {
	look := look{retry: true, patience: l.patience}
	for try := 0; ; try++ {
		again, err := l.sync(ctx, look)
		if err != nil {
			return err
		}
		look.models, look.retry = make(map[string]bool), false
		for model, reason := range again {
			if errors.Is(reason, errUnsettled) {
				look.models[model] = true
			}
		}
		if len(look.models) == 0 || try == settling {
			return nil
		}
		select {
		case <-time.After(settlingPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
