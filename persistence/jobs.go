package persistence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
)

const (
	// jobQueue is where jobs wait for a replica. Each takes one of them at a time.
	jobQueue = "jobs"
	// jobTimeout bounds a job, which goes on the next time.
	jobTimeout = 30 * time.Minute
	// jobLease is how long a job counts as running after its replica has last said so, which it does every jobBeat. Then
	// another one takes it, for that one was killed.
	jobLease = 3 * time.Minute
	jobBeat  = 30 * time.Second
	// jobAttempts bound how often a job is taken that ends its replicas, until it is due again.
	jobAttempts = 3
)

// Job is something that is done again and again, on one replica at a time.
type Job struct {
	// Name tells it from others, on every replica; letters, digits and `_`.
	Name string
	// Every is the time between two starts; the first is soon after a replica has come to lead the others.
	Every time.Duration
	// Run does it in small steps, each of which counts when ctx ends, and tells how many things it has done. It must do no
	// harm beside another one: a replica that seems to be gone may only be cut off from the database.
	Run func(ctx context.Context) (done int, err error)
}

// Jobs run until Close.
type Jobs struct {
	client *river.Client[pgx.Tx]
}

// StartJobs has this replica run jobs, together with the others: which one does a job is agreed on in the database, and
// a job is not begun where it still runs. All replicas should have the same. The database needs the schema of this binary.
func (s *Store) StartJobs(ctx context.Context, jobs []Job, logger *slog.Logger) (*Jobs, error) {
	return s.startJobs(ctx, jobs, logger, jobBeat)
}

func (s *Store) startJobs(ctx context.Context, jobs []Job, logger *slog.Logger, beat time.Duration) (*Jobs, error) {
	worker := &jobWorker{jobs: make(map[string]Job, len(jobs)), logger: logger, pool: s.background, beat: beat}
	var periodic []*river.PeriodicJob
	for _, job := range jobs {
		worker.jobs[job.Name] = job
		start := func() (river.JobArgs, *river.InsertOpts) { return jobArgs{job.Name}, nil }
		periodic = append(periodic, river.NewPeriodicJob(river.PeriodicInterval(job.Every), start,
			&river.PeriodicJobOpts{ID: job.Name, RunOnStart: true}))
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, worker)
	client, err := river.NewClient(riverpgxv5.New(s.background.Pool), &river.Config{
		JobTimeout: jobLease, RescueStuckJobsAfter: jobLease, // see jobWorker.Timeout
		Logger:       slog.New(warnings{logger.Handler()}),
		PeriodicJobs: periodic,
		// To be told of jobs would take a connection that no pooler gives, and a job can wait a second.
		PollOnly: true,
		Queues:   map[string]river.QueueConfig{jobQueue: {MaxWorkers: 1}},
		Workers:  workers,
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return &Jobs{client}, nil
}

// Close stops the jobs that run here, as soon as their step is done, and returns when they have ended.
func (j *Jobs) Close() error {
	if err := j.client.StopAndCancel(context.Background()); err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	return nil
}

// jobArgs is a job as it waits in the database.
type jobArgs struct {
	Name string `json:"name"`
}

// Kind is that of all jobs: they differ by name.
func (jobArgs) Kind() string { return "sibyl" }

// InsertOpts keep a job from being begun while it waits or runs. One that failed is begun again when it is time.
func (jobArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		MaxAttempts: jobAttempts, Queue: jobQueue,
		UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning,
			rivertype.JobStateRetryable, rivertype.JobStateScheduled,
		}},
	}
}

// jobWorker runs jobs by their names.
type jobWorker struct {
	river.WorkerDefaults[jobArgs]
	jobs   map[string]Job
	logger *slog.Logger
	pool   pool
	beat   time.Duration
}

// Timeout bounds a job that begins. River also asks before it takes a job away whose lease has run out, and would leave
// it for as long.
func (w *jobWorker) Timeout(j *river.Job[jobArgs]) time.Duration {
	if time.Since(*j.AttemptedAt) >= jobLease {
		return jobLease
	}
	return jobTimeout
}

// Work runs a job.
func (w *jobWorker) Work(ctx context.Context, j *river.Job[jobArgs]) error {
	job, ok := w.jobs[j.Args.Name]
	if !ok {
		return river.JobCancel(errors.New("this replica has no such job"))
	}
	begun, stop := time.Now(), w.keepLease(ctx, j.ID)
	done, err := job.Run(ctx)
	stop()
	attributes := []slog.Attr{
		slog.String("job", job.Name), slog.Int("done", done), slog.Duration("duration", time.Since(begun)),
	}
	switch {
	case err == nil && done > 0:
		w.logger.LogAttrs(ctx, slog.LevelInfo, "job", attributes...)
	case err != nil && ctx.Err() == nil:
		w.logger.LogAttrs(ctx, slog.LevelWarn, "job", append(attributes, slog.Any("error", err))...)
	}
	if err != nil && !errors.Is(ctx.Err(), context.Canceled) { // else others go on with it
		return river.JobCancel(err)
	}
	return err
}

// keepLease says every beat that the job still runs, until stop is called. Where it cannot, others may take the job.
func (w *jobWorker) keepLease(ctx context.Context, id int64) (stop func()) {
	const renew = `
UPDATE river_job
SET attempted_at = $1
WHERE id = $2
  AND state = 'running'`
	ctx, cancel := context.WithCancel(ctx)
	var beating sync.WaitGroup
	beating.Go(func() {
		ticker := time.NewTicker(w.beat)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				_, _ = w.pool.Exec(ctx, renew, now, id)
			}
		}
	})
	return func() {
		cancel()
		beating.Wait()
	}
}
