package graph

import (
	"bytes"
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// executable is gqlgen's schema, but that it resolves the field of an operation which has one alone, as nearly all have,
// without a set of fields around it: to make that and to write it takes gqlgen a fifth of its time for a prediction.
// Middleware around the fields of operations (AroundRootFields) does not see such a field.
type executable struct{ *executableSchema }

// rootField is gqlgen's way to resolve a field of an operation itself.
type rootField func(*executionContext, context.Context, graphql.CollectedField) graphql.Marshaler

// Exec returns what gives the answer, as graphql.ExecutableSchema has it.
func (s executable) Exec(ctx context.Context) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	field, resolve := onlyField(op.Operation)
	if resolve == nil {
		return s.executableSchema.Exec(ctx)
	}
	ec := newExecutionContext(op, s.executableSchema, nil)
	answered := false
	return func(ctx context.Context) *graphql.Response {
		if answered {
			return nil
		}
		answered = true
		return &graphql.Response{Data: ec.resolveAlone(ctx, field, resolve)}
	}
}

// onlyField returns the field of an operation that has no other, and whose it is; nil where there are more, or where
// a directive may leave it out, and of subscriptions.
func onlyField(op *ast.OperationDefinition) (*ast.Field, rootField) {
	if len(op.SelectionSet) != 1 {
		return nil, nil
	}
	field, ok := op.SelectionSet[0].(*ast.Field)
	if !ok || len(field.Directives) > 0 {
		return nil, nil
	}
	if op.Operation == ast.Mutation && field.Name == "predict" {
		return field, resolvePredict
	}
	return field, rootFields[field.ObjectDefinition.Name][field.Name]
}

// resolveAlone returns the data of an operation of one field. It does what gqlgen generates for several, but for a context
// around them that nothing here asks for.
func (ec *executionContext) resolveAlone(ctx context.Context, field *ast.Field, resolve rootField) []byte {
	value := resolve(ec, ctx, graphql.CollectedField{Field: field, Selections: field.SelectionSet})
	if value == graphql.RequiredNull || value == graphql.Null && field.Definition.Type.NonNull {
		return []byte("null")
	}
	begin := func(size int) text {
		data := make(text, 0, size+len(field.Alias)+len(`{"":}`))
		return append(append(append(data, `{"`...), field.Alias...), `":`...)
	}
	if written, ok := value.(text); ok {
		return append(append(begin(len(written)), written...), '}')
	}
	data := begin(bytes.MinRead)
	value.MarshalGQL(&data)
	return append(data, '}')
}
