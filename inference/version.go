package inference

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// version is a version of a model with what runs it. It is safe for concurrent use; only that of ModelVersion which is
// READY may predict.
type version struct {
	*ModelVersion
	// found tells that ClassNames are none that labels.txt gives, and unnamed is then the Fingerprint without them.
	found   bool
	unnamed string
	input   *imageInput
	backend backend
	batcher *batcher
	stats   *statistics
	// tasks keep their tensors' memory from request to request: without it a tensor of 600 kB (RGB at 224×224) would be
	// set aside and cleared for each.
	tasks sync.Pool
	// users are the leases, and one more while a catalog has the version; unused is closed when the last has gone.
	users  atomic.Int64
	unused chan struct{}
}

// acquire keeps the version from being freed until release; false where the last user has gone.
func (v *version) acquire() bool {
	for {
		users := v.users.Load()
		if users == 0 {
			return false
		}
		if v.users.CompareAndSwap(users, users+1) {
			return true
		}
	}
}

func (v *version) release() {
	if v.users.Add(-1) == 0 {
		close(v.unused)
	}
}

// callers is how many lease the version.
func (v *version) callers() int { return int(v.users.Load()) - 1 }

// predict decodes the image, runs the version on it and reads the outputs. Tensors of more than maxValues values come
// without their data.
func (v *version) predict(ctx context.Context, d *decoder, image []byte, maxValues int) (*Result, error) {
	start := time.Now()
	t, _ := v.tasks.Get().(*task)
	if t == nil {
		t = newTask()
	}
	t.most = maxValues
	defer v.tasks.Put(t)
	result := &Result{Model: v.ModelVersion}
	if err := d.decode(ctx, image, v.input, t, result); err != nil {
		v.stats.failed(runFailure(err, FailureOther))
		return nil, err
	}
	if err := v.batcher.run(ctx, t); err != nil {
		v.stats.failed(runFailure(err, FailureBackend))
		return nil, err
	}
	result.Timing.Queue += t.times.queue
	result.Timing.Inference = t.times.compute()
	result.Outputs = v.tensors(t, maxValues)
	v.stats.succeeded(time.Since(start), result.Timing.Decode, result.Timing.Queue, t.times)
	return result, nil
}

// tensors are the task's outputs in the form that is stored.
func (v *version) tensors(t *task, maxValues int) []Tensor {
	tensors := make([]Tensor, len(v.Outputs))
	for i, spec := range v.Outputs {
		raw := t.outputs[i]
		tensors[i] = Tensor{Name: spec.Name, Datatype: spec.Datatype, Shape: raw.shape}
		if n := volume(raw.shape); n >= 0 && n <= maxValues {
			tensors[i].Data = tensorJSON(raw, spec.Datatype)
		}
	}
	return tensors
}

// available is nil, or an ErrUnavailable where requests would get it at once.
func (v *version) available() error {
	if x, ok := v.backend.(*remote); ok {
		return x.breaker.allow()
	}
	return nil
}

// replaced is nil, or an anotherModel where the server that runs the version has one.
func (v *version) replaced() error {
	if x, ok := v.backend.(*remote); ok {
		return x.breaker.replaced()
	}
	return nil
}

// close waits for the version's runs and frees it. It may be called once.
func (v *version) close() error {
	if v.batcher != nil {
		v.batcher.close()
	}
	if v.backend == nil {
		return nil
	}
	defer returnMemory()
	return v.backend.close()
}
