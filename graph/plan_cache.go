package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

const (
	// maxKeptPlans, and of each maxKeptFields and maxPlannedDocumentBytes bound what is kept: a field takes some 200 bytes,
	// fragments inside of each other make a thousand of a short text, and a plan keeps the document that its field is in.
	maxKeptPlans            = 512
	maxKeptFields           = 256
	maxPlannedDocumentBytes = 4 << 10
)

// planCache keeps plans by the field whose selection they are of. Those of a document that is parsed anew each time are
// never found again, and the first to go. Safe for concurrent use.
type planCache = lru.Cache[*ast.Field, any]

func newPlanCache() *planCache {
	c, _ := lru.New[*ast.Field, any](maxKeptPlans) // the error is of a size below 1
	return c
}

// planOf returns the plan of the selection of the field that is resolved, which prepare makes where none is kept.
func planOf[T any](
	ctx context.Context, ec *executionContext, selections ast.SelectionSet,
	prepare func(*executionContext, ast.SelectionSet) *plan[T],
) *plan[T] {
	field := graphql.GetFieldContext(ctx).Field
	if !hasOnePlan(ec.OperationContext, field, selections) {
		return prepare(ec, selections)
	}
	plans := ec.Resolvers.(*Resolver).plans
	kept, _ := plans.Get(field.Field)
	p, ok := kept.(*plan[T]) // an interface's field may have objects of another type the next time
	if !ok {
		p = prepare(ec, selections)
		if fieldsLeft(maxKeptFields, selections) >= 0 {
			plans.Add(field.Field, p)
		}
	}
	return p
}

// fieldsLeft is how many of so many fields are left once a selection has its own, those inside of them included; below 0
// where they are not enough. A fragment's count wherever it is spread.
func fieldsLeft(left int, selections ast.SelectionSet) int {
	for _, selection := range selections {
		if left < 0 {
			break
		}
		switch selection := selection.(type) {
		case *ast.Field:
			left = fieldsLeft(left-1, selection.SelectionSet)
		case *ast.InlineFragment:
			left = fieldsLeft(left, selection.SelectionSet)
		case *ast.FragmentSpread:
			left = fieldsLeft(left, selection.Definition.SelectionSet)
		}
	}
	return left
}

// hasOnePlan reports whether the selection is the field's own, not several fields' of one name together, and the same
// whatever the variables are: only Boolean ones can leave something out.
func hasOnePlan(op *graphql.OperationContext, field graphql.CollectedField, selections ast.SelectionSet) bool {
	if field.Field == nil || len(selections) == 0 || len(field.SelectionSet) != len(selections) ||
		field.SelectionSet[0] != selections[0] || len(op.RawQuery) > maxPlannedDocumentBytes {
		return false
	}
	for _, variable := range op.Operation.VariableDefinitions {
		if variable.Type.NamedType == "Boolean" {
			return false
		}
	}
	return true
}
