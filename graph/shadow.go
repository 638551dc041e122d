package graph

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"sibyl/inference"
	"sibyl/persistence"
)

const (
	// maxShadowRuns bounds the runs of shadows that wait. They hold IDs only: the images are read again.
	maxShadowRuns = 1024
	// ShadowTimeout bounds one of them.
	ShadowTimeout = 30 * time.Second
	// shadowReport is how often what was dropped and what failed is logged.
	shadowReport = 10 * time.Second
)

// ShadowStatistics are what became of the runs of shadows since the start; they only grow.
type ShadowStatistics struct {
	// Stored runs have a prediction; Dropped ones found the queue full, the server stopping, or their input deleted; Failed
	// ones had an error.
	Stored, Dropped, Failed int64
}

// shadows runs versions that shadow others, beside the requests that those have answered. It neither delays nor fails
// them. It is safe for concurrent use.
type shadows struct {
	engine  *inference.Engine
	store   *persistence.Store
	logger  *slog.Logger
	told    func(ctx context.Context, p *persistence.Prediction, commit time.Duration)
	workers sync.WaitGroup

	// mu is held while something is put in the queue, and guards closed, which tells that nothing is any more.
	mu     sync.Mutex
	closed bool
	queue  chan shadowRun

	stored, dropped, failed atomic.Int64
	// reported is when drops and failures were logged last, in Unix nanoseconds.
	reported atomic.Int64
}

type shadowRun struct {
	input   persistence.InputID
	model   string
	version int
}

func newShadows(engine *inference.Engine, store *persistence.Store, o Options) *shadows {
	queue := make(chan shadowRun, maxShadowRuns)
	return &shadows{engine: engine, store: store, logger: o.Logger, told: o.Stored, queue: queue}
}

// start runs what is in the queue until ctx ends. A quarter of the cores is enough, for what answers requests needs them.
func (s *shadows) start(ctx context.Context) {
	for range max(1, runtime.GOMAXPROCS(0)/4) {
		s.workers.Go(func() {
			for run := range s.queue {
				s.count(ctx, s.run(ctx, run), run)
			}
		})
	}
}

// close drops what waits, and what comes, and returns when nothing runs any more. The context of start must have ended.
func (s *shadows) close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.queue)
	}
	s.mu.Unlock()
	s.workers.Wait()
	for range s.queue { // nobody may have started
		s.dropped.Add(1)
	}
}

// beside runs the shadow of the version that made a stored prediction, if it serves and has one, once the operation of
// ctx has been answered.
func (s *shadows) beside(ctx context.Context, p *persistence.Prediction) {
	m, err := s.engine.Model(p.ModelName)
	if err != nil || m.Shadow == nil || m.Serving == nil || m.Serving.Version != p.ModelVersion {
		return
	}
	run := shadowRun{input: p.InputID, model: m.Name, version: m.Shadow.Version}
	context.AfterFunc(ctx, func() { s.put(run) })
}

func (s *shadows) put(run shadowRun) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.dropped.Add(1)
		return
	}
	select {
	case s.queue <- run:
	default:
		s.dropped.Add(1)
		s.report(errors.New("too many wait"), run)
	}
}

// run predicts a stored image and stores the prediction beside the request's.
func (s *shadows) run(ctx context.Context, run shadowRun) error {
	ctx, cancel := context.WithTimeout(ctx, ShadowTimeout)
	defer cancel()
	image, err := s.store.Image(ctx, run.input)
	if err != nil {
		return err
	}
	result, err := s.engine.Predict(ctx, run.model, run.version, image)
	if err != nil {
		return err
	}
	p := newPrediction(run.input, result, persistence.SourceShadow)
	began := time.Now()
	if err := s.store.Record(ctx, &persistence.Record{Prediction: p}); err != nil {
		return err
	}
	s.told(ctx, p, time.Since(began))
	return nil
}

// count tells what became of a run. It is nobody's fault where the server stops, or the input was deleted meanwhile.
func (s *shadows) count(ctx context.Context, err error, run shadowRun) {
	switch {
	case err == nil:
		s.stored.Add(1)
	case ctx.Err() != nil, errors.Is(err, persistence.ErrNotFound):
		s.dropped.Add(1)
	default:
		s.failed.Add(1)
		s.report(err, run)
	}
}

// report logs now and then, for there may be thousands.
func (s *shadows) report(err error, run shadowRun) {
	now, last := time.Now().UnixNano(), s.reported.Load()
	if now-last < int64(shadowReport) || !s.reported.CompareAndSwap(last, now) {
		return
	}
	s.logger.LogAttrs(context.Background(), slog.LevelWarn, "shadow did not run", slog.String("model", run.model),
		slog.Int("version", run.version), slog.Any("error", err),
		slog.Int64("dropped", s.dropped.Load()), slog.Int64("failed", s.failed.Load()))
}

// ShadowStatistics tells what became of the runs of shadows.
func (r *Resolver) ShadowStatistics() ShadowStatistics {
	s := r.shadows
	return ShadowStatistics{Stored: s.stored.Load(), Dropped: s.dropped.Load(), Failed: s.failed.Load()}
}
