package graph

import (
	"context"

	"sibyl/inference"
	"sibyl/persistence"
)

// What resolvers answer where they need not wait, for plans; false where they are to be asked. graph/generate names
// these functions.

func knownInput(ctx context.Context, _ *Resolver, p *persistence.Prediction) (*persistence.Input, bool) {
	if p.Input != nil {
		return p.Input, true
	}
	return loadersOf(ctx).known(p.InputID)
}

func knownModel(_ context.Context, r *Resolver, p *persistence.Prediction) (*inference.ModelVersion, bool) {
	v := r.repositoryVersion(p.ModelName, p.ModelVersion)
	return v, v != nil && isSettled(v)
}

func knownImage(_ context.Context, r *Resolver, in *persistence.Input) (*Image, bool) {
	return &Image{input: in, resolver: r}, true
}

func knownVersionID(_ context.Context, _ *Resolver, v *inference.ModelVersion) (string, bool) {
	return modelVersionID(v.Name, v.Version), true
}
