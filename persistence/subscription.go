package persistence

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// maxPending bounds what a subscription holds that has not been taken.
const maxPending = 4096

// ErrSlowSubscriber is returned when predictions came faster than a subscription was read.
var ErrSlowSubscriber = errors.New("subscriber too slow")

// Subscription gives predictions as they are stored, on whichever replica. It is for one goroutine, and must be closed.
type Subscription struct {
	filter PredictionFilter
	leave  func()
	// more and room say that pending has grown, or shrunk.
	more, room chan struct{}

	mu      sync.Mutex
	pending []*Prediction // guarded by mu
	err     error         // why it has ended; guarded by mu
}

// Subscribe gives the predictions that f picks and that are stored from its return on: each once, in about the order
// of time, without its Outputs, which its Batch has. Beside others it may begin with some that were stored shortly before
// and that those have not been given either. It returns ErrUnavailable where the database cannot be listened to.
func (s *Store) Subscribe(ctx context.Context, f PredictionFilter) (*Subscription, error) {
	sub := &Subscription{filter: f, more: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	sub.leave = func() { s.listener.leave(sub) }
	if err := s.listener.join(ctx, sub); err != nil {
		return nil, err
	}
	return sub, nil
}

// Next returns the next prediction, when there is one. It returns ErrSlowSubscriber where the one after the last is
// lost, ErrUnavailable where the store is closed, or ctx's error.
func (s *Subscription) Next(ctx context.Context) (*Prediction, error) {
	for {
		if p, err := s.take(); p != nil || err != nil {
			return p, err
		}
		select {
		case <-s.more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close ends the subscription. It may be called several times.
func (s *Subscription) Close() { s.leave() }

// take returns the first that is pending, or why there will be none; neither where there is none yet.
func (s *Subscription) take() (*Prediction, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || len(s.pending) == 0 {
		return nil, s.err
	}
	p := s.pending[0]
	s.pending[0] = nil
	if s.pending = s.pending[1:]; len(s.pending) == 0 {
		s.pending = nil // so that who is idle holds no memory
	}
	signal(s.room)
	return p, nil
}

// offer hands over those of the predictions that the filter picks, or reports that there is no room for them.
func (s *Subscription) offer(all []*Prediction) bool {
	picked := all
	if slices.ContainsFunc(all, func(p *Prediction) bool { return !s.filter.picks(p) }) {
		picked = nil
		for _, p := range all {
			if s.filter.picks(p) {
				picked = append(picked, p)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending)+len(picked) > maxPending {
		return false
	}
	if len(picked) > 0 {
		s.pending = append(s.pending, picked...)
		signal(s.more)
	}
	return true
}

// end makes Next return an error from now on.
func (s *Subscription) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.pending = err, nil
	signal(s.more)
}

// signal leaves one for whoever waits, or comes to.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// picks tells what the conditions of a list tell of a row.
func (f *PredictionFilter) picks(p *Prediction) bool {
	return (f.Model == nil || *f.Model == p.ModelName) &&
		(f.Version == nil || *f.Version == p.ModelVersion) &&
		(f.InputID == nil || *f.InputID == p.InputID) &&
		(f.ClassName == nil || p.ClassName != nil && *f.ClassName == *p.ClassName) &&
		f.Confidence.picks(p.Confidence) && f.CreatedAt.picks(p.CreatedAt) &&
		(f.Labelled == nil || *f.Labelled == p.Labelled) &&
		(f.Correct == nil || p.Correct != nil && *f.Correct == *p.Correct) &&
		(f.Sources == nil || slices.Contains(f.Sources, p.Source))
}

func (r FloatRange) picks(v *float64) bool {
	if v == nil {
		return r.GTE == nil && r.LT == nil
	}
	return (r.GTE == nil || *v >= *r.GTE) && (r.LT == nil || *v < *r.LT)
}
