package graph

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"

	"sibyl/inference"
	"sibyl/persistence"
)

// ExportFilter reads a PredictionFilter as JSON, exactly as the argument of Query.predictions is read, to its default
// source; an empty text is no filter. Its errors are fit for a client.
func ExportFilter(text string) (persistence.PredictionFilter, error) {
	var filter *PredictionFilter
	if strings.TrimSpace(text) != "" {
		var err error
		if filter, err = parseFilter(text); err != nil {
			return persistence.PredictionFilter{}, err
		}
	}
	return filter.filter([]persistence.Source{persistence.SourceRequest})
}

// parseFilter reads the filter as the value of a GraphQL variable.
func parseFilter(text string) (*PredictionFilter, error) {
	const name = "filter"
	var value any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil || decoder.More() {
		return nil, badUserInput("the filter is not one JSON object")
	}
	variable := &ast.VariableDefinition{
		Variable: name, Type: ast.NamedType("PredictionFilter", nil), Definition: parsedSchema.Types["PredictionFilter"],
	}
	operation := &ast.OperationDefinition{VariableDefinitions: ast.VariableDefinitionList{variable}}
	variables := map[string]any{name: whole(value)}
	coerced, err := validator.VariableValues(parsedSchema, operation, variables)
	if wrong := checkVariables(operation, variables); wrong != nil {
		err = wrong
	}
	if err != nil {
		return nil, badUserInput("%s", strings.TrimPrefix(err.Error(), "input: variable."))
	}
	filter, err := new(executionContext).unmarshalOPredictionFilter2ᚖsibylᚋgraphᚐPredictionFilter(
		context.Background(), coerced[name])
	if err != nil {
		return nil, badUserInput("the filter: %s", strings.TrimPrefix(err.Error(), "input: "))
	}
	return filter, nil
}

// Exported is a stored prediction, read as the version that made it says.
type Exported struct {
	*persistence.Stored
	// Scores are of a classifier, in its order of classes, Values of a regression; nil as Prediction.scores and
	// Prediction.values are null.
	Scores, Values []float64
}

// Export gives every prediction in store that f picks, as persistence.Store.Export does. It needs no engine: versions
// are read as they were kept.
func Export(
	ctx context.Context, store *persistence.Store, f persistence.PredictionFilter, images bool,
) iter.Seq2[Exported, error] {
	return func(yield func(Exported, error) bool) {
		e := exporter{store: store, versions: map[persistence.ModelKey]*inference.ModelVersion{}}
		for page, err := range store.Export(ctx, f, images) {
			if err != nil {
				yield(Exported{}, err)
				return
			}
			for _, stored := range page {
				row, err := e.read(ctx, stored)
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
	}
}

// exporter is one export's work.
type exporter struct {
	store *persistence.Store
	// versions are those that it has seen; nil is one of which nobody knows how it is read.
	versions map[persistence.ModelKey]*inference.ModelVersion
}

func (e *exporter) read(ctx context.Context, stored *persistence.Stored) (Exported, error) {
	row := Exported{Stored: stored}
	v, err := e.version(ctx, persistence.ModelKey{Name: stored.ModelName, Version: stored.ModelVersion})
	if err != nil || v == nil || v.Output.Kind == inference.KindNone {
		return row, err
	}
	tensors, err := parseTensors(stored.Outputs)
	row.Scores, row.Values = v.Scores(tensors), v.Values(tensors)
	return row, err
}

func (e *exporter) version(ctx context.Context, key persistence.ModelKey) (*inference.ModelVersion, error) {
	if v, seen := e.versions[key]; seen {
		return v, nil
	}
	v, err := readVersion(ctx, e.store, key.Name, key.Version)
	if err != nil && !errors.Is(err, persistence.ErrNotFound) {
		return nil, err
	}
	e.versions[key] = v
	return v, nil
}
