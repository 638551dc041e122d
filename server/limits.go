package main

import (
	"context"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"

	"sibyl/graph"
)

// DocumentLimits bound what a document may ask for. What fragments hold counts in each place where they are used.
type DocumentLimits struct {
	// MaxTokens bounds the length of a document.
	MaxTokens int `default:"15000" help:"Most tokens in a document, 1 at least."`
	// MaxDepth bounds how deep fields are nested; the longest introspection query in use has 15.
	MaxDepth int `default:"20" help:"How deep fields may be nested, 1 at least."`
	// MaxAliases bounds the fields that have another name in the answer than in the schema.
	MaxAliases int `default:"1000" help:"Most aliases in an operation, 1 at least."`
	// MaxRootFields bounds the fields of the operation itself, by their names in the answer.
	MaxRootFields int `default:"100" help:"Most fields at the root of an operation, 1 at least."`
	// MaxDirectives bounds the directives, each where it stands.
	MaxDirectives int `default:"500" help:"Most directives in an operation, 1 at least."`
	// MaxComplexity bounds the cost of an operation: its fields, those of lists as often as the page is long. A page of
	// 500 predictions with all they have, and 20 others for each, stays below the default.
	MaxComplexity int `default:"250000" help:"Most fields in an answer, by the lengths of its pages, 1 at least."`
	// MaxIntrospectionDepth bounds how often lists of a type are nested in questions about the schema, where each list
	// multiplies the answer: `fields`, `interfaces`, `possibleTypes`, `inputFields`.
	MaxIntrospectionDepth int `default:"2" help:"Most lists nested in questions about the schema, 1 at least."`
}

// validate reports the first limit that nothing could be below.
func (l *DocumentLimits) validate() error {
	return atLeastOne([]limit{
		{"--max-tokens", int64(l.MaxTokens)},
		{"--max-depth", int64(l.MaxDepth)},
		{"--max-aliases", int64(l.MaxAliases)},
		{"--max-root-fields", int64(l.MaxRootFields)},
		{"--max-directives", int64(l.MaxDirectives)},
		{"--max-complexity", int64(l.MaxComplexity)},
		{"--max-introspection-depth", int64(l.MaxIntrospectionDepth)},
	})
}

// Bounds of the time that validation takes, and of what is repeated, which no sensible document comes near to.
const (
	// maxSelections bounds the fields and fragments of a document with every fragment in its places: a fragment that
	// holds another one twice doubles it, and the next one again.
	maxSelections = 10_000
	// maxRepeats bounds how often a field has the same name in the answer as one before it, and a fragment is used
	// again. Validation compares each with each: 14,000 of them take it half a minute. Scanners take a server for open to
	// this that answers 500 times the same field.
	maxRepeats = 400
	// maxSteps bounds the work of measuring: a large fragment that is used often is counted again each time.
	maxSteps = 50_000
	// maxFragments bounds the fragments of a document, of which validation compares each pair, too.
	maxFragments = 100
	// maxAliasBytes bounds an alias, which an answer has once in each row.
	maxAliasBytes = 128
	// countless is where counting stops, above every limit, so that no number overflows.
	countless = 1 << 40
)

// documentGuard is a gqlgen extension that refuses documents before they are validated, which for some of a few
// kilobytes would take minutes. Documents in the cache have passed already.
type documentGuard struct {
	limits DocumentLimits
	cache  documentCache
}

// ExtensionName is the extension's name in gqlgen.
func (documentGuard) ExtensionName() string { return "DocumentGuard" }

// Validate has nothing to say against any schema.
func (documentGuard) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters finds the document in the cache, or measures it.
func (g documentGuard) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	if document, known := g.cache.LRU.Get(ctx, params.Query); known {
		graphql.GetOperationContext(ctx).Doc = document
		return nil
	}
	document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: params.Query}, g.limits.MaxTokens)
	if err != nil {
		return nil // gqlgen parses it again, and tells the error
	}
	if document.Operations == nil && document.Fragments == nil { // the grammar asks for one, and gqlparser does not
		return documentError(graph.CodeParseFailed, "A document has at least one definition.")
	}
	return g.limits.check(document)
}

// check returns the error of a document that is over a limit. The document need not be valid.
func (l *DocumentLimits) check(document *ast.QueryDocument) *gqlerror.Error {
	if len(document.Fragments) > maxFragments {
		return documentError(graph.CodeComplexityLimit, "The document has more than %d fragments.", maxFragments)
	}
	m := newMeasurer(document)
	for _, operation := range document.Operations {
		if err := l.excess(m.operation(operation)); err != nil {
			return err
		}
	}
	for _, fragment := range document.Fragments { // those that nobody uses are validated, too
		if m.fragment(fragment).repeats > maxRepeats {
			return documentError(graph.CodeComplexityLimit, repeatsTooOften, maxRepeats)
		}
	}
	if m.steps == maxSteps {
		return documentError(graph.CodeComplexityLimit, "The fragments in their places have over %d fields.", maxSteps)
	}
	return nil
}

const repeatsTooOften = "The document repeats fields more than %d times."

// excess returns the error of the first limit that an operation is over.
func (l *DocumentLimits) excess(size *extent) *gqlerror.Error {
	for _, bound := range []struct {
		value, limit int
		code         graph.Code
		message      string
	}{
		{size.depth, l.MaxDepth, graph.CodeDepthLimit, "The operation is nested deeper than %d fields."},
		{size.selections, maxSelections, graph.CodeComplexityLimit, "The operation has more than %d selections."},
		{size.repeats, maxRepeats, graph.CodeComplexityLimit, repeatsTooOften},
		{size.rootFields(), l.MaxRootFields, graph.CodeRootFieldLimit, "The operation has more than %d root fields."},
		{size.aliases, l.MaxAliases, graph.CodeAliasLimit, "The operation has more than %d aliases."},
		{size.longest, maxAliasBytes, graph.CodeAliasLimit, "An alias has more than %d characters."},
		{size.directives, l.MaxDirectives, graph.CodeDirectiveLimit, "The operation has more than %d directives."},
		{
			size.introspection, l.MaxIntrospectionDepth, graph.CodeIntrospectionLimit,
			"The question about the schema nests more than %d lists.",
		},
	} {
		if bound.value > bound.limit {
			return documentError(bound.code, bound.message, bound.limit)
		}
	}
	return nil
}

func documentError(code graph.Code, format string, args ...any) *gqlerror.Error {
	err := gqlerror.Errorf(format, args...)
	err.Extensions = map[string]any{"code": string(code)}
	return err
}

// extent is how large a selection set is when its fragments are in their places. No number is beyond countless.
type extent struct {
	depth, selections, repeats, aliases, directives int
	// longest is the length of the longest alias.
	longest int
	// lists is how deep those are nested that multiply an answer about the schema, and introspection that below
	// `__schema` and `__type`, where they are such.
	lists, introspection int
	// names counts the fields of the set itself, by their name in the answer, and the fragments, as `...name`.
	names map[string]int
}

// rootFields is how many fields the set itself has, where it is that of an operation.
func (e *extent) rootFields() (n int) {
	for name := range e.names {
		if !strings.HasPrefix(name, "...") {
			n++
		}
	}
	return n
}

// measurer measures the operations of one document. After maxSteps it stops, wherever it is.
type measurer struct {
	fragments ast.FragmentDefinitionList
	// known are the fragments it has seen, so that each is measured once; empty while it is measured.
	known map[*ast.FragmentDefinition]*extent
	// steps counts the selections that were looked at, and the names each time they were taken in.
	steps int
}

func newMeasurer(document *ast.QueryDocument) *measurer {
	return &measurer{fragments: document.Fragments, known: make(map[*ast.FragmentDefinition]*extent)}
}

// step reports whether one more step may be done.
func (m *measurer) step() bool {
	if m.steps == maxSteps {
		return false
	}
	m.steps++
	return true
}

// operation measures an operation, with the directives that stand outside of its fields.
func (m *measurer) operation(o *ast.OperationDefinition) *extent {
	all := m.measure(o.SelectionSet)
	all.directives += len(o.Directives)
	for _, variable := range o.VariableDefinitions {
		all.directives += len(variable.Directives)
	}
	return all
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
			m.add(all, m.field(selection))
		case *ast.InlineFragment:
			m.add(all, m.measure(selection.SelectionSet))
			all.directives += len(selection.Directives)
		case *ast.FragmentSpread:
			m.add(all, m.spread(selection.Name))
			m.add(all, &extent{names: map[string]int{"..." + selection.Name: 1}, directives: len(selection.Directives)})
		}
	}
	return all
}

func (m *measurer) field(f *ast.Field) *extent {
	size := m.measure(f.SelectionSet)
	size.depth++
	size.directives += len(f.Directives)
	size.names = map[string]int{f.Alias: 1}
	if f.Alias != f.Name {
		size.aliases++
		size.longest = max(size.longest, len(f.Alias))
	}
	switch f.Name {
	case "fields", "interfaces", "possibleTypes", "inputFields":
		size.lists++
	case "__schema", "__type":
		size.introspection = max(size.introspection, size.lists)
	}
	return size
}

// spread measures the fragment of a name. Validation refuses those that are not there, each of which counts like a
// repeat: it compares them all the same.
func (m *measurer) spread(name string) *extent {
	definition := m.fragments.ForName(name)
	if definition == nil {
		return &extent{repeats: 1}
	}
	return m.fragment(definition)
}

// fragment measures a fragment. One that leads back to itself, which validation refuses, has nothing there.
func (m *measurer) fragment(definition *ast.FragmentDefinition) *extent {
	if size, seen := m.known[definition]; seen {
		return size
	}
	m.known[definition] = &extent{}
	size := m.measure(definition.SelectionSet)
	size.directives += len(definition.Directives)
	m.known[definition] = size
	return size
}

// add takes a part of a selection set into all of it.
func (m *measurer) add(all, part *extent) {
	all.depth = max(all.depth, part.depth)
	all.longest = max(all.longest, part.longest)
	all.lists = max(all.lists, part.lists)
	all.introspection = max(all.introspection, part.introspection)
	all.selections = min(all.selections+part.selections, countless)
	all.aliases = min(all.aliases+part.aliases, countless)
	all.directives = min(all.directives+part.directives, countless)
	all.repeats = min(all.repeats+part.repeats, countless)
	for name, count := range part.names {
		if !m.step() {
			break
		}
		if all.names[name] > 0 {
			all.repeats = min(all.repeats+count, countless)
		}
		all.names[name] = min(all.names[name]+count, countless)
	}
}
