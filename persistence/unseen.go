package persistence

import (
	"maps"
	"slices"
	"time"
)

const (
	// unseenPause is how often predictions are asked for that were told of and could not be read.
	unseenPause = 50 * time.Millisecond
	// unseenTimeout is for how long: one that is not there then has been deleted. Citus itself looks once a minute for
	// what a node that was lost meanwhile has still to commit.
	unseenTimeout = 2 * time.Minute
)

// unseen are predictions that were told of and could not be read, with when they were first asked for. On one database that
// is none but what was deleted: it is left out. Where tables are distributed the coordinator commits before the nodes do,
// so that they may come to be there a moment later.
type unseen map[PredictionID]time.Time

func (u unseen) ids() []PredictionID { return slices.Collect(maps.Keys(u)) }

// without are those of the IDs that are not among the rows, but for those that were asked for long enough.
func (u unseen) without(ids []PredictionID, rows []*Prediction) unseen {
	now, left := time.Now(), unseen{}
	for _, id := range ids {
		asked, ok := u[id]
		if !ok {
			asked = now
		}
		if now.Sub(asked) < unseenTimeout {
			left[id] = asked
		}
	}
	for _, p := range rows {
		delete(left, p.ID)
	}
	return left
}
