package graph

import (
	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// checkConditions refuses an operation whose @skip or @include depends on a variable that is null: validation lets one
// through that has a default, and gqlgen panics on it once a mutation is done.
func checkConditions(op *graphql.OperationContext) *gqlerror.Error {
	nulls := map[string]bool{}
	for _, variable := range op.Operation.VariableDefinitions {
		if variable.Type.NamedType == "Boolean" && op.Variables[variable.Variable] == nil {
			nulls[variable.Variable] = true
		}
	}
	if len(nulls) == 0 {
		return nil
	}
	c := conditions{nulls: nulls, seen: map[*ast.FragmentDefinition]bool{}}
	return c.check(op.Operation.SelectionSet)
}

// conditions looks for those of one operation that are null.
type conditions struct {
	// nulls are the variables.
	nulls map[string]bool
	// seen are the fragments that need not be looked at again.
	seen map[*ast.FragmentDefinition]bool
}

func (c *conditions) check(set ast.SelectionSet) *gqlerror.Error {
	for _, selection := range set {
		var directives ast.DirectiveList
		var inside ast.SelectionSet
		switch selection := selection.(type) {
		case *ast.Field:
			directives, inside = selection.Directives, selection.SelectionSet
		case *ast.InlineFragment:
			directives, inside = selection.Directives, selection.SelectionSet
		case *ast.FragmentSpread:
			directives = selection.Directives
			if !c.seen[selection.Definition] {
				c.seen[selection.Definition] = true
				inside = selection.Definition.SelectionSet
			}
		}
		if err := c.checkDirectives(directives); err != nil {
			return err
		}
		if err := c.check(inside); err != nil {
			return err
		}
	}
	return nil
}

func (c *conditions) checkDirectives(directives ast.DirectiveList) *gqlerror.Error {
	for _, directive := range directives {
		condition := directive.Arguments.ForName("if")
		if condition == nil || condition.Value.Kind != ast.Variable || !c.nulls[condition.Value.Raw] {
			continue
		}
		err := gqlerror.ErrorPosf(directive.Position, "@%s is null, by the variable $%s", directive.Name, condition.Value.Raw)
		err.Extensions = map[string]any{"code": string(CodeValidationFailed)}
		return err
	}
	return nil
}
