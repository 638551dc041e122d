package inference

import (
	"context"
	"fmt"
	"slices"
)

// discover runs the model once on black to learn the shapes of its outputs for inputs of the given shapes. A shape is
// nil where it may differ from run to run, so that no memory can be set aside for it.
func (s *session) discover(ctx context.Context, in *imageInput, inputShapes [][]int) ([][]int, error) {
	shapes := make([][]int, len(s.outputs))
	b, err := s.newBinding(inputShapes, shapes)
	if err != nil {
		return nil, err
	}
	defer b.close()
	if err := s.run(ctx, b); err != nil {
		return nil, err
	}
	for i, result := range b.results {
		if s.isStatic(s.outputs[i], in) && volume(result.shape) > 0 {
			shapes[i] = result.shape
		}
	}
	return shapes, nil
}

// isStatic tells whether an output has the same shape in each run: every dimension is fixed, but for the first where
// that has the name of the input's batch. An output that is an input too is not: ONNX Runtime gives the input back, and
// leaves memory that was set aside for it as it is.
func (s *session) isStatic(output onnxValue, in *imageInput) bool {
	isInput := func(input onnxValue) bool { return input.name == output.name }
	if elementSize(output.datatype) == 0 || output.isSpread() || slices.Contains(output.shape[1:], -1) ||
		slices.ContainsFunc(s.inputs, isInput) {
		return false
	}
	image := s.inputs[in.index]
	return output.shape[0] != -1 || in.batched && image.shape[0] == -1 && image.batch != "" && image.batch == output.batch
}

// warmUp sets memory aside for the smallest run, and runs the model as warmUp does.
func (g *instances) warmUp(ctx context.Context) ([]*task, error) {
	if err := g.add(ctx, g.input.smallest()); err != nil {
		return nil, err
	}
	return warmUp(ctx, g, g.input)
}

// warmUp runs a model on a black and on a mottled picture, the way requests do.
func warmUp(ctx context.Context, x executor, in *imageInput) ([]*task, error) {
	n := in.Width * in.Height * in.Channels()
	black, mottled := newTask(), newTask()
	black.input, mottled.input = make([]float32, n), make([]float32, n)
	for i := range mottled.input {
		v := uint32(i) * 2654435761 >> 24 // multiplicative hashing, Knuth's TAOCP 6.4
		mottled.input[i] = float32(float64(v)*in.Scale-in.Mean[0]) / float32(in.Std[0])
	}
	tasks := []*task{black, mottled}
	for again := true; again; again = in.findWhole(tasks) {
		for _, t := range tasks {
			x.load(0, t.self[:])
			if err := x.infer(ctx, 0, 1); err != nil {
				return nil, err
			}
			x.unload(0, t.self[:])
		}
	}
	return tasks, nil
}

// allShapes are the shapes of all inputs in a run of so many images. Inputs beside the image are zero: what they leave
// open is 1, unless it is the batch.
func (in *imageInput) allShapes(inputs []onnxValue, images int) ([][]int, error) {
	shapes := make([][]int, len(inputs))
	for i, input := range inputs {
		if i == in.index {
			shapes[i] = slices.Clone(in.shape)
			if in.open {
				shapes[i][0] = images
			}
			continue
		}
		if elementSize(input.datatype) == 0 || input.shape == nil {
			return nil, fmt.Errorf("input %q beside the image is no tensor of numbers with a shape", input.name)
		}
		shapes[i] = slices.Clone(input.shape)
		for d, size := range shapes[i] {
			if size == -1 {
				shapes[i][d] = 1
				if d == 0 && in.open && input.batch == inputs[in.index].batch {
					shapes[i][d] = images
				}
			}
		}
	}
	return shapes, nil
}

// openShape is the shape of one run's output where the file declares none: with the batch put back.
func (in *imageInput) openShape(output int, shape []int) []int {
	switch {
	case !in.batched || len(shape) == 0 && in.isWhole(output):
		return shape
	case in.isWhole(output):
		return append([]int{-1}, shape[1:]...)
	}
	return append([]int{-1}, shape...)
}
