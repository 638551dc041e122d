package inference

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"time"

	"sibyl/inference/oip"
)

// fillRemote does the steps of loading a version that another server runs. The error is ErrUnavailable where these may
// succeed later: the server is not there, has not loaded the model yet, or is overloaded.
func (l *loader) fillRemote(ctx context.Context, v *version, c *config) (err error) {
	dir := path.Join(v.Name, strconv.Itoa(v.Version))
	if _, err := fs.Stat(l.repository.files, path.Join(dir, "model.onnx")); err == nil {
		return c.errorf("remote", "version %d has a model.onnx too: remove one of them", v.Version)
	}
	if v.ClassNames, err = l.repository.labels(v.Name, v.Version); err != nil {
		return err
	}
	remoteVersion := ""
	if _, err := fs.Stat(l.repository.files, dir); err == nil {
		remoteVersion = strconv.Itoa(v.Version)
	}
	if c.remote.version != nil {
		remoteVersion = *c.remote.version
	}
	channel, err := dialRemote(c, cmp.Or(c.remote.model, v.Name), remoteVersion)
	if err != nil {
		return err
	}
	if err := l.startRemote(ctx, v, c, channel); err != nil {
		return errors.Join(err, channel.conn.Close())
	}
	return nil
}

// startRemote asks for the model's description, warms it up, and finds out how its outputs are read. The channel is
// the version's when there is no error.
func (l *loader) startRemote(ctx context.Context, v *version, c *config, channel *remoteChannel) error {
	described, err := channel.describe(ctx)
	if err != nil {
		return err
	}
	m, err := describedModel(described)
	if err != nil {
		return fmt.Errorf("the server's metadata: %w", err)
	}
	m.beside = l.repository.labelsBeside(v.Name, v.Version)
	v.Inputs, v.Outputs = specs(m.inputs), specs(m.outputs)
	if v.input, err = newImageInput(m.inputs, c); err != nil {
		return err
	}
	if _, err := v.input.allShapes(m.inputs, v.input.smallest()); err != nil {
		return err
	}
	x := newRemote(channel, newBreaker(), v.input, m, cmp.Or(c.batching.instances, remoteInstances))
	warm, cancel := context.WithTimeout(ctx, l.warmUp)
	defer cancel()
	plan, err := x.warmUp(warm, v, m, c)
	if err != nil {
		return remoteWarmUpError(ctx, warm, l.warmUp, err)
	}
	v.setFingerprint(x.identity())
	v.stats = newStatistics(bucketsUpTo(plan.most))
	v.batcher = newBatcher(x, x.instances(), plan, c.batching, v.stats, v.callers)
	x.start(described, l.log, l.moved)
	v.backend = x
	return nil
}

// remoteWarmUpError says why the first runs ended. What is only slow or busy now is tried again.
func remoteWarmUpError(ctx, warm context.Context, limit time.Duration, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case warm.Err() != nil:
		err = fmt.Errorf("%w: not done after %s", ErrUnavailable, limit)
	case errors.Is(err, ErrOverloaded), errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("warm-up: %w", err)
}

// warmUp runs the model on two pictures alone, and then in batches.
func (x *remote) warmUp(ctx context.Context, v *version, m *onnxModel, c *config) (batchPlan, error) {
	tasks, err := warmUp(ctx, x, x.input)
	if err != nil {
		return batchPlan{}, err
	}
	x.answering = x.slots[0].answered
	for i := range v.Outputs {
		if m.outputs[i].shape == nil {
			v.Outputs[i].Shape = x.input.openShape(i, tasks[0].outputs[i].shape)
		}
	}
	if err := v.read(c, m, tasks); err != nil {
		return batchPlan{}, err
	}
	provider := "remote"
	v.ExecutionProvider = &provider
	return x.tune(ctx, c, tasks)
}

// tune finds the largest batch that the server takes. All that wait share a run up to it: a call costs more than what
// the server may lose on a batch, and nothing is padded. A request is no larger than an answer may be.
func (x *remote) tune(ctx context.Context, c *config, warm []*task) (batchPlan, error) {
	sizes, most := []int{x.input.limit}, 1
	if x.input.open {
		image := max(volume(x.input.shape)*elementSize(x.input.datatype), 1)
		sizes = bucketsUpTo(max(min(x.input.limit, maxRemoteMessage/image), 1))
	}
	for _, size := range sizes {
		if size == 1 {
			continue
		}
		err := checkIndependent(ctx, x, x.input, x.outputs, size, warm)
		switch {
		case err == nil:
			most = size
			continue
		case ctx.Err() != nil, errors.Is(err, ErrUnavailable), errors.Is(err, ErrOverloaded):
			return batchPlan{}, err
		case c.batching.dynamic:
			return batchPlan{}, c.errorf("dynamic_batching", "batch of %d: %w", size, err)
		}
		break
	}
	if most > 1 {
		for _, output := range warm[0].outputs {
			x.ranks = append(x.ranks, len(output.shape))
		}
	}
	buckets := bucketsUpTo(most)
	return newBatchPlan(most, buckets, make([]time.Duration, len(buckets))), nil
}

// identity is what makes the remote's model this one, whatever server runs it: the name and the version there, and
// what goes in and comes out. It takes the place of the model's file in the fingerprint.
func (x *remote) identity() map[string]string {
	text, err := json.Marshal([][]TensorSpec{specs(x.inputs), specs(x.outputs)})
	if err != nil {
		panic(err) // strings and numbers always can be marshalled
	}
	sum := sha256.Sum256(text)
	return map[string]string{
		"remote": x.model, "version": cmp.Or(x.answering, x.version), "tensors": hex.EncodeToString(sum[:]),
	}
}

// describedModel takes over a server's description of a model, of which nothing is trusted.
func describedModel(d *oip.ModelMetadataResponse) (*onnxModel, error) {
	if len(d.GetInputs()) == 0 || len(d.GetOutputs()) == 0 {
		return nil, errors.New("it tells no inputs or no outputs of the model")
	}
	m := &onnxModel{}
	for _, list := range []struct {
		from []*oip.ModelMetadataResponse_TensorMetadata
		to   *[]onnxValue
	}{{d.GetInputs(), &m.inputs}, {d.GetOutputs(), &m.outputs}} {
		for _, t := range list.from {
			value := onnxValue{name: t.GetName(), datatype: t.GetDatatype()}
			if elementSize(value.datatype) == 0 && value.datatype != bytesType {
				return nil, fmt.Errorf("%q is of the unknown datatype %.20q", value.name, value.datatype)
			}
			if len(t.GetShape()) > 0 { // else the server does not say
				var ok bool
				if value.shape, ok = toInts(t.GetShape(), -1); !ok {
					return nil, fmt.Errorf("%q has the shape %v", value.name, t.GetShape())
				}
			}
			*list.to = append(*list.to, value)
		}
	}
	return m, nil
}
