package inference

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sibyl/inference/oip"
)

// remoteInstances is how many runs go on at the same time on a server where the configuration does not say.
const remoteInstances = 8

// remote runs a version on another server, by the Open Inference Protocol. It is the executor of the version's batcher:
// an instance is a request that may be under way.
type remote struct {
	*remoteChannel
	breaker *breaker
	input   *imageInput
	// inputs and outputs are as the server's metadata has them, in that order.
	inputs, outputs []onnxValue
	// slots are the instances', and one for the watch.
	slots []remoteSlot
	// described is what the server's metadata was; nil before the watch begins.
	described *oip.ModelMetadataResponse

	// answering is the version that answered the warm-up, as the server names it; empty where it does not. Another one
	// must not answer under our version's number.
	answering string
	// ranks are the dimensions of each output for one image; nil where images do not share runs.
	ranks []int
	// stop ends the watch, which stopped tells; nil before it began.
	stop    context.CancelFunc
	stopped chan struct{}
}

// remoteSlot is the memory of a request and its answer.
type remoteSlot struct {
	request *oip.ModelInferRequest
	// sent is how many images the request has, with those that pad it; filled how many places may hold something.
	sent    int
	filled  int
	results []rawTensor
	// answered is the version that answered.
	answered string
}

// instances is how many requests may be under way.
func (x *remote) instances() int { return len(x.slots) - 1 }

// newRemote owns the channel from then on.
func newRemote(channel *remoteChannel, b *breaker, input *imageInput, m *onnxModel, instances int) *remote {
	x := &remote{
		remoteChannel: channel, breaker: b, input: input,
		inputs: m.inputs, outputs: m.outputs, slots: make([]remoteSlot, instances+1),
	}
	for i := range x.slots {
		r := &oip.ModelInferRequest{ModelName: channel.model, ModelVersion: channel.version}
		for _, in := range m.inputs {
			r.Inputs = append(r.Inputs, &oip.ModelInferRequest_InferInputTensor{Name: in.name, Datatype: in.datatype})
		}
		r.RawInputContents = make([][]byte, len(m.inputs))
		x.slots[i].request = r
	}
	return x
}

// load makes the request. Only a batch that the model fixes is padded.
func (x *remote) load(instance int, tasks []*task) {
	slot := &x.slots[instance]
	slot.sent = len(tasks)
	if x.input.batched && !x.input.open {
		slot.sent = x.input.shape[0]
	}
	shapes, _ := x.input.allShapes(x.inputs, slot.sent) // checked when the version was loaded
	for i, shape := range shapes {
		r := slot.request
		r.Inputs[i].Shape = toInt64(r.Inputs[i].Shape[:0], shape)
		size := volume(shape) * elementSize(x.inputs[i].datatype)
		r.RawInputContents[i] = slices.Grow(r.RawInputContents[i][:0], size)[:size]
	}
	x.input.fill(slot.request.RawInputContents[x.input.index], tasks, &slot.filled)
}

// infer sends the request. It returns ctx's error when ctx ends, ErrUnavailable, at once where the server is known to
// be away or to have another model, ErrOverloaded where that is what the server says, and what is wrong with its answer.
func (x *remote) infer(ctx context.Context, instance, _ int) error {
	if err := x.breaker.allow(); err != nil {
		return err
	}
	err := x.ask(ctx, &x.slots[instance])
	if errors.As(err, new(refusedCall)) && x.described != nil {
		if other := x.compare(ctx); errors.As(other, new(anotherModel)) {
			err = other // which is why
		}
	}
	x.breaker.record(err)
	return err
}

// ask sends a slot's request, and reads the answer.
func (x *remote) ask(ctx context.Context, slot *remoteSlot) error {
	answer, err := x.remoteChannel.infer(ctx, slot.request)
	if err != nil {
		return err
	}
	slot.answered = answer.GetModelVersion()
	switch slot.results, err = x.read(answer, slot.sent); {
	case errors.As(err, new(mismatch)) && x.described != nil: // else it is being loaded
		return anotherModel(err.Error())
	case err != nil:
		return fmt.Errorf("the server's answer: %w", err)
	}
	return nil
}

func (x *remote) unload(instance int, tasks []*task) {
	slot := &x.slots[instance]
	for i, t := range tasks {
		if t != nil {
			t.take(x.input, slot.results, i, slot.sent)
		}
	}
}

// close ends the watch and the connection. No run may be going on.
func (x *remote) close() error {
	if x.stop != nil {
		x.stop()
		<-x.stopped
	}
	return x.conn.Close()
}

func toInt64(dst []int64, shape []int) []int64 {
	for _, size := range shape {
		dst = append(dst, int64(size))
	}
	return dst
}
