package persistence

import "time"

// recent remembers predictions until they cannot come again: those that were made more than keep before what is heard of.
type recent struct {
	keep  time.Duration
	known map[PredictionID]struct{}
	// swept is when it was last forgotten what need not be known.
	swept time.Time
}

func newRecent(keep time.Duration) *recent {
	return &recent{keep: keep, known: map[PredictionID]struct{}{}}
}

// add remembers a prediction, and reports whether it was not known. All that was stored until heard has been heard of:
// how long ago it was added says nothing, for what is to be heard next may have waited for as long.
func (r *recent) add(id PredictionID, heard time.Time) bool {
	if heard.Sub(r.swept) > r.keep {
		r.sweep(heard.Add(-r.keep))
		r.swept = heard
	}
	_, known := r.known[id]
	r.known[id] = struct{}{}
	return !known
}

// sweep forgets what was made before a time, in a new map: one that was large would stay so.
func (r *recent) sweep(oldest time.Time) {
	all := r.known
	r.clear()
	for id := range all {
		if !id.Time().Before(oldest) {
			r.known[id] = struct{}{}
		}
	}
}

func (r *recent) clear() { r.known = map[PredictionID]struct{}{} }
