package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

const (
	// maxKeptPlans and maxPlannedDocumentBytes bound what is kept: a plan keeps the document that its field is in.
	maxKeptPlans            = 1024
	maxPlannedDocumentBytes = 8 << 10
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
		plans.Add(field.Field, p)
	}
	return p
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
