package main

import (
	"context"
	"time"

	"sibyl/persistence"
)

// sweepInterval is how often what nobody needs any more is deleted, or oftener where it is kept for less than hours.
const sweepInterval = time.Hour

// startJobs has this replica take its share of what is done without being asked for.
func (s *Server) startJobs(ctx context.Context) error {
	jobs, err := s.store.StartJobs(ctx, s.jobs(), s.logger)
	if err != nil {
		return err
	}
	s.opened = append(s.opened, jobs.Close)
	return nil
}

// jobs delete what has been kept for long enough.
func (s *Server) jobs() []persistence.Job {
	store := s.store
	jobs := []persistence.Job{{
		Name: "expire_idempotency_keys", Every: sweepInterval,
		Run: func(ctx context.Context) (int, error) { return store.ExpireIdempotencyKeys(ctx, time.Now()) },
	}}
	if keep := time.Duration(s.config.KeepPredictions); keep > 0 {
		jobs = append(jobs, persistence.Job{
			Name: "remove_predictions", Every: sweepEvery(keep),
			Run: func(ctx context.Context) (int, error) { return store.RemovePredictions(ctx, time.Now().Add(-keep)) },
		})
	}
	if keep := time.Duration(s.config.KeepImages); keep > 0 {
		jobs = append(jobs, persistence.Job{
			Name: "remove_images", Every: sweepEvery(keep),
			Run: func(ctx context.Context) (int, error) { return store.RemoveImages(ctx, time.Now().Add(-keep)) },
		})
	}
	if s.config.Images != "" {
		jobs = append(jobs, persistence.Job{
			Name: "collect_objects", Every: sweepInterval,
			Run: func(ctx context.Context) (int, error) { return store.CollectObjects(ctx, persistence.CollectAge) },
		})
	}
	return jobs
}

// sweepEvery is often enough for what is kept for so long.
func sweepEvery(keep time.Duration) time.Duration {
	const most = 24 // sweeps in the time
	return min(max(keep/most, time.Second), sweepInterval)
}
