package persistence_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"sibyl/persistence"
)

// TestJobs has two replicas with the same jobs: none is done by both at a time, one that is not due again is done once,
// and one that fails is done again. What is left of them goes on without the other.
func TestJobs(t *testing.T) {
	t.Parallel()
	first, url := setup(t)
	second := openImages(t, url, "")
	var often, running, seldom, failing atomic.Int64
	jobs := []persistence.Job{
		{Name: "often", Every: 100 * time.Millisecond, Run: func(context.Context) (int, error) {
			if running.Add(1) != 1 {
				t.Error("a job is done twice at a time")
			}
			defer running.Add(-1)
			return int(often.Add(1)), nil
		}},
		{Name: "seldom", Every: time.Hour, Run: func(context.Context) (int, error) { return int(seldom.Add(1)), nil }},
		{Name: "failing", Every: 100 * time.Millisecond, Run: func(context.Context) (int, error) {
			failing.Add(1)
			return 0, errors.New("as the test wants it")
		}},
	}
	var started []*persistence.Jobs
	for _, store := range []*persistence.Store{first, second} {
		s, err := store.StartJobs(t.Context(), jobs, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		started = append(started, s)
	}
	eventually(t, "jobs", func() bool { return often.Load() >= 3 && failing.Load() >= 2 && seldom.Load() > 0 })
	if n := seldom.Load(); n != 1 {
		t.Errorf("a job of once an hour was done %d times", n)
	}
	if err := started[0].Close(); err != nil {
		t.Error(err)
	}
	before := often.Load()
	eventually(t, "jobs of one replica", func() bool { return often.Load() > before+1 })
	if err := started[1].Close(); err != nil {
		t.Error(err)
	}
}

// TestJobsAreStopped: one that runs is told to end.
func TestJobsAreStopped(t *testing.T) {
	t.Parallel()
	store, _ := setup(t)
	begun := make(chan struct{})
	jobs, err := store.StartJobs(t.Context(), []persistence.Job{{
		Name: "long", Every: time.Hour, Run: func(ctx context.Context) (int, error) {
			close(begun)
			<-ctx.Done()
			return 0, ctx.Err()
		},
	}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := jobs.Close(); err != nil {
		t.Error(err)
	}
}

// TestJobOfAReplicaThatIsGone: a job that counts as running, of which nobody says so any more, is done by another
// replica soon, however seldom it is due.
func TestJobOfAReplicaThatIsGone(t *testing.T) {
	store, url := setup(t)
	var done atomic.Int64
	job := []persistence.Job{{
		Name: "seldom", Every: 24 * time.Hour, Run: func(context.Context) (int, error) { return int(done.Add(1)), nil },
	}}
	for n := range int64(2) {
		jobs, err := store.StartJobs(t.Context(), job, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the job", func() bool { return done.Load() > n })
		if err := jobs.Close(); err != nil {
			t.Fatal(err)
		}
		// As a replica leaves it that is killed in the middle.
		const left = `UPDATE river_job SET state = 'running', finalized_at = NULL, attempted_at = $1`
		tag, err := connect(t, url).Exec(t.Context(), left, time.Now().Add(-persistence.JobLease))
		if err != nil || tag.RowsAffected() != 1 {
			t.Fatal(tag, err)
		}
	}
}

// TestJobSaysThatItRuns: as long as a job runs it does not seem to be left.
func TestJobSaysThatItRuns(t *testing.T) {
	store, url := setup(t)
	begun := make(chan struct{})
	jobs, err := persistence.StartJobs(t.Context(), store, []persistence.Job{{
		Name: "long", Every: time.Hour, Run: func(ctx context.Context) (int, error) {
			close(begun)
			<-ctx.Done()
			return 0, ctx.Err()
		},
	}}, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	conn, last, later := connect(t, url), time.Time{}, 0
	const query = `SELECT attempted_at FROM river_job WHERE state = 'running'`
	eventually(t, "signs of life", func() bool {
		var at time.Time
		if err := conn.QueryRow(t.Context(), query).Scan(&at); err != nil {
			t.Fatal(err)
		}
		if at.After(last) {
			last, later = at, later+1
		}
		return later > 2
	})
	if err := jobs.Close(); err != nil {
		t.Error(err)
	}
}
