package persistence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
)

const (
	// jobQueue is where jobs wait for a replica. Each takes one of them at a time.
	jobQueue = "jobs"
	// jobTimeout bounds a job, which goes on the next time. That of a replica that was killed counts as running for a
	// while longer, and keeps others from starting.
	jobTimeout = 30 * time.Minute
	jobRescue  = jobTimeout + 5*time.Minute
)

// Job is something that is done again and again, on one replica at a time.
type Job struct {
	// Name tells it from others, on every replica; letters, digits and `_`.
	Name string
	// Every is the time between two starts; the first is soon after a replica has come to lead the others.
	Every time.Duration
	// Run does it in small steps, each of which counts when ctx ends, and tells how many things it has done.
	Run func(ctx context.Context) (done int, err error)
}

// Jobs run until Close.
type Jobs struct {
	client *river.Client[pgx.Tx]
}

// StartJobs has this replica run jobs, together with the others: which one does a job is agreed on in the database, and
// a job is not begun where it still runs. All replicas should have the same. The database needs the schema of this binary.
func (s *Store) StartJobs(ctx context.Context, jobs []Job, logger *slog.Logger) (*Jobs, error) {
	worker := &jobWorker{jobs: make(map[string]Job, len(jobs)), logger: logger}
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
		JobTimeout: jobTimeout, RescueStuckJobsAfter: jobRescue,
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
		MaxAttempts: 1, Queue: jobQueue,
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
}

// Work runs a job.
func (w *jobWorker) Work(ctx context.Context, j *river.Job[jobArgs]) error {
	job, ok := w.jobs[j.Args.Name]
	if !ok {
		return river.JobCancel(errors.New("this replica has no such job"))
	}
	begun := time.Now()
	done, err := job.Run(ctx)
	attributes := []slog.Attr{
		slog.String("job", job.Name), slog.Int("done", done), slog.Duration("duration", time.Since(begun)),
	}
	switch {
	case err == nil && done > 0:
		w.logger.LogAttrs(ctx, slog.LevelInfo, "job", attributes...)
	case err != nil && ctx.Err() == nil:
		w.logger.LogAttrs(ctx, slog.LevelWarn, "job", append(attributes, slog.Any("error", err))...)
	}
	return err
}
