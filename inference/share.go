package inference

import "fmt"

// What of a run belongs to which image. An output whose first dimension is as long as the batch has a part for each
// image; but how many boxes a detector finds is as long by accident, now and then. So an output that has another length
// in one of the first runs belongs to every image whole, always.

// isWhole tells that an output belongs to every image of a run whole.
func (in *imageInput) isWhole(output int) bool { return in.whole != nil && in.whole[output] }

// part is what of an output of a run of so many images belongs to image i. It shares the run's memory.
func (in *imageInput) part(output int, r rawTensor, i, images int) rawTensor {
	if !in.batched || in.isWhole(output) || !r.isOf(images) {
		return r
	}
	return r.item(i, images)
}

// findWhole learns from what tasks got, each of which ran alone, which outputs belong to every image whole. It is true
// where that is news to a task.
func (in *imageInput) findWhole(tasks []*task) bool {
	whole := make([]bool, len(tasks[0].outputs))
	isNews := false
	for o := range whole {
		parts := 0
		for _, t := range tasks {
			if t.outputs[o].isPart {
				parts++
			}
		}
		whole[o] = parts < len(tasks)
		isNews = isNews || whole[o] && parts > 0
	}
	in.whole = whole
	return isNews
}

// checkShared refuses a run of several images of which an output is not one for each: each image would get what belongs
// to others.
func (in *imageInput) checkShared(results []rawTensor, images int) error {
	for o, r := range results {
		if !in.isWhole(o) && !r.isOf(images) {
			return fmt.Errorf("%w: %v of %d", errNotIndependent, r.shape, images)
		}
	}
	return nil
}

// fill puts the tasks' pictures into dst, the memory of a whole batch, and nothing into the places that are left over:
// what lay there from another run may fail this one, or be seen in its answers. filled is how many places held something,
// and hold it from now on.
func (in *imageInput) fill(dst []byte, tasks []*task, filled *int) {
	size := volume(in.shape) / in.smallest() * elementSize(in.datatype)
	for i, t := range tasks {
		if t != nil {
			in.put(dst, i, t.input)
		} else {
			clear(dst[i*size : (i+1)*size])
		}
	}
	if from, to := len(tasks)*size, min(*filled*size, len(dst)); from < to {
		clear(dst[from:to])
	}
	*filled = len(tasks)
}
