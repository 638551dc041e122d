package inference

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	ort "github.com/yalue/onnxruntime_go"
)

// binding is the memory of one run's tensors, kept from run to run. It is not safe for concurrent use.
type binding struct {
	inputs []nativeTensor
	// filled is how many places of the image input may hold something.
	filled int
	// outputs have no value where their shape may differ from run to run: ONNX Runtime sets that memory aside each time.
	outputs []nativeTensor
	// in and out are the arguments of a run.
	in, out []ort.Value
	// results are what the last run gave, valid until the next.
	results []rawTensor
	// options stop a run that goes on: stop terminates it and then says so in stopped.
	options *ort.RunOptions
	stop    func()
	stopped chan struct{}
}

// newBinding sets memory aside for inputs and outputs of the given shapes; a nil shape of an output leaves it to each
// run. The inputs are zero.
func (s *session) newBinding(inputShapes, outputShapes [][]int) (*binding, error) {
	n := len(s.outputs)
	b := &binding{
		outputs: make([]nativeTensor, n), out: make([]ort.Value, s.fetches), results: make([]rawTensor, n),
	}
	if err := b.makeStoppable(); err != nil {
		return nil, err
	}
	for i, input := range s.inputs {
		tensor, err := newNativeTensor(input.datatype, inputShapes[i])
		if err != nil {
			return nil, errors.Join(fmt.Errorf("input %q: %w", input.name, err), b.close())
		}
		b.inputs, b.in = append(b.inputs, tensor), append(b.in, tensor.value)
	}
	for i, output := range s.outputs {
		if outputShapes[i] == nil {
			continue
		}
		tensor, err := newNativeTensor(output.datatype, outputShapes[i])
		if err != nil {
			return nil, errors.Join(fmt.Errorf("output %q: %w", output.name, err), b.close())
		}
		b.outputs[i] = tensor
	}
	return b, nil
}

func (b *binding) makeStoppable() error {
	options, err := ort.NewRunOptions()
	if err != nil {
		return err
	}
	b.options, b.stopped = options, make(chan struct{}, 1)
	b.stop = func() {
		_ = options.Terminate() // never fails
		b.stopped <- struct{}{}
	}
	return nil
}

// close frees the binding's memory.
func (b *binding) close() error {
	errs := []error{b.options.Destroy()}
	for _, tensor := range slices.Concat(b.inputs, b.outputs) {
		if tensor.value != nil {
			errs = append(errs, tensor.value.Destroy())
		}
	}
	b.inputs, b.outputs = nil, nil
	return errors.Join(errs...)
}

// run runs the model on what the binding's inputs hold and leaves the outputs in its results. When ctx ends the run is
// stopped after the node that is at work, the session lives on, and ctx's error is returned. Another error tells ONNX
// Runtime's reason.
func (s *session) run(ctx context.Context, b *binding) error {
	for i, tensor := range b.outputs {
		b.out[s.slots[i]] = tensor.value
	}
	defer s.release(b)
	if err := s.runStoppable(ctx, b); err != nil {
		return err
	}
	for i, tensor := range b.outputs {
		if tensor.data != nil {
			b.results[i] = rawTensor{shape: tensor.shape, data: tensor.data}
			continue
		}
		result, err := s.read(b, i)
		if err != nil {
			return fmt.Errorf("output %q: %w", s.outputs[i].name, err)
		}
		b.results[i] = result
	}
	return nil
}

func (s *session) runStoppable(ctx context.Context, b *binding) error {
	if err := s.target.turn().take(ctx); err != nil {
		return err
	}
	defer s.target.turn().give()
	leave := context.AfterFunc(ctx, b.stop)
	err := s.ort.RunWithOptions(b.in, b.out, b.options)
	if !leave() {
		<-b.stopped
		if unset := b.options.UnsetTerminate(); unset != nil {
			return unset // without it every later run would be stopped
		}
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return runtimeError(err, "")
}

// read gives an output that ONNX Runtime set aside for a run.
func (s *session) read(b *binding, output int) (rawTensor, error) {
	value, slot := s.outputs[output], s.slots[output]
	if value.isSpread() {
		return readSpread(b.out[slot], b.out[slot+1], value.datatype)
	}
	return readTensor(b.out[slot], value.datatype)
}

// release frees the outputs that ONNX Runtime set aside for a run. Their values were copied to Go's memory before.
func (s *session) release(b *binding) {
	for i, tensor := range b.outputs {
		if tensor.value != nil {
			b.out[s.slots[i]] = nil
		}
	}
	for i, value := range b.out {
		// The library leaves a nil of some type where it could not read an output.
		if value != nil && !reflect.ValueOf(value).IsNil() {
			_ = value.Destroy() // never fails
		}
		b.out[i] = nil
	}
}
