package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sibyl/inference"
	"sibyl/persistence"
)

// versionCache holds versions that have left the repository: they never change again, and there are few.
type versionCache struct {
	byID sync.Map // modelVersionID → *inference.ModelVersion
}

// modelVersion returns a version as it is in the repository or, where it has left that, as it was when it predicted; or
// persistence.ErrNotFound.
func (r *Resolver) modelVersion(ctx context.Context, name string, version int) (*inference.ModelVersion, error) {
	if v := r.repositoryVersion(name, version); v != nil {
		return r.settledVersion(ctx, v)
	}
	return r.keptVersion(ctx, name, version)
}

// settledVersion is a version of the repository with the facts of the one that was kept under its number, whatever lies
// there now: one ID is one object, wherever it is asked for. While the database is away the facts are the repository's.
func (r *Resolver) settledVersion(ctx context.Context, v *inference.ModelVersion) (*inference.ModelVersion, error) {
	if isSettled(v) {
		return v, nil
	}
	type question struct {
		name    string
		version int
	}
	kept, err := remember(loadersOf(ctx).versionLists(), question{v.Name, v.Version},
		func() (*inference.ModelVersion, error) { return readVersion(ctx, r.store, v.Name, v.Version) })
	switch {
	case errors.Is(err, persistence.ErrNotFound), errors.Is(err, persistence.ErrUnavailable):
		return v, nil
	case err != nil:
		return nil, err
	}
	settled := *kept
	settled.State, settled.StateReason = v.State, v.StateReason
	return &settled, nil
}

// isSettled tells that a version runs or has run, so that it is the one that is kept.
func isSettled(v *inference.ModelVersion) bool {
	return v.ExecutionProvider != nil || v.State == inference.ModelRetired
}

// settledModel is a model of the repository with its versions as settledVersion has them.
func (r *Resolver) settledModel(ctx context.Context, m *inference.Model) (*inference.Model, error) {
	settled := *m // what serves and shadows runs
	settled.Versions = make([]*inference.ModelVersion, len(m.Versions))
	for i, v := range m.Versions {
		var err error
		if settled.Versions[i], err = r.settledVersion(ctx, v); err != nil {
			return nil, err
		}
	}
	return &settled, nil
}

func (r *Resolver) settledModels(ctx context.Context) ([]*inference.Model, error) {
	models := r.engine.Models()
	for i, m := range models {
		var err error
		if models[i], err = r.settledModel(ctx, m); err != nil {
			return nil, err
		}
	}
	return models, nil
}

// modelByName returns a model of the repository, or inference.ErrModelNotFound.
func (r *Resolver) modelByName(ctx context.Context, name string) (*inference.Model, error) {
	m, err := r.engine.Model(name)
	if err != nil {
		return nil, err
	}
	return r.settledModel(ctx, m)
}

func (r *Resolver) repositoryVersion(name string, version int) *inference.ModelVersion {
	model, err := r.engine.Model(name)
	if err != nil {
		return nil
	}
	for _, v := range model.Versions {
		if v.Version == version {
			return v
		}
	}
	return nil
}

func (r *Resolver) keptVersion(ctx context.Context, name string, version int) (*inference.ModelVersion, error) {
	id := modelVersionID(name, version)
	if v, ok := r.versions.byID.Load(id); ok {
		return v.(*inference.ModelVersion), nil
	}
	v, err := readVersion(ctx, r.store, name, version)
	if err == nil {
		r.versions.byID.Store(id, v)
	}
	return v, err
}

// readVersion reads a version as it was when it predicted, or returns persistence.ErrNotFound.
func readVersion(
	ctx context.Context, store *persistence.Store, name string, version int,
) (*inference.ModelVersion, error) {
	row, err := store.ModelVersion(ctx, name, version)
	if err != nil {
		return nil, err
	}
	v := &inference.ModelVersion{
		Name: row.Name, Version: row.Version, State: inference.ModelRetired,
		SHA256: row.SHA256, Fingerprint: row.Fingerprint, ClassNames: row.ClassNames,
	}
	err = errors.Join(json.Unmarshal(row.Inputs, &v.Inputs), json.Unmarshal(row.Outputs, &v.Outputs),
		json.Unmarshal(row.Output, &v.Output))
	if err != nil {
		return nil, fmt.Errorf("kept version %d of model %q: %w", version, name, err)
	}
	return v, nil
}

// Admit keeps each version that is about to become READY in store, so that its predictions keep their model. It is the
// engine's Options.Admit: a version that differs from the one that has predicted under its number is refused.
func Admit(
	store *persistence.Store, logger *slog.Logger,
) func(context.Context, *inference.ModelVersion) error {
	return func(ctx context.Context, v *inference.ModelVersion) error {
		err := store.KeepModelVersion(ctx, &persistence.ModelVersion{
			Name: v.Name, Version: v.Version, CreatedAt: time.Now().UTC(),
			SHA256: v.SHA256, Fingerprint: v.Fingerprint, ClassNames: append([]string{}, v.ClassNames...),
			Inputs: json.RawMessage(mustJSON(v.Inputs)), Outputs: json.RawMessage(mustJSON(v.Outputs)),
			Output: json.RawMessage(mustJSON(v.Output)),
		})
		switch {
		case errors.Is(err, persistence.ErrModelVersionChanged):
			return errors.New("another model, or other labels or settings, have predicted under this number: " +
				"release this one under a new version number")
		case err != nil: // its text is for the log alone: the reason of a version is for everybody
			logger.LogAttrs(ctx, slog.LevelError, "model version not kept", slog.String("model", v.Name),
				slog.Int("version", v.Version), slog.Any("error", err))
			return fmt.Errorf("the version could not be kept in the database: %w", inference.ErrUnavailable)
		}
		return nil
	}
}
