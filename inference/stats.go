package inference

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// Statistics are what a version did since it was loaded, in the terms of Triton's statistics extension. All counts and
// durations only grow.
type Statistics struct {
	Model   string
	Version int
	// ExecutionProvider is the version's.
	ExecutionProvider string
	// Instances is how many runs may go on at the same time.
	Instances int
	// Batching tells whether images share runs. It is off where the model takes one image a run, where that was not
	// faster at warm-up on the CPU, or where the configuration says so.
	Batching bool
	// MaxBatchSize is the most images that share a run; 1 where Batching is off.
	MaxBatchSize int
	// Waiting is how many requests wait for an instance now.
	Waiting int
	// Success counts requests that were answered, and Total is their time in the engine.
	Success int64
	Total   time.Duration
	// Decode, Queue, ComputeInput, ComputeInfer and ComputeOutput are the parts of Total, summed over the requests: each
	// image of a batch has all of the batch's time. Queue is the wait for a decoder and for an instance.
	Decode, Queue, ComputeInput, ComputeInfer, ComputeOutput time.Duration
	// Failures counts requests that ended with an error, by reason.
	Failures map[FailureReason]int64
	// Batches are by size, ascending: the buckets, which runs are padded to.
	Batches []BatchStatistics
}

// BatchStatistics are about the runs of one bucket; a run's time counts once, however many images were in it.
type BatchStatistics struct {
	// Size is the bucket's, Count how many runs there were, and Images how many images were in them.
	Size          int
	Count, Images int64

	ComputeInput, ComputeInfer, ComputeOutput time.Duration
}

// FailureReason says why a request got no answer, as the label `reason` of Triton's metric does.
type FailureReason string

// The reasons: a full queue or a closed engine; a caller that left or whose deadline passed; the model's run; the
// image.
const (
	FailureRejected FailureReason = "REJECTED"
	FailureCanceled FailureReason = "CANCELED"
	FailureBackend  FailureReason = "BACKEND"
	FailureOther    FailureReason = "OTHER"
)

var failureReasons = [...]FailureReason{FailureRejected, FailureCanceled, FailureBackend, FailureOther}

// statistics counts for a version. It is safe for concurrent use and takes no lock.
type statistics struct {
	success, total, decode, queue, input, infer, output atomic.Int64

	failures [len(failureReasons)]atomic.Int64
	// buckets are ascending, and batches beside them.
	buckets []int
	batches []batchCounters
}

type batchCounters struct{ count, images, input, infer, output atomic.Int64 }

func newStatistics(buckets []int) *statistics {
	return &statistics{buckets: buckets, batches: make([]batchCounters, len(buckets))}
}

// ran counts a run of so many images.
func (s *statistics) ran(images int, times phases) {
	c := &s.batches[bucketFor(s.buckets, images)]
	c.count.Add(1)
	c.images.Add(int64(images))
	c.input.Add(int64(times.input))
	c.infer.Add(int64(times.infer))
	c.output.Add(int64(times.output))
}

// succeeded counts a request that took so long in total, of which decoding and waiting for it as told.
func (s *statistics) succeeded(total, decode, queue time.Duration, times phases) {
	s.success.Add(1)
	s.total.Add(int64(total))
	s.decode.Add(int64(decode))
	s.queue.Add(int64(queue))
	s.input.Add(int64(times.input))
	s.infer.Add(int64(times.infer))
	s.output.Add(int64(times.output))
}

func (s *statistics) failed(reason FailureReason) {
	for i, r := range failureReasons {
		if r == reason {
			s.failures[i].Add(1)
		}
	}
}

// runFailure is the reason of an error that a decoder's permits or the batcher gave, or byDefault.
func runFailure(err error, byDefault FailureReason) FailureReason {
	switch {
	case errors.Is(err, ErrOverloaded), errors.Is(err, ErrClosed):
		return FailureRejected
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return FailureCanceled
	}
	return byDefault
}

// snapshot is the state now. Numbers of one request that ends meanwhile may be partly in it.
func (s *statistics) snapshot() Statistics {
	out := Statistics{
		Success: s.success.Load(), Total: time.Duration(s.total.Load()),
		Decode: time.Duration(s.decode.Load()), Queue: time.Duration(s.queue.Load()),
		ComputeInput: time.Duration(s.input.Load()), ComputeInfer: time.Duration(s.infer.Load()),
		ComputeOutput: time.Duration(s.output.Load()),
		Failures:      make(map[FailureReason]int64, len(failureReasons)),
		Batches:       make([]BatchStatistics, len(s.buckets)),
	}
	for i, reason := range failureReasons {
		out.Failures[reason] = s.failures[i].Load()
	}
	for i, size := range s.buckets {
		c := &s.batches[i]
		out.Batches[i] = BatchStatistics{
			Size: size, Count: c.count.Load(), Images: c.images.Load(), ComputeInput: time.Duration(c.input.Load()),
			ComputeInfer: time.Duration(c.infer.Load()), ComputeOutput: time.Duration(c.output.Load()),
		}
	}
	return out
}

// Statistics are those of every version that answers, by model and version. They are safe to ask for at any time, and the
// caller owns them.
func (e *Engine) Statistics() []Statistics {
	var all []Statistics
	for _, m := range e.models.catalog.Load().models {
		for _, number := range slices.Sorted(maps.Keys(m.running)) {
			all = append(all, m.running[number].statistics())
		}
	}
	return all
}

func (v *version) statistics() Statistics {
	s := v.stats.snapshot()
	s.Model, s.Version, s.ExecutionProvider = v.Name, v.Version, *v.ExecutionProvider
	s.Instances, s.MaxBatchSize, s.Batching = v.batcher.instances, v.batcher.plan.most, v.batcher.plan.most > 1
	s.Waiting = v.batcher.waiting()
	return s
}
