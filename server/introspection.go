package main

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"sibyl/graph"
)

// closedSchema is a gqlgen extension that refuses operations with questions about the schema before anything runs. Without
// it they fail inside, as if that were the server's fault.
type closedSchema struct{}

// ExtensionName is the extension's name in gqlgen.
func (closedSchema) ExtensionName() string { return "ClosedSchema" }

// Validate has nothing to say against any schema.
func (closedSchema) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext changes nothing: it looks at the fields at the root.
func (closedSchema) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	if f := schemaQuestion(op.Operation.SelectionSet, op.Doc.Fragments); f != nil {
		err := gqlerror.ErrorPosf(f.Position, "This server answers no questions about its schema: %s.", f.Name)
		err.Extensions = map[string]any{"code": string(graph.CodeValidationFailed)}
		return err
	}
	return nil
}

// schemaQuestion returns the first field that asks about the schema, or nil.
func schemaQuestion(root ast.SelectionSet, fragments ast.FragmentDefinitionList) *ast.Field {
	for _, selection := range root {
		var inner ast.SelectionSet
		switch selection := selection.(type) {
		case *ast.Field:
			if selection.Name == "__schema" || selection.Name == "__type" {
				return selection
			}
		case *ast.InlineFragment:
			inner = selection.SelectionSet
		case *ast.FragmentSpread:
			inner = fragments.ForName(selection.Name).SelectionSet
		}
		if f := schemaQuestion(inner, fragments); f != nil {
			return f
		}
	}
	return nil
}
