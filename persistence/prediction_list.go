package persistence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// PredictionFilter picks predictions; every condition given must hold.
type PredictionFilter struct {
	Model     *string
	Version   *int
	InputID   *InputID
	CreatedAt TimeRange
	// ClassName and Confidence are of the likeliest class.
	ClassName  *string
	Confidence FloatRange
	// Labelled picks those whose input has a label, or none; Correct those whose likeliest class is the label, or not.
	Labelled, Correct *bool
	// Sources picks those of one of them; nil picks all, an empty one none.
	Sources []Source
}

// FloatRange is GTE inclusive, LT exclusive; nil is open.
type FloatRange struct {
	GTE, LT *float64
}

// PredictionOrder is what a list of predictions is sorted by; empty: newest first.
type PredictionOrder string

// The orders. By confidence, those without one come last; among equals it goes by time.
const (
	OrderNewest         PredictionOrder = "NEWEST"
	OrderOldest         PredictionOrder = "OLDEST"
	OrderLeastConfident PredictionOrder = "LEAST_CONFIDENT"
	OrderMostConfident  PredictionOrder = "MOST_CONFIDENT"
)

// MarshalGQL writes the order as a GraphQL enum value.
func (o PredictionOrder) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(string(o))) }

// UnmarshalGQL reads the order from a GraphQL enum value.
func (o *PredictionOrder) UnmarshalGQL(v any) error {
	if v == nil { // a variable with a default may be null
		return errors.New("it cannot be null")
	}
	name, _ := v.(string)
	switch order := PredictionOrder(name); order {
	case OrderNewest, OrderOldest, OrderLeastConfident, OrderMostConfident:
		*o = order
		return nil
	}
	return fmt.Errorf("%v is not a PredictionOrder", v)
}

// ByConfidence tells the orders that need Key.Confidence.
func (o PredictionOrder) ByConfidence() bool {
	return o == OrderLeastConfident || o == OrderMostConfident
}

// descending tells that the highest IDs and confidences come first.
func (o PredictionOrder) descending() bool { return o != OrderOldest && o != OrderLeastConfident }

// PredictionQuery is a list of predictions: what every one of Filters picks.
type PredictionQuery struct {
	Filters []PredictionFilter
	Order   PredictionOrder
	// Outputs asks for Prediction.Outputs too.
	Outputs bool
	// Input asks for Prediction.Input too; what is told of its image, from ContentType on, only comes with InputImage.
	Input, InputImage bool
	// Without are the parts that nobody will look at: they are not read.
	Without PredictionParts
}

// PredictionParts are fields of Prediction that a list may do without.
type PredictionParts uint8

// The parts of a prediction. What has none is always read.
const (
	// PartModel is ModelName and ModelVersion.
	PartModel PredictionParts = 1 << iota
	// PartSource is Source.
	PartSource
	// PartClass is ClassIndex, ClassName and Confidence.
	PartClass
	// PartLabel is Labelled and Correct.
	PartLabel
	// PartTiming is the microseconds.
	PartTiming
)

const (
	predictionKeys    = "p.id, p.input_id, p.created_at"
	modelColumns      = ", p.model, p.version"
	sourceColumns     = ", p.source"
	classColumns      = ", p.class_index, p.class_name, p.confidence"
	labelColumns      = ", p.labelled, p.correct"
	timingColumns     = ", p.decode_microseconds, p.queue_microseconds, p.inference_microseconds"
	predictionColumns = predictionKeys + modelColumns + sourceColumns + classColumns + labelColumns + timingColumns
)

// columns leaves what is not asked for where it is: above all the tensors, which can be large.
func (q PredictionQuery) columns() string {
	if q.Order.ByConfidence() {
		q.Without &^= PartClass // the branches are merged by it, and cursors are made of it
	}
	columns := predictionKeys
	for i, part := range []string{modelColumns, sourceColumns, classColumns, labelColumns, timingColumns} {
		if q.Without&(1<<i) == 0 {
			columns += part
		}
	}
	if q.Outputs {
		columns += ", p.outputs"
	}
	return columns
}

// conditions are those of all filters but for their sources, after those to begin with.
func (q PredictionQuery) conditions(c conditions) *conditions {
	for _, f := range q.Filters {
		f.conditions(&c)
	}
	return &c
}

func (f PredictionFilter) conditions(c *conditions) {
	if f.Model != nil {
		c.add("p.model = $?", *f.Model)
	}
	if f.Version != nil {
		c.add("p.version = $?", *f.Version)
	}
	if f.InputID != nil {
		c.add("p.input_id = $?", *f.InputID)
	}
	if f.ClassName != nil {
		c.add("p.class_name = $?", *f.ClassName)
	}
	if f.Confidence.GTE != nil {
		c.add("p.confidence >= $?", *f.Confidence.GTE)
	}
	if f.Confidence.LT != nil {
		c.add("p.confidence < $?", *f.Confidence.LT)
	}
	c.is("p.labelled", f.Labelled)
	if f.Correct != nil {
		c.add("p.correct IS NOT NULL") // which the index is partial by, and PostgreSQL does not infer from NOT
		c.is("p.correct", f.Correct)
	}
	c.createdAt(f.CreatedAt, "p.id")
}

// is adds that a column is true, or false, in the words that partial indexes have.
func (c *conditions) is(column string, want *bool) {
	switch {
	case want == nil:
	case *want:
		c.add(column)
	default:
		c.add("NOT " + column)
	}
}

// sources are those that every filter picks; nil is all of them.
func (q PredictionQuery) sources() []Source {
	var picked []Source
	for _, source := range allSources {
		if !slices.ContainsFunc(q.Filters, func(f PredictionFilter) bool {
			return f.Sources != nil && !slices.Contains(f.Sources, source)
		}) {
			picked = append(picked, source)
		}
	}
	if len(picked) == len(allSources) {
		return nil
	}
	return append([]Source{}, picked...)
}

// sourced adds the sources as one condition.
func (c *conditions) sourced(sources []Source) *conditions {
	switch {
	case sources == nil:
	case len(sources) == 1:
		c.add("p.source = $?", sources[0])
	default:
		c.add("p.source = ANY($?)", sources)
	}
	return c
}

// branches are the parts that the list is merged from, so that each is in order in an index: one a source, as every
// index begins with it, and where the segment says so what is labelled apart from what is not. A list of one input needs
// none of it.
func (q PredictionQuery) branches(s segment) []func(*conditions) {
	sources := q.sources()
	if q.ofOneInput() || sources != nil && len(sources) == 0 {
		return []func(*conditions){func(c *conditions) { c.sourced(sources) }}
	}
	if sources == nil {
		sources = allSources
	}
	apart := s.apart &&
		!slices.ContainsFunc(q.Filters, func(f PredictionFilter) bool { return f.Labelled != nil })
	var branches []func(*conditions)
	for _, source := range sources {
		one := func(c *conditions) { c.sourced([]Source{source}) }
		if !apart {
			branches = append(branches, one)
			continue
		}
		branches = append(branches,
			func(c *conditions) { one(c); c.add("NOT p.labelled") }, func(c *conditions) { one(c); c.add("p.labelled") })
	}
	return branches
}

func (q PredictionQuery) ofOneInput() bool {
	return slices.ContainsFunc(q.Filters, func(f PredictionFilter) bool { return f.InputID != nil })
}

// statement reads a part of a segment, in the order that its branches share.
func (q PredictionQuery) statement(c *conditions, s segment, backward bool, limit int) string {
	o := s.order
	var parts []string
	for _, branch := range q.branches(s) {
		common := len(c.clauses)
		branch(c)
		parts = append(parts, `
SELECT `+q.columns()+`
FROM predictions p`+c.where()+o.clause(backward, limit))
		c.clauses = c.clauses[:common]
	}
	statement := parts[0]
	if len(parts) > 1 {
		statement = `
SELECT p.*
FROM ((` + strings.Join(parts, ") UNION ALL (") + `)) p` + o.clause(backward, limit)
	}
	if !q.Input {
		return statement
	}
	return `
SELECT p.*, ` + inputOfPrediction(q.InputImage) + `
FROM (` + statement + `) p
JOIN inputs i ON i.id = p.input_id` + o.clause(backward, limit)
}

// segment is a part of the list that lies in order in an index; one follows on the other.
type segment struct {
	order order
	// condition picks the segment's rows, and holds tells whether a key is of one; nothing where it is the whole list.
	condition string
	holds     func(Key) bool
	// apart tells that what is labelled is in another index than what is not.
	apart bool
}

// segments are the list's parts in its order: by confidence, those that have none come last.
func (q PredictionQuery) segments() []segment {
	id := byID("p.id", q.Order.descending())
	if !q.Order.ByConfidence() {
		return []segment{{order: id, holds: func(Key) bool { return true }}}
	}
	confidence := order{
		"p.confidence, p.id", func(k Key) []any { return []any{*k.Confidence, k.ID} }, q.Order.descending(),
	}
	return []segment{
		{confidence, "p.confidence IS NOT NULL", func(k Key) bool { return k.Confidence != nil }, true},
		{id, "p.confidence IS NULL", func(k Key) bool { return k.Confidence == nil }, false},
	}
}

// reach are the bounds that lie within segment i of the list's segments; false where they leave nothing of it.
func reach(segments []segment, i int, bounds []bound) (within []bound, any bool) {
	for _, b := range bounds {
		at := slices.IndexFunc(segments, func(s segment) bool { return s.holds(b.key) })
		switch {
		case at == i:
			within = append(within, b)
		case b.short != (i < at): // beyond a key of a later segment, or short of one of an earlier
			return nil, false
		}
	}
	return within, true
}

// predictions reads rows of the list within bounds from its beginning, or backward from its end.
func (s *Store) predictions(
	ctx context.Context, q PredictionQuery, bounds []bound, backward bool, limit int,
) ([]*Prediction, error) {
	segments := q.segments()
	indices := []int{0, 1}[:len(segments)]
	if backward {
		slices.Reverse(indices)
	}
	var all []*Prediction
	for _, i := range indices {
		within, any := reach(segments, i, bounds)
		if !any || len(all) == limit {
			continue
		}
		query, args := q.segment(segments[i], within, backward, limit-len(all))
		rows, err := selectPredictions(ctx, s.pool, query, args...)
		if err != nil {
			return nil, classify(err)
		}
		all = append(all, rows...)
	}
	return all, nil
}

// segment is the statement that reads one of the list's segments.
func (q PredictionQuery) segment(s segment, within []bound, backward bool, limit int) (query string, args []any) {
	c := q.conditions(conditions{})
	if s.condition != "" {
		c.add(s.condition)
	}
	c.within(within, s.order)
	query = q.statement(c, s, backward, limit)
	return query, c.args
}

// Predictions returns a part of the list q.
func (s *Store) Predictions(ctx context.Context, q PredictionQuery, p Page) (Slice[*Prediction], error) {
	rows, err := s.predictions(ctx, q, p.bounds(), p.Backward, p.Limit+1)
	if err != nil {
		return Slice[*Prediction]{}, err
	}
	return slice(rows, p), nil
}

// AnyPredictions tells whether the list q has a row at the key or beyond it: forward in the list's order, or backward.
func (s *Store) AnyPredictions(ctx context.Context, q PredictionQuery, at Key, forward bool) (bool, error) {
	q.Outputs, q.Input, q.Without = false, false, ^PredictionParts(0)
	rows, err := s.predictions(ctx, q, onwards(at, forward), !forward, 1)
	return len(rows) > 0, err
}

// CountPredictions counts what is in the list q.
func (s *Store) CountPredictions(ctx context.Context, q PredictionQuery) (count int, err error) {
	c := q.conditions(conditions{}).sourced(q.sources())
	err = s.pool.QueryRow(ctx, `
SELECT count(*)
FROM predictions p`+c.where(), c.args...).Scan(&count)
	return count, classify(err)
}

// PredictionsByID returns the predictions of ids that exist, with their outputs, in one statement and in no order.
func (s *Store) PredictionsByID(ctx context.Context, ids []PredictionID) ([]*Prediction, error) {
	const query = `
SELECT ` + predictionColumns + `, p.outputs
FROM predictions p
WHERE p.id = ANY($1)`
	rows, err := selectPredictions(ctx, s.pool, query, ids)
	return rows, classify(err)
}
