package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Authorization is a gqlgen extension that refuses operations of which some part needs a role that the caller lacks,
// before anything runs. Refused at its field alone, such a part could take the answer to a mutation with it that is
// done.
type Authorization struct{}

// ExtensionName is the extension's name in gqlgen.
func (Authorization) ExtensionName() string { return "Authorization" }

// Validate has nothing to say against any schema.
func (Authorization) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext changes nothing: it looks at what the operation selects.
func (Authorization) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	if err := AuthorizeOperation(CallerOf(ctx), op); err != nil {
		return gqlerror.Wrap(err)
	}
	return nil
}

// AuthorizeOperation returns the error of a validated operation that selects a field for which the caller lacks the
// role: UNAUTHENTICATED where the caller is nil, else FORBIDDEN. A field counts wherever it is, unless the variables
// leave it out.
func AuthorizeOperation(caller *Caller, op *graphql.OperationContext) error {
	a := authorizer{caller: caller, variables: op.Variables, seen: make(map[*ast.FragmentDefinition]bool)}
	return a.check(op.Operation.SelectionSet)
}

// authorizer looks through the selections of one operation.
type authorizer struct {
	caller    *Caller
	variables map[string]any
	// seen are the fragments that need not be looked at again.
	seen map[*ast.FragmentDefinition]bool
}

func (a *authorizer) check(set ast.SelectionSet) error {
	for _, selection := range set {
		if err := a.checkOne(selection); err != nil {
			return err
		}
	}
	return nil
}

func (a *authorizer) checkOne(selection ast.Selection) error {
	switch selection := selection.(type) {
	case *ast.Field:
		if !a.included(selection.Directives) {
			return nil
		}
		if requires := selection.Definition.Directives.ForName("requires"); requires != nil {
			field := selection.ObjectDefinition.Name + "." + selection.Name
			if err := a.caller.authorize(field, Role(requires.Arguments[0].Value.Raw)); err != nil {
				return err
			}
		}
		return a.check(selection.SelectionSet)
	case *ast.InlineFragment:
		if a.included(selection.Directives) {
			return a.check(selection.SelectionSet)
		}
	case *ast.FragmentSpread:
		if a.included(selection.Directives) && !a.seen[selection.Definition] {
			a.seen[selection.Definition] = true
			return a.check(selection.Definition.SelectionSet)
		}
	}
	return nil
}

// included reports whether @skip and @include leave a selection in.
func (a *authorizer) included(directives ast.DirectiveList) bool {
	for _, directive := range directives {
		if directive.Name == "skip" || directive.Name == "include" {
			if directive.ArgumentMap(a.variables)["if"] != (directive.Name == "include") {
				return false
			}
		}
	}
	return true
}
