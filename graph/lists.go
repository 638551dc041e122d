package graph

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"sibyl/inference"
	"sibyl/persistence"
)

// nodeFields are the names of the fields that are selected of a connection's nodes.
type nodeFields map[string]bool

// selectedOfNodes tells what the field of a connection that is resolved selects of the nodes, in either place.
func selectedOfNodes(ctx context.Context) nodeFields {
	names := nodeFields{}
	operation := graphql.GetOperationContext(ctx)
	collect := func(selections ast.SelectionSet) []graphql.CollectedField {
		return graphql.CollectFields(operation, selections, nil)
	}
	add := func(node graphql.CollectedField) {
		for _, field := range collect(node.Selections) {
			names[field.Name] = true
		}
	}
	for _, field := range collect(graphql.GetFieldContext(ctx).Field.Selections) {
		switch field.Name {
		case "nodes":
			add(field)
		case "edges":
			for _, inEdge := range collect(field.Selections) {
				if inEdge.Name == "node" {
					add(inEdge)
				}
			}
		}
	}
	return names
}

// any tells whether one of the fields is selected.
func (f nodeFields) any(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return f[name] })
}

// read makes q read what the selected fields of predictions are made of.
func (f nodeFields) read(q *persistence.PredictionQuery) {
	q.Outputs = f.any("classes", "scores", "values", "outputs")
	for part, fields := range map[persistence.PredictionParts][]string{
		persistence.PartModel:  {"model", "classes", "scores", "values"},
		persistence.PartSource: {"source"},
		persistence.PartClass:  {"likelyClass"},
		persistence.PartLabel:  {"correct"},
		persistence.PartTiming: {"timing"},
	} {
		if !f.any(fields...) {
			q.Without |= part
		}
	}
}

// readInput makes q read the predictions' inputs too where they are selected.
func (f nodeFields) readInput(ctx context.Context, q *persistence.PredictionQuery) {
	q.Input = f["input"]
	q.InputImage = q.Input && mentionsImage(graphql.GetOperationContext(ctx).Doc)
}

// predictionList reads a page of a list of predictions, with what the operation selects of them.
func (r *Resolver) predictionList(
	ctx context.Context, q persistence.PredictionQuery, args pageArgs,
) (*PredictionConnection, error) {
	l := r.listOf(q)
	page, err := args.page(l.kind)
	if err != nil {
		return nil, err
	}
	selected := selectedOfNodes(ctx)
	selected.read(&q)
	selected.readInput(ctx, &q)
	rows, err := r.store.Predictions(ctx, q, page)
	if err != nil {
		return nil, err
	}
	return r.predictionConnection(ctx, l, page, rows, selected)
}

func (r *Resolver) predictionConnection(
	ctx context.Context, l list, page persistence.Page, rows persistence.Slice[*persistence.Prediction],
	selected nodeFields,
) (*PredictionConnection, error) {
	if selected["input"] {
		if err := r.primeInputs(ctx, rows.Rows); err != nil {
			return nil, err
		}
	}
	return &PredictionConnection{Nodes: rows.Rows, PageInfo: newPageInfo(l, page, rows, predictionKey)}, nil
}

// inputConnection reads a page of a list of inputs.
func (r *Resolver) inputConnection(
	ctx context.Context, f persistence.InputFilter, args pageArgs,
) (*InputConnection, error) {
	page, err := args.page(cursorInput)
	if err != nil {
		return nil, err
	}
	rows, err := r.store.Inputs(ctx, f, page)
	if err != nil {
		return nil, err
	}
	loadersOf(ctx).sawInputs(rows.Rows)
	l := list{
		kind:  cursorInput,
		count: func(ctx context.Context) (int, error) { return r.store.CountInputs(ctx, f) },
		any: func(ctx context.Context, at persistence.Key, forward bool) (bool, error) {
			return r.store.AnyInputs(ctx, f, at, forward)
		},
	}
	return &InputConnection{Nodes: rows.Rows, PageInfo: newPageInfo(l, page, rows, inputKey)}, nil
}

func (r *Resolver) listOf(q persistence.PredictionQuery) list {
	return list{
		kind:  predictionCursors[q.Order],
		count: func(ctx context.Context) (int, error) { return r.store.CountPredictions(ctx, q) },
		any: func(ctx context.Context, at persistence.Key, forward bool) (bool, error) {
			return r.store.AnyPredictions(ctx, q, at, forward)
		},
	}
}

// inputList reads a page of an input's own list, for all inputs that were read with it in one statement.
func (r *Resolver) inputList(
	ctx context.Context, in *persistence.Input, f persistence.PredictionFilter, args pageArgs,
) (*PredictionConnection, error) {
	p, err := args.page(cursorPrediction)
	if err != nil {
		return nil, err
	}
	q := persistence.PredictionQuery{Filters: []persistence.PredictionFilter{f}}
	selected := selectedOfNodes(ctx)
	selected.read(&q)
	together := loadersOf(ctx).pageOf(in)
	type listQuestion struct{ query, page string }
	lists, err := remember(&together.memo, listQuestion{mustJSON(q), mustJSON(p)},
		func() (map[persistence.InputID]persistence.Slice[*persistence.Prediction], error) {
			return r.store.PredictionsByInput(ctx, ids(together.inputs), q, p)
		})
	if err != nil {
		return nil, err
	}
	l := r.listOf(persistence.PredictionQuery{Filters: []persistence.PredictionFilter{f, {InputID: &in.ID}}})
	l.count = func(ctx context.Context) (int, error) {
		type countQuestion struct{ query string }
		counts, err := remember(&together.memo, countQuestion{mustJSON(q)},
			func() (map[persistence.InputID]int, error) {
				return r.store.CountPredictionsByInput(ctx, ids(together.inputs), q)
			})
		return counts[in.ID], err
	}
	return r.predictionConnection(ctx, l, p, lists[in.ID], selected)
}

// versionList reads a page of a version's own list, once for all predictions that ask for it.
func (r *Resolver) versionList(
	ctx context.Context, v *inference.ModelVersion, f persistence.PredictionFilter, args pageArgs,
) (*PredictionConnection, error) {
	q := persistence.PredictionQuery{Filters: []persistence.PredictionFilter{versionFilter(v), f}}
	l := r.listOf(q)
	selected := selectedOfNodes(ctx)
	selected.read(&q)
	selected.readInput(ctx, &q)
	p, err := args.page(l.kind)
	if err != nil {
		return nil, err
	}
	type listQuestion struct{ query, page string }
	lists := loadersOf(ctx).versionLists()
	rows, err := remember(lists, listQuestion{mustJSON(q), mustJSON(p)},
		func() (persistence.Slice[*persistence.Prediction], error) { return r.store.Predictions(ctx, q, p) })
	if err != nil {
		return nil, err
	}
	l.count = func(ctx context.Context) (int, error) {
		type countQuestion struct{ query string }
		return remember(lists, countQuestion{mustJSON(q)},
			func() (int, error) { return r.store.CountPredictions(ctx, q) })
	}
	return r.predictionConnection(ctx, l, p, rows, selected)
}

// mustJSON writes values of the store's own plain types, for which there is no error, as something comparable.
func mustJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// filter reads what a client filters by. sources are those of a list whose filter names none.
func (f *PredictionFilter) filter(sources []persistence.Source) (filter persistence.PredictionFilter, err error) {
	filter.Sources = sources
	if f == nil {
		return filter, nil
	}
	filter.Model, filter.Version, filter.CreatedAt = f.Model, toInt(f.Version), f.CreatedAt.timeRange()
	filter.ClassName, filter.Labelled, filter.Correct = f.ClassName, f.Labelled, f.Correct
	if f.Confidence != nil {
		filter.Confidence = *f.Confidence
	}
	if f.Source != nil {
		filter.Sources = f.Source
	}
	if f.InputID != nil {
		var id persistence.InputID
		id, err = parseInputID(*f.InputID)
		filter.InputID = &id
	}
	return filter, err
}

func (f *InputFilter) filter() persistence.InputFilter {
	if f == nil {
		return persistence.InputFilter{}
	}
	return persistence.InputFilter{
		ContentType: f.ContentType, CreatedAt: f.CreatedAt.timeRange(), Labelled: f.Labelled, ClassName: f.ClassName,
	}
}

func (r *DateTimeRange) timeRange() persistence.TimeRange {
	if r == nil {
		return persistence.TimeRange{}
	}
	return persistence.TimeRange{From: r.From, Until: r.Until}
}

// versionFilter picks the predictions of a version.
func versionFilter(v *inference.ModelVersion) persistence.PredictionFilter {
	return persistence.PredictionFilter{Model: &v.Name, Version: &v.Version}
}

func toInt(n *int32) *int {
	if n == nil {
		return nil
	}
	i := int(*n)
	return &i
}
