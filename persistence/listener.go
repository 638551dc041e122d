package persistence

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	defaultRecordTimeout = 30 * time.Second
	// clockSkew is how far the clocks of replicas may be apart.
	clockSkew = 10 * time.Second
	// firstRetry and lastRetry are how long is waited before connecting again, at first and in the end.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
	// catchUpPatience is how long subscribers may take to read a page of what was stored while the listener was away.
	catchUpPatience = 5 * time.Second
)

// listener hears of predictions on a connection of its own, which there is while there are subscribers. One that is lost
// is made again, and what was stored meanwhile is read.
type listener struct {
	store  *Store
	config *pgx.ConnConfig
	logger *slog.Logger
	// margin is how long before its commit an ID may have been made.
	margin  time.Duration
	stop    context.CancelFunc
	running sync.WaitGroup

	// heard is when all that was stored until then had been heard of; zero where nobody was told. It is run's.
	heard time.Time
	// told are the predictions that have been handed to subscribers. They are run's.
	told *recent
	// late are the transactions that had written before others could find this listener and have not ended; they were
	// first looked for when it settled. Both are run's.
	late    []string
	settled time.Time
	// unseen are what was told of and could not be read. They are run's.
	unseen unseen

	mu      sync.Mutex
	changed *sync.Cond // on mu: somebody waits, or closed has changed
	// subscribers are told of what is stored; waiting, of whether they will be.
	subscribers map[*Subscription]struct{} // guarded by mu
	waiting     map[*Subscription]chan error
	// live is true while what is committed is heard of, to all subscribers; guarded by mu.
	live bool
	// hangUp ends the connection that nobody needs; guarded by mu.
	hangUp context.CancelFunc
	closed bool // guarded by mu
}

// newListener starts one, which does nothing until somebody joins.
func newListener(s *Store, config *pgx.ConnConfig, o Options) *listener {
	l := &listener{
		store: s, config: config, logger: cmp.Or(o.Logger, slog.New(slog.DiscardHandler)),
		margin:      cmp.Or(o.RecordTimeout, defaultRecordTimeout) + OutcomeTimeout(o.RecordBytes) + clockSkew,
		subscribers: map[*Subscription]struct{}{}, waiting: map[*Subscription]chan error{}, hangUp: func() {},
	}
	l.changed, l.told = sync.NewCond(&l.mu), newRecent(l.margin+clockSkew)
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	l.running.Go(func() { l.run(ctx) })
	return l
}

// join makes sub a subscriber and returns when it will be told of all that is stored from then on.
func (l *listener) join(ctx context.Context, sub *Subscription) error {
	l.mu.Lock()
	switch {
	case l.closed:
		l.mu.Unlock()
		return ErrUnavailable
	case l.live:
		l.subscribers[sub] = struct{}{}
		l.mu.Unlock()
		return nil
	}
	joined := make(chan error, 1)
	l.waiting[sub] = joined
	l.mu.Unlock()
	l.changed.Signal()
	select {
	case err := <-joined:
		return err
	case <-ctx.Done():
		l.leave(sub)
		return ctx.Err()
	}
}

// leave forgets sub, and hangs up where nobody is left.
func (l *listener) leave(sub *Subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.subscribers, sub)
	delete(l.waiting, sub)
	if len(l.subscribers)+len(l.waiting) == 0 {
		l.live = false
		l.hangUp()
	}
}

func (l *listener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.subscribers)
}

// run listens whenever there is somebody to tell, until ctx ends.
func (l *listener) run(ctx context.Context) {
	for retry := firstRetry; ; {
		listening, ok := l.awaitSubscribers(ctx)
		if !ok {
			return
		}
		heard := l.heard
		err := l.listen(listening)
		if listening.Err() != nil {
			continue
		}
		if l.heard != heard {
			retry = firstRetry // it worked, for a while
		}
		l.lost(err, retry)
		select {
		case <-listening.Done():
		case <-time.After(retry):
		}
		retry = min(2*retry, lastRetry)
	}
}

// awaitSubscribers returns, when there is somebody to tell, a context that ends when there is nobody left. It reports
// false when the listener is closed.
func (l *listener) awaitSubscribers(ctx context.Context) (context.Context, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.subscribers)+len(l.waiting) == 0 && !l.closed {
		l.heard = time.Time{} // what is stored now is nobody's loss
		l.told.clear()
		l.unseen = nil
		l.changed.Wait()
	}
	l.hangUp()
	ctx, l.hangUp = context.WithCancel(ctx)
	return ctx, !l.closed
}

// goLive makes subscribers of those who wait.
func (l *listener) goLive() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live = len(l.subscribers)+len(l.waiting) > 0
	for sub, joined := range l.waiting {
		l.subscribers[sub] = struct{}{}
		joined <- nil
	}
	clear(l.waiting)
}

// lost tells those who wait that they need not; those who were told before do not learn of it.
func (l *listener) lost(err error, retry time.Duration) {
	l.logger.LogAttrs(context.Background(), slog.LevelWarn, "listening to the database failed",
		slog.Any("error", err), slog.Duration("retry", retry))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live = false
	l.refuse()
}

// refuse turns those who wait away; mu must be held.
func (l *listener) refuse() {
	for _, joined := range l.waiting {
		joined <- ErrUnavailable
	}
	clear(l.waiting)
}

// tell gives subscribers predictions that they have not been given, in the order of time. Those who have no room for
// them within patience have fallen behind, and are ended.
func (l *listener) tell(ctx context.Context, rows []*Prediction, patience time.Duration) {
	rows = slices.DeleteFunc(rows, func(p *Prediction) bool { return !l.told.add(p.ID, l.heard) })
	if len(rows) == 0 {
		return
	}
	slices.SortFunc(rows, func(a, b *Prediction) int { return slices.Compare(a.ID[:], b.ID[:]) })
	l.store.bind(rows)
	l.mu.Lock()
	subscribers := slices.Collect(maps.Keys(l.subscribers))
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, sub := range subscribers {
		for !sub.offer(rows) {
			select {
			case <-sub.room:
				continue
			case <-ctx.Done():
			}
			sub.end(ErrSlowSubscriber)
			l.leave(sub)
			break
		}
	}
}

// close ends every subscription, and returns when the connection is closed. It may be called twice.
func (l *listener) close() {
	l.stop()
	l.mu.Lock()
	l.closed, l.live = true, false
	l.refuse()
	for sub := range l.subscribers {
		sub.end(ErrUnavailable)
	}
	clear(l.subscribers)
	l.mu.Unlock()
	l.changed.Signal()
	l.running.Wait()
}
