package graph

import (
	"context"
	"time"

	"sibyl/inference"
	"sibyl/persistence"
)

// labelInput is the use case: it states the truth about an input. Of what is given, exactly one is not nil.
func (r *Resolver) labelInput(ctx context.Context, inputID string, given LabelInput) (*persistence.Input, error) {
	id, err := parseInputID(inputID)
	if err != nil {
		return nil, err
	}
	label := &persistence.Label{InputID: id, CreatedAt: time.Now().UTC().Truncate(time.Millisecond)}
	switch {
	case given.ClassIndex != nil:
		err = r.labelClass(ctx, label, func(v *inference.ModelVersion) int { return int(*given.ClassIndex) })
	case given.ClassName != nil:
		err = r.labelClass(ctx, label, func(v *inference.ModelVersion) int { return v.ClassIndex(*given.ClassName) })
	default:
		label.Value = given.Value
	}
	if err == nil {
		err = r.store.SetLabel(ctx, label)
	}
	if err != nil {
		return nil, notFound(err, "input", inputID)
	}
	return r.changedInput(ctx, id, inputID)
}

// labelClass fills in a class of the first model that has predicted the input and has such a class, the newest
// prediction's model first. index is the class's in a model; it may be none of the model's.
func (r *Resolver) labelClass(
	ctx context.Context, label *persistence.Label, index func(*inference.ModelVersion) int,
) error {
	models, err := r.store.ModelsOfInput(ctx, label.InputID)
	if err != nil {
		return err
	}
	if len(models) == 0 {
		return persistence.ErrNotFound
	}
	for _, m := range models {
		v, err := r.modelVersion(ctx, m.Name, m.Version)
		if err != nil {
			return err
		}
		if i := index(v); i >= 0 && i < v.Output.Classes {
			name := v.ClassName(i)
			label.ClassIndex, label.ClassName = &i, &name
			return nil
		}
	}
	return badUserInput("no model that has predicted this input has such a class")
}

// unlabelInput takes the truth about an input back.
func (r *Resolver) unlabelInput(ctx context.Context, inputID string) (*persistence.Input, error) {
	id, err := parseInputID(inputID)
	if err != nil {
		return nil, err
	}
	if err := r.store.RemoveLabel(ctx, id); err != nil {
		return nil, err
	}
	return r.changedInput(ctx, id, inputID)
}

// changedInput reads an input again, and makes the operation forget what it has read of any.
func (r *Resolver) changedInput(ctx context.Context, id persistence.InputID, inputID string) (*persistence.Input, error) {
	loadersOf(ctx).forget()
	in, err := r.store.Input(ctx, id)
	if err != nil {
		return nil, notFound(err, "input", inputID)
	}
	loadersOf(ctx).sawInputs([]*persistence.Input{in})
	return in, nil
}

// deleteInput deletes an input and all that is stored of it.
func (r *Resolver) deleteInput(ctx context.Context, inputID string) (*DeletedInput, error) {
	id, err := parseInputID(inputID)
	if err != nil {
		return nil, err
	}
	n, err := r.store.DeleteInput(ctx, id)
	if err != nil {
		return nil, notFound(err, "input", inputID)
	}
	loadersOf(ctx).forget()
	return &DeletedInput{ID: inputID, PredictionCount: int32(n)}, nil
}

// label returns an input's label, or nil, reading those of all inputs that were read with it in one statement.
func (r *Resolver) label(ctx context.Context, in *persistence.Input) (*persistence.Label, error) {
	type labelQuestion struct{}
	together := loadersOf(ctx).pageOf(in)
	labels, err := remember(&together.memo, labelQuestion{}, func() (map[persistence.InputID]*persistence.Label, error) {
		return r.store.LabelsByInput(ctx, ids(together.inputs))
	})
	return labels[in.ID], err
}
