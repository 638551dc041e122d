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
	return field, rootFields[field.ObjectDefinition.Name][field.Name]
}

// resolveAlone returns the data of an operation of one field. It does what gqlgen generates for several.
func (ec *executionContext) resolveAlone(ctx context.Context, field *ast.Field, resolve rootField) []byte {
	ctx = graphql.WithLazyInputUnmarshalerIndex(ctx, ec.inputUnmarshalers)
	ctx = graphql.WithFieldContext(ctx, &graphql.FieldContext{Object: field.ObjectDefinition.Name})
	value := resolve(ec, ctx, graphql.CollectedField{Field: field, Selections: field.SelectionSet})
	if value == graphql.RequiredNull || value == graphql.Null && field.Definition.Type.NonNull {
		return []byte("null")
	}
	size := bytes.MinRead
	if written, ok := value.(text); ok {
		size = len(written) + len(field.Alias) + len(`{"":}`)
	}
	data := make(text, 0, size)
	data = append(append(append(data, `{"`...), field.Alias...), `":`...)
	value.MarshalGQL(&data)
	return append(data, '}')
}
