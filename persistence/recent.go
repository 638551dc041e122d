package persistence

import "time"

// recent remembers predictions for at least a time, and at most twice as long. Its clock is that of who uses it.
type recent struct {
	keep         time.Duration
	newer, older map[PredictionID]struct{}
	// since is when newer was begun.
	since time.Time
}

func newRecent(keep time.Duration) *recent {
	return &recent{keep: keep, newer: map[PredictionID]struct{}{}}
}

// add remembers a prediction, and reports whether it was not known.
func (r *recent) add(id PredictionID, now time.Time) bool {
	if now.Sub(r.since) > r.keep {
		r.older, r.newer, r.since = r.newer, map[PredictionID]struct{}{}, now
	}
	_, newer := r.newer[id]
	_, older := r.older[id]
	r.newer[id] = struct{}{}
	return !newer && !older
}

func (r *recent) clear() { r.older, r.newer = nil, map[PredictionID]struct{}{} }
