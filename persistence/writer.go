package persistence

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what is written. A group takes what waits while the last one commits, without a timer; an image of more
// than groupBytes goes alone.
const (
	writers    = 2
	groupRows  = 128
	shareRows  = 16 // fewer are not shared out between writers
	groupBytes = 8 << 20
	queueRows  = 4096
	queueBytes = 512 << 20
)

// gatherTurns is how often a writer lets others run, each of whom may take a processor for a while, before it takes a
// group.
const gatherTurns = 4

// outcomeTimeout bounds the wait for the outcome of rows that a writer has taken: no caller's deadline or departure
// leaves it unknown whether they are stored. Rows of more than a group's bytes have more, for the database to write them
// at outcomeRate bytes a second.
const (
	outcomeTimeout = 5 * time.Second
	outcomeRate    = 10 << 20
)

// OutcomeTimeout is how long the outcome of rows of so many bytes is waited for once a writer has taken them.
func OutcomeTimeout(bytes int64) time.Duration {
	return outcomeTimeout + time.Duration(max(bytes-groupBytes, 0))*time.Second/outcomeRate
}

// outcomeTimeoutOf is that of records that are stored together.
func outcomeTimeoutOf(records []*Record) time.Duration {
	var bytes int64
	for _, r := range records {
		bytes += int64(r.bytes())
	}
	return OutcomeTimeout(bytes)
}

// writer is the group commit: records of many callers go into one transaction. Its goroutines end with close.
type writer struct {
	pool    pool
	running sync.WaitGroup

	mu        sync.Mutex
	more      *sync.Cond // on mu: a writer that waits has something to do
	pending   []*waiter  // guarded by mu
	bytes     int        // of pending; guarded by mu
	free      int        // writers in next; guarded by mu
	gathering bool       // one of them is in gather; guarded by mu
	closed    bool       // guarded by mu

	groups, rows atomic.Int64 // that were committed
}

func newWriter(pool pool) *writer {
	w := &writer{pool: pool}
	w.more = sync.NewCond(&w.mu)
	for range writers {
		w.running.Go(w.run)
	}
	return w
}

// Record stores a prediction, and its input with the bytes unless that is stored already, in one transaction, which it
// shares with others that come at the same time. When it returns nil both are durable. ErrStoredUnknown leaves it open;
// after any other error neither is stored. It returns ErrOverloaded at once where too much waits, and ErrNotFound where
// the stored input is gone, and ErrImagesUnavailable where the object store, if it has one, does not take the image. ctx
// counts until a writer takes the rows; from there Record waits for the outcome, for OutcomeTimeout.
func (s *Store) Record(ctx context.Context, r *Record) error {
	ctx, cancel := s.relying(ctx)
	defer cancel()
	put, err := s.putImages(ctx, []*Record{r})
	if err != nil {
		return err
	}
	return s.writer.write(ctx, &waiter{Record: put[0], done: make(chan error, 1)})
}

// RecordTogether stores many predictions with their inputs in one transaction of their own: all or, after an error,
// none. Its errors are those of Record. ctx counts until the rows are handed to the database.
func (s *Store) RecordTogether(ctx context.Context, records []*Record) error {
	relying, cancel := s.relying(ctx)
	defer cancel()
	records, err := s.putImages(relying, records)
	if err == nil {
		err = relying.Err()
	}
	if err != nil || len(records) == 0 {
		return err
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), outcomeTimeoutOf(records))
	defer cancel()
	return s.pool.commit(ctx, records)
}

// waiter is a record whose caller waits for its outcome.
type waiter struct {
	*Record
	// done has room for the outcome, so that nobody has to wait for a caller who has left.
	done chan error
}

func (w *writer) write(ctx context.Context, r *waiter) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.enqueue(r); err != nil {
		return err
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
	}
	if w.withdraw(r) {
		return waitedInVain(ctx.Err())
	}
	select {
	case err := <-r.done:
		return err
	case <-time.After(outcomeTimeoutOf([]*Record{r.Record})):
		return ErrStoredUnknown
	}
}

// waitedInVain is the error of a record that no writer has taken. Where that took all the time that there was, the
// database is too slow, or does not answer.
func waitedInVain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: not taken in time: %w", ErrUnavailable, err)
	}
	return err
}

func (w *writer) enqueue(r *waiter) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return ErrUnavailable
	case len(w.pending) >= queueRows, len(w.pending) > 0 && w.bytes+r.bytes() > queueBytes:
		return ErrOverloaded
	}
	w.pending = append(w.pending, r)
	w.bytes += r.bytes()
	if !w.gathering { // or that one wakes the next
		w.more.Signal()
	}
	return nil
}

// withdraw takes a record back that no writer has taken yet.
func (w *writer) withdraw(r *waiter) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.pending, r)
	if i < 0 {
		return false
	}
	w.pending = slices.Delete(w.pending, i, i+1)
	w.bytes -= r.bytes()
	return true
}

// run writes group after group until close, and what is pending then.
func (w *writer) run() {
	for {
		group := w.next()
		if len(group) == 0 {
			return
		}
		w.store(group)
	}
}

// next waits for records and takes a group of them; it is empty when the writer is closed and nothing is left.
func (w *writer) next() []*waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free++
	w.gather()
	n := groupLength(w.pending[:w.share()])
	group := slices.Clone(w.pending[:n])
	w.pending = slices.Delete(w.pending, 0, n)
	for _, r := range group {
		w.bytes -= r.bytes()
	}
	w.free--
	if len(w.pending) > 0 || w.closed {
		w.more.Broadcast()
	}
	return group
}

// gather waits until there is a record, or the writer is closed. Then it lets those run who are about to hand over
// another, as the callers of the group before are, until none does, a few times at most: a group of the first alone
// would cost nearly what one of all does. For that it waits for nobody, so that a lone record goes at once.
func (w *writer) gather() {
	for {
		for w.gathering || len(w.pending) == 0 && !w.closed {
			w.more.Wait()
		}
		w.gathering = true
		for before, turns := 0, 0; turns < gatherTurns && before < len(w.pending); turns++ {
			before = len(w.pending)
			w.mu.Unlock()
			runtime.Gosched()
			w.mu.Lock()
		}
		w.gathering = false
		if len(w.pending) > 0 || w.closed { // not all have been withdrawn
			return
		}
	}
}

// share is how many of the pending records a writer may take, so that all writers that are free have as many.
func (w *writer) share() int {
	return min(len(w.pending), max(shareRows, (len(w.pending)+w.free-1)/w.free))
}

// store commits a group and tells every caller. Where the database refuses the group for what is in it, each record is
// tried by itself, so that a bad one fails alone.
func (w *writer) store(group []*waiter) {
	records := make([]*Record, len(group))
	for i, r := range group {
		records[i] = r.Record
	}
	ctx, cancel := context.WithTimeout(context.Background(), outcomeTimeoutOf(records))
	defer cancel()
	err := w.pool.commit(ctx, records)
	if len(group) > 1 && isBadData(err) {
		for i := range group {
			w.store(group[i : i+1])
		}
		return
	}
	if err == nil {
		w.groups.Add(1)
		w.rows.Add(int64(len(group)))
	}
	for _, r := range group {
		r.done <- err
	}
}

// close refuses new records, writes those that are pending, and returns when the goroutines have ended. It may be
// called twice.
func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.more.Broadcast()
	w.running.Wait()
}
