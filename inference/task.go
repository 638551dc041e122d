package inference

import (
	"time"

	"sibyl/inference/picture"
)

// task is one image on its way through a version: its tensor in, its tensors out. It is not safe for concurrent use;
// while its caller waits it is the batcher's.
type task struct {
	// input are the values of the image, without a batch dimension.
	input []float32
	// outputs are the values for the image; the memory is the task's own.
	outputs []rawTensor
	// most bounds the values of an output that is taken with its data; 0: none is too large.
	most int
	// memory is for what is between the image and the input.
	memory picture.Arena
	// times are those of its run.
	times phases

	// entered is when it came to the batcher, which tells it on ready how it goes on.
	entered time.Time
	ready   chan answer
	// before and after are its neighbours in a queue; queued tells that it is in one.
	before, after *task
	queued        bool
	// batch is what took it from the queue, and slot its place there; nil while it waits, and when it runs alone.
	batch *batch
	slot  int
	// self is the task as a batch of one.
	self [1]*task
}

// phases tell how long the stages of a run took: waiting, filling the batch's tensor, running, reading the outputs.
type phases struct {
	queue, input, infer, output time.Duration
}

// compute is the time of all that is not waiting.
func (p phases) compute() time.Duration { return p.input + p.infer + p.output }

// answer ends a task's wait: with an instance to run on alone, or with the outcome of the batch it was in.
type answer struct {
	// instance is none where there is an outcome.
	instance int
	err      error
}

// none is no instance.
const none = -1

func newTask() *task {
	t := &task{ready: make(chan answer, 1)}
	t.self[0] = t
	return t
}

// take copies image i's part of the results of a run of so many images of the input.
func (t *task) take(in *imageInput, results []rawTensor, i, images int) {
	if len(t.outputs) != len(results) {
		t.outputs = make([]rawTensor, len(results))
	}
	for o, result := range results {
		result = in.part(o, result, i, images)
		if n := volume(result.shape); t.most > 0 && (n < 0 || n > t.most) {
			result.data, result.strings = nil, nil
		}
		result.data = append(t.outputs[o].data[:0], result.data...)
		t.outputs[o] = result
	}
}

// taskQueue holds tasks in the order they came; any may leave. The zero value is empty. Its owner guards it.
type taskQueue struct {
	first, last *task
	length      int
}

func (q *taskQueue) push(t *task) {
	t.before, t.after, t.queued = q.last, nil, true
	if q.last == nil {
		q.first = t
	} else {
		q.last.after = t
	}
	q.last = t
	q.length++
}

func (q *taskQueue) remove(t *task) {
	if t.before == nil {
		q.first = t.after
	} else {
		t.before.after = t.after
	}
	if t.after == nil {
		q.last = t.before
	} else {
		t.after.before = t.before
	}
	t.before, t.after, t.queued = nil, nil, false
	q.length--
}

// pop removes the first; the queue must not be empty.
func (q *taskQueue) pop() *task {
	t := q.first
	q.remove(t)
	return t
}
