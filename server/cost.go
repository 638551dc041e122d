package main

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// costLimit is gqlgen's complexity limit, which walks through an operation each time: one that stays within it whatever
// its variables are is walked through once.
type costLimit struct {
	*extension.ComplexityLimit
	// within are such operations.
	within *lru.Cache[*ast.OperationDefinition, struct{}]
}

func newCostLimit(limit int) costLimit {
	within, _ := lru.New[*ast.OperationDefinition, struct{}](maxCachedDocuments) // the error is of a size below 1
	return costLimit{extension.FixedComplexityLimit(limit), within}
}

// MutateOperationContext changes nothing: it refuses an operation that costs too much.
func (l costLimit) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	if l.within.Contains(op.Operation) {
		return nil
	}
	err := l.ComplexityLimit.MutateOperationContext(ctx, op)
	// Documents that are not cached are other ones each time.
	if err == nil && len(op.RawQuery) <= maxCachedDocumentBytes && !variesInCost(op.Operation) {
		l.within.Add(op.Operation, struct{}{})
	}
	return err
}

// variesInCost tells whether variables may say how long a list is: by a number, or by being one.
func variesInCost(op *ast.OperationDefinition) bool {
	for _, variable := range op.VariableDefinitions {
		if variable.Type.Elem != nil || variable.Type.NamedType == "Int" {
			return true
		}
	}
	return false
}
