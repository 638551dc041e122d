package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"sibyl/inference"
	"sibyl/persistence"
)

// predict is the use case: it runs a model on an uploaded image, stores image and prediction in one transaction, and
// returns the prediction once both are durable. What was asked before with the same key is not done again.
func (r *Resolver) predict(
	ctx context.Context, upload Upload, model *string, version *int32, idempotencyKey *string,
) (*persistence.Prediction, error) {
	if upload.Err != nil {
		return nil, upload.Err
	}
	if idempotencyKey == nil {
		return r.predictNew(ctx, upload, model, version, nil)
	}
	loadersOf(ctx).forget()
	key, err := newKey(ctx, *idempotencyKey, upload, model, version)
	if err != nil {
		return nil, err
	}
	return r.once(ctx, key, func() (*persistence.Prediction, error) {
		return r.predictNew(ctx, upload, model, version, key)
	})
}

func (r *Resolver) predictNew(
	ctx context.Context, upload Upload, model *string, version *int32, key *persistence.IdempotencyKey,
) (*persistence.Prediction, error) {
	lease, err := r.begin(ctx, model, version)
	if err != nil {
		return nil, err
	}
	defer lease.Release()
	record, err := r.run(ctx, upload, lease)
	if err != nil {
		return nil, err
	}
	record.Key = key
	began := time.Now()
	if err := r.store.Record(ctx, record); err != nil {
		return nil, err
	}
	r.options.Stored(ctx, record.Prediction, time.Since(began))
	r.shadows.beside(ctx, record.Prediction)
	loadersOf(ctx).sawInputs([]*persistence.Input{record.Input})
	return record.Prediction, nil
}

// predictBatch runs a model on many images at once, and stores those that it could read in one transaction.
func (r *Resolver) predictBatch(
	ctx context.Context, uploads []*Upload, model *string, version *int32,
) ([]PredictResult, error) {
	lease, err := r.begin(ctx, model, version)
	if err != nil {
		return nil, err
	}
	defer lease.Release()
	results := make([]PredictResult, len(uploads))
	records := make([]*persistence.Record, len(uploads))
	var runs sync.WaitGroup
	for i, upload := range uploads {
		runs.Go(func() {
			record, err := r.run(ctx, *upload, lease)
			if err != nil {
				results[i] = r.predictError(ctx, i, err)
				return
			}
			records[i], results[i] = record, record.Prediction
		})
	}
	runs.Wait()
	records = slices.DeleteFunc(records, func(record *persistence.Record) bool { return record == nil })
	began := time.Now()
	if err := r.store.RecordTogether(ctx, records); err != nil {
		return nil, err
	}
	commit := time.Since(began)
	inputs := make([]*persistence.Input, len(records))
	for i, record := range records {
		inputs[i] = record.Input
		r.options.Stored(ctx, record.Prediction, commit)
		r.shadows.beside(ctx, record.Prediction)
	}
	loadersOf(ctx).sawInputs(inputs)
	return results, nil
}

// predictInput runs a model on a stored image, and stores the prediction beside the old ones.
func (r *Resolver) predictInput(
	ctx context.Context, id persistence.InputID, model *string, version *int32,
) (*persistence.Prediction, error) {
	lease, err := r.begin(ctx, model, version)
	if err != nil {
		return nil, err
	}
	defer lease.Release()
	image, err := r.store.Image(ctx, id)
	if err != nil {
		return nil, err
	}
	result, err := lease.Predict(ctx, image)
	if err != nil {
		return nil, err
	}
	p := newPrediction(id, result, persistence.SourceRequest)
	began := time.Now()
	if err := r.store.Record(ctx, &persistence.Record{Prediction: p}); err != nil {
		return nil, err
	}
	r.options.Stored(ctx, p, time.Since(began))
	r.shadows.beside(ctx, p)
	return p, nil
}

// run runs the version on an uploaded image and makes the rows.
func (r *Resolver) run(ctx context.Context, upload Upload, lease inference.Lease) (*persistence.Record, error) {
	if upload.Err != nil {
		return nil, upload.Err
	}
	result, err := lease.Predict(ctx, upload.Data)
	if err != nil {
		return nil, err
	}
	in := newInput(upload, result.Image)
	p := newPrediction(in.ID, result, persistence.SourceRequest)
	return &persistence.Record{Input: in, Image: upload.Data, Prediction: p}, nil
}

// PredictError tells why no prediction was made of one image of many.
type PredictError struct {
	Code    string
	Message string
	Index   int
}

// IsPredictResult marks it as what may become of an image.
func (PredictError) IsPredictResult() {}

// predictError tells a client of an error as it would be told of one that fails a field.
func (r *Resolver) predictError(ctx context.Context, index int, err error) *PredictError {
	presented := PresentError(r.options.Logger)(ctx, err)
	code, _ := presented.Extensions["code"].(Code)
	return &PredictError{Code: string(code), Message: presented.Message, Index: index}
}

// begin starts a mutation: it leases the version that the arguments choose.
func (r *Resolver) begin(ctx context.Context, model *string, version *int32) (inference.Lease, error) {
	loadersOf(ctx).forget()
	name, number, err := modelArgs(model, version)
	if err != nil {
		return inference.Lease{}, err
	}
	return r.engine.Acquire(name, number)
}

// modelArgs reads the arguments that name a model: to the engine an empty name is the default model, and 0 the version
// that serves, which a client says by leaving them out.
func modelArgs(model *string, version *int32) (name string, number int, err error) {
	if version != nil {
		if number = int(*version); number < 1 {
			return "", 0, badUserInput("a version is 1 or more, not %d", number)
		}
	}
	if model != nil {
		if name = *model; name == "" {
			return "", 0, fmt.Errorf("%w: its name is empty", inference.ErrModelNotFound)
		}
	}
	return name, number, nil
}

func newInput(upload Upload, image inference.Image) *persistence.Input {
	id := persistence.NewInputID()
	in := &persistence.Input{
		ID: id, CreatedAt: id.Time(),
		ContentType: image.ContentType, Width: image.Width, Height: image.Height,
		ByteSize: len(upload.Data), SHA256: persistence.DigestOf(upload.Data),
	}
	if upload.Filename != "" {
		in.Filename = &upload.Filename
	}
	return in
}

func newPrediction(
	input persistence.InputID, result *inference.Result, source persistence.Source,
) *persistence.Prediction {
	id := persistence.NewPredictionID()
	p := &persistence.Prediction{
		ID: id, InputID: input, CreatedAt: id.Time(),
		ModelName: result.Model.Name, ModelVersion: result.Model.Version, Source: source,
		Outputs:               inference.AppendTensors(nil, result.Outputs),
		DecodeMicroseconds:    result.Timing.Decode.Microseconds(),
		QueueMicroseconds:     result.Timing.Queue.Microseconds(),
		InferenceMicroseconds: result.Timing.Inference.Microseconds(),
	}
	if top := topClasses(result.Model, result.Outputs, 1); len(top) > 0 {
		p.ClassIndex, p.ClassName, p.Confidence = &top[0].Index, &top[0].Name, &top[0].Confidence
	}
	return p
}

// topClasses returns the n likeliest classes, likeliest first; nil where the version is no classifier or a score is no
// finite number.
func topClasses(v *inference.ModelVersion, outputs []inference.Tensor, n int) []*persistence.ClassScore {
	scores := v.Scores(outputs)
	if scores == nil {
		return nil
	}
	top := inference.Top(scores, n)
	classes := make([]*persistence.ClassScore, len(top))
	for i, index := range top {
		classes[i] = &persistence.ClassScore{Index: index, Name: v.ClassName(index), Confidence: scores[index]}
	}
	return classes
}

// maxTop bounds the classes of one prediction that a client may ask for.
const maxTop = 1000

// tensors returns what the model gave for a prediction, read once for all fields that ask for it.
func (r *Resolver) tensors(ctx context.Context, p *persistence.Prediction) ([]inference.Tensor, error) {
	l := loadersOf(ctx)
	l.mu.Lock()
	read, ok := l.tensors[p.ID]
	if !ok {
		read = sync.OnceValues(func() ([]inference.Tensor, error) { return r.readTensors(ctx, p) })
		if l.tensors == nil {
			l.tensors = make(map[persistence.PredictionID]func() ([]inference.Tensor, error))
		}
		l.tensors[p.ID] = read
	}
	l.mu.Unlock()
	return read()
}

// readTensors reads the outputs from the database where the list that p came from left them out, and where it came from
// a subscription.
func (r *Resolver) readTensors(ctx context.Context, p *persistence.Prediction) ([]inference.Tensor, error) {
	if batch := p.Batch(); batch != nil {
		outputs, err := batch.Outputs()
		if err != nil {
			return nil, err
		}
		if text, ok := outputs[p.ID]; ok {
			return parseTensors(text)
		}
	}
	if p.Outputs == nil {
		whole, err := loadersOf(ctx).predictionsByID().Load(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		p = whole
	}
	return parseTensors(p.Outputs)
}

// parseTensors reads what newPrediction wrote.
func parseTensors(outputs json.RawMessage) ([]inference.Tensor, error) {
	var tensors []inference.Tensor
	if err := json.Unmarshal(outputs, &tensors); err != nil {
		return nil, err
	}
	for i := range tensors {
		if string(tensors[i].Data) == "null" {
			tensors[i].Data = nil
		}
	}
	return tensors, nil
}

// reading returns a prediction's tensors and the version that tells how to read them.
func (r *Resolver) reading(
	ctx context.Context, p *persistence.Prediction,
) (*inference.ModelVersion, []inference.Tensor, error) {
	v, err := r.modelVersion(ctx, p.ModelName, p.ModelVersion)
	if err != nil {
		return nil, nil, err
	}
	tensors, err := r.tensors(ctx, p)
	return v, tensors, err
}
