package main

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"

	"sibyl/graph"
)

const (
	// maxTokens bounds the length of a document.
	maxTokens = 15_000
	// maxDepth bounds how deep fields are nested; the longest introspection query in use has 15.
	maxDepth = 20
	// maxSelections bounds the fields and fragments of a document with every fragment in its places: a fragment that
	// holds another one twice doubles it, and the next one again.
	maxSelections = 10_000
	// maxRepeats bounds how often a field has the same name in the answer as one before it, and a fragment is used
	// again. Validation compares each with each: 14,000 of them take it half a minute.
	maxRepeats = 500
	// maxSteps bounds the work of measuring: a large fragment that is used often is counted again each time.
	maxSteps = 50_000
	// maxFragments bounds the fragments of a document, of which validation compares each pair, too.
	maxFragments = 100
	// maxComplexity bounds the cost of an operation: its fields, those of lists as often as the page is long. A page of
	// 500 predictions with all they have, and 20 others for each, stays below it.
	maxComplexity = 250_000
)

// documentLimits is a gqlgen extension that refuses documents before they are validated, which for some of a few
// kilobytes would take minutes. Documents in the cache have passed already.
type documentLimits struct{ cache documentCache }

// ExtensionName is the extension's name in gqlgen.
func (documentLimits) ExtensionName() string { return "DocumentLimits" }

// Validate has nothing to say against any schema.
func (documentLimits) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters changes nothing: it measures the document.
func (l documentLimits) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	if _, known := l.cache.Get(ctx, params.Query); known {
		return nil
	}
	document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: params.Query}, maxTokens)
	if err != nil {
		return nil // gqlgen parses it again, and tells the error
	}
	return check(document)
}

// check returns the error of a document that is over a limit. The document need not be valid.
func check(document *ast.QueryDocument) *gqlerror.Error {
	if len(document.Fragments) > maxFragments {
		return limitError(graph.CodeComplexityLimit, "The document has more than %d fragments.", maxFragments)
	}
	return newMeasurer(document).check(document.Operations)
}

// check returns the error of the first operation that is over a limit.
func (m *measurer) check(operations ast.OperationList) *gqlerror.Error {
	for _, operation := range operations {
		size := m.measure(operation.SelectionSet)
		switch {
		case size.depth > maxDepth:
			return limitError(graph.CodeDepthLimit, "The operation is nested deeper than %d fields.", maxDepth)
		case size.selections > maxSelections:
			return limitError(graph.CodeComplexityLimit, "The operation has more than %d selections.", maxSelections)
		case size.repeats > maxRepeats:
			return limitError(graph.CodeComplexityLimit, "The operation repeats fields more than %d times.", maxRepeats)
		case m.steps == maxSteps:
			return limitError(graph.CodeComplexityLimit, "The fragments in their places have over %d fields.", maxSteps)
		}
	}
	return nil
}

func limitError(code graph.Code, format string, limit int) *gqlerror.Error {
	err := gqlerror.Errorf(format, limit)
	err.Extensions = map[string]any{"code": string(code)}
	return err
}

// extent is how large a selection set is when its fragments are in their places. Numbers beyond their limit stop there.
type extent struct {
	depth, selections, repeats int
	// names counts the fields of the set itself, by their name in the answer, and the fragments, as `...name`.
	names map[string]int
}

// measurer measures the operations of one document. After maxSteps it stops, wherever it is.
type measurer struct {
	fragments ast.FragmentDefinitionList
	// known are the fragments it has seen, so that each is measured once; nil while it is measured.
	known map[string]*extent
	// steps counts the selections that were looked at, and the names each time they were taken in.
	steps int
}

func newMeasurer(document *ast.QueryDocument) *measurer {
	return &measurer{fragments: document.Fragments, known: make(map[string]*extent)}
}

// step reports whether one more step may be done.
func (m *measurer) step() bool {
	if m.steps == maxSteps {
		return false
	}
	m.steps++
	return true
}

func (m *measurer) measure(set ast.SelectionSet) *extent {
	all := &extent{names: make(map[string]int)}
	for _, selection := range set {
		if !m.step() {
			break
		}
		all.selections++
		switch selection := selection.(type) {
		case *ast.Field:
			inside := m.measure(selection.SelectionSet)
			inside.depth++
			inside.names = map[string]int{selection.Alias: 1}
			m.add(all, inside)
		case *ast.InlineFragment:
			m.add(all, m.measure(selection.SelectionSet))
		case *ast.FragmentSpread:
			m.add(all, m.fragment(selection.Name))
			m.add(all, &extent{names: map[string]int{"..." + selection.Name: 1}})
		}
	}
	return all
}

// fragment measures a fragment. Validation refuses those that lead back to themselves, and those that are not there,
// each of which counts like a repeat: it compares them all the same.
func (m *measurer) fragment(name string) *extent {
	if size, seen := m.known[name]; seen {
		return size
	}
	definition := m.fragments.ForName(name)
	if definition == nil {
		return &extent{repeats: 1}
	}
	m.known[name] = nil
	m.known[name] = m.measure(definition.SelectionSet)
	return m.known[name]
}

// add takes a part of a selection set into all of it.
func (m *measurer) add(all, part *extent) {
	if part == nil {
		return
	}
	all.depth = max(all.depth, part.depth)
	all.selections = min(all.selections+part.selections, maxSelections+1)
	all.repeats += part.repeats
	for name, count := range part.names {
		if !m.step() {
			break
		}
		if all.names[name] > 0 {
			all.repeats += count
		}
		all.names[name] += min(count, maxRepeats)
	}
	all.repeats = min(all.repeats, maxRepeats+1)
}
