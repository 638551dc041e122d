package inference

import (
	"context"
	"errors"
	"slices"
)

// instances are the runs of one session that may go on at the same time, each with memory of its own for every bucket.
// It is the executor of the version's batcher.
type instances struct {
	session *session
	input   *imageInput
	count   int
	// buckets are the sizes of batches, ascending, and bindings[i][b] is instance i's memory for buckets[b]. They do
	// not change once the version is READY.
	buckets  []int
	bindings [][]*binding
}

// newInstances owns the session from then on.
func newInstances(s *session, input *imageInput, count int) *instances {
	return &instances{session: s, input: input, count: count, bindings: make([][]*binding, count)}
}

// add sets memory aside for batches of a size larger than those there are, after a run that finds out about the
// outputs' shapes.
func (g *instances) add(ctx context.Context, size int) error {
	inputShapes, err := g.input.allShapes(g.session.inputs, size)
	if err != nil {
		return err
	}
	outputShapes, err := g.session.discover(ctx, g.input, inputShapes)
	if err != nil {
		return err
	}
	g.buckets = append(g.buckets, size)
	for i := range g.bindings {
		b, err := g.session.newBinding(inputShapes, outputShapes)
		if err != nil {
			return errors.Join(err, g.keep(size-1))
		}
		g.bindings[i] = append(g.bindings[i], b)
	}
	return nil
}

// keep frees the memory of the buckets above a size.
func (g *instances) keep(most int) error {
	n := 0
	for n < len(g.buckets) && g.buckets[n] <= most {
		n++
	}
	g.buckets = g.buckets[:n]
	var errs []error
	for i, bindings := range g.bindings {
		n := min(n, len(bindings))
		for _, b := range bindings[n:] {
			errs = append(errs, b.close())
		}
		g.bindings[i] = slices.Clip(bindings[:n])
	}
	return errors.Join(errs...)
}

// binding is an instance's memory for a batch of so many images.
func (g *instances) binding(instance, images int) *binding {
	return g.bindings[instance][bucketFor(g.buckets, images)]
}

func (g *instances) load(instance int, tasks []*task) {
	b := g.binding(instance, len(tasks))
	g.input.fill(b.inputs[g.input.index].data, tasks, &b.filled)
}

func (g *instances) infer(ctx context.Context, instance, images int) error {
	b := g.binding(instance, images)
	if err := g.session.run(ctx, b); err != nil || images == 1 {
		return err
	}
	return g.input.checkShared(b.results, g.size(images))
}

// size is how many images a run has for so many, with those that pad it.
func (g *instances) size(images int) int { return g.buckets[bucketFor(g.buckets, images)] }

func (g *instances) unload(instance int, tasks []*task) {
	results := g.binding(instance, len(tasks)).results
	for i, t := range tasks {
		if t != nil {
			t.take(g.input, results, i, g.size(len(tasks)))
		}
	}
}

// close frees the session and its memory. No run may be going on.
func (g *instances) close() error { return errors.Join(g.keep(0), g.session.close()) }
