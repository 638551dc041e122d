package graph

import (
	"context"
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"sibyl/inference"
	"sibyl/persistence"
)

// modelVersionPrefix begins the global ID of a version; the other types' are persistence's.
const modelVersionPrefix = "modelversion_"

// maxNodes bounds the IDs of one `nodes`.
const maxNodes = 500

// modelVersionID makes a version's global ID, which every replica makes the same. A model is a directory, so that its
// name has no slash.
func modelVersionID(name string, version int) string {
	return modelVersionPrefix + base64.RawURLEncoding.EncodeToString([]byte(name+"/"+strconv.Itoa(version)))
}

func parseModelVersionID(id string) (name string, version int, err error) {
	suffix, _ := strings.CutPrefix(id, modelVersionPrefix)
	text, err := base64.RawURLEncoding.DecodeString(suffix)
	if err == nil {
		var number string
		name, number, _ = strings.Cut(string(text), "/")
		version, err = strconv.Atoi(number)
	}
	if err != nil || version < 1 || version > math.MaxInt32 || modelVersionID(name, version) != id {
		return "", 0, badUserInput("%.64q is no ID of a ModelVersion", id)
	}
	return name, version, nil
}

func parsePredictionID(id string) (persistence.PredictionID, error) {
	parsed, err := persistence.ParsePredictionID(id)
	if err != nil {
		return parsed, badUserInput("%.64q is no ID of a Prediction", id)
	}
	return parsed, nil
}

func parseInputID(id string) (persistence.InputID, error) {
	parsed, err := persistence.ParseInputID(id)
	if err != nil {
		return parsed, badUserInput("%.64q is no ID of an Input", id)
	}
	return parsed, nil
}

// node starts to load what an ID names and returns how to wait for it: ErrNotFound of persistence where it is not
// there.
func (r *Resolver) node(ctx context.Context, id string) (func() (Node, error), error) {
	switch prefix, _, _ := strings.Cut(id, "_"); prefix + "_" {
	case persistence.PredictionPrefix:
		key, err := parsePredictionID(id)
		if err != nil {
			return nil, err
		}
		return waitNode(loadersOf(ctx).predictionsByID().LoadThunk(ctx, key)), nil
	case persistence.InputPrefix:
		key, err := parseInputID(id)
		if err != nil {
			return nil, err
		}
		return waitNode(loadersOf(ctx).input(ctx, key)), nil
	case modelVersionPrefix:
		name, version, err := parseModelVersionID(id)
		if err != nil {
			return nil, err
		}
		return waitNode(func() (*inference.ModelVersion, error) { return r.modelVersion(ctx, name, version) }), nil
	}
	return nil, badUserInput("%.64q is no ID", id)
}

// nodes loads what the IDs name, inputs and predictions in one statement each; null stands for one that is not there,
// and null with an error for what is no ID.
func (r *Resolver) nodes(ctx context.Context, ids []string) ([]Node, error) {
	if len(ids) > maxNodes {
		return nil, badUserInput("%d ids: at most %d can be asked for at once", len(ids), maxNodes)
	}
	waits := make([]func() (Node, error), len(ids))
	for i, id := range ids {
		wait, err := r.node(ctx, id)
		if err != nil {
			path := append(graphql.GetPath(ctx), ast.PathIndex(i))
			graphql.AddError(ctx, &gqlerror.Error{Err: err, Message: err.Error(), Path: path})
			continue
		}
		waits[i] = wait
	}
	nodes := make([]Node, len(ids))
	for i, wait := range waits {
		if wait == nil {
			continue
		}
		node, err := wait()
		if err != nil && !errors.Is(err, persistence.ErrNotFound) {
			return nil, err
		}
		nodes[i] = node
	}
	return nodes, nil
}

// waitNode keeps a nil pointer from becoming a Node that is not nil.
func waitNode[T Node](wait func() (T, error)) func() (Node, error) {
	return func() (Node, error) {
		value, err := wait()
		if err != nil {
			return nil, err
		}
		return value, nil
	}
}

// notFound tells a client in the words of the contract that what it asked for by ID is not there.
func notFound(err error, noun, id string) error {
	switch {
	case errors.Is(err, persistence.ErrImageRemoved):
		return &Error{Code: CodeNotFound, Message: "The image of " + noun + " " + id + " is no longer kept"}
	case errors.Is(err, persistence.ErrNotFound):
		return &Error{Code: CodeNotFound, Message: "No " + noun + " with id " + id + " could be found"}
	}
	return err
}
