package graph

import (
	"context"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// gqlgen resolves each field of each object on its own, with a context, closures and often a goroutine: some 150
// allocations for a prediction with its input. Most fields only have to be read from a struct and written. So each
// selection of an object's fields gets a plan: plan_gen.go, which graph/generate makes from the schema, has a function
// for each type. Where all its fields are plain, a page of objects is written into one buffer, field by field. Where
// some need a resolver, those alone go gqlgen's way. And where a plain field cannot be written (null where none may
// be, NaN, a panic), what was written is dropped and gqlgen's way taken, which knows what errors and nulls come of it.

// planField is what a plan knows of a field.
type planField[T any] struct {
	// write writes the field where it is plain; nil where it is not.
	write write[*T]
	// resolve is gqlgen's way; nil for __typename.
	resolve func(*executionContext, context.Context, graphql.CollectedField, *T) graphql.Marshaler
	// concurrent says that resolve may wait.
	concurrent bool
	// null is nonNull where null makes the object null.
	null nullability

	collected graphql.CollectedField
	// key is `"alias":`, after a comma unless it is the first.
	key string
}

// plan is how the selected fields of objects of a type are answered.
// It is of no one operation, and never changes.
type plan[T any] struct {
	fields []planField[T]
	// plain says that every field is.
	plain bool
}

// newPlan makes the plan of a selection. field tells what is known of a field of the type.
func newPlan[T any](
	ec *executionContext, selections ast.SelectionSet, typeName string, implementors []string,
	field func(name string, selections ast.SelectionSet) planField[T],
) *plan[T] {
	collected := graphql.CollectFields(ec.OperationContext, selections, implementors)
	everyField := ec.Resolvers.(*Resolver).options.EveryField
	p := &plan[T]{fields: make([]planField[T], 0, len(collected)), plain: !everyField}
	comma := ""
	for _, c := range collected {
		if slices.ContainsFunc(p.fields, func(f planField[T]) bool { return f.collected.Alias == c.Alias }) {
			continue // it came by way of an interface, too
		}
		var f planField[T]
		if c.Name == "__typename" {
			f.write = func(t *writing, _ *T) bool { return plainString(t, typeName) }
		} else if f = field(c.Name, c.Selections); everyField {
			f.write = nil
		}
		f.collected, f.key = c, comma+`"`+c.Alias+`":`
		comma = ","
		p.plain = p.plain && f.write != nil
		p.fields = append(p.fields, f)
	}
	return p
}

// write writes an object whose fields are all plain.
func (p *plan[T]) write(t *writing, obj *T) bool {
	t.text = append(t.text, '{')
	for i := range p.fields {
		f := &p.fields[i]
		t.text = append(t.text, f.key...)
		if !f.write(t, obj) {
			return false
		}
	}
	t.text = append(t.text, '}')
	return true
}

// resolve answers with an object, some fields of which need resolvers. It does what gqlgen generates for each type but
// for @defer, which the schema does not have.
func (p *plan[T]) resolve(ctx context.Context, ec *executionContext, obj *T) graphql.Marshaler {
	collected := make([]graphql.CollectedField, len(p.fields))
	for i := range p.fields {
		collected[i] = p.fields[i].collected
	}
	out := graphql.NewFieldSet(collected)
	plain := ec.writing(ctx)
	for i := range p.fields {
		f := &p.fields[i]
		if start := len(plain.text); f.write != nil && plain.try(func(t *writing) bool { return f.write(t, obj) }) {
			out.Values[i] = plain.text[start:]
			continue
		}
		resolve := func(ctx context.Context) graphql.Marshaler { return f.resolve(ec, ctx, f.collected, obj) }
		if f.concurrent {
			out.ResolveConcurrently(ec.OperationContext, nil, i, true, f.null == nonNull, resolve)
			continue
		}
		out.Values[i] = resolve(ctx)
		if f.null == nonNull && out.Values[i] == graphql.Null {
			out.Invalids++
		}
	}
	out.Dispatch(ctx)
	if out.Invalids > 0 {
		return graphql.Null
	}
	return out
}

// marshalObject answers with an object or null, for a place of the type gqlType.
func marshalObject[T any](
	ctx context.Context, ec *executionContext, p *plan[T], obj *T, null nullability, gqlType string,
) graphql.Marshaler {
	if obj == nil {
		if null == nonNull {
			graphql.AddInvalidNullError(ctx, gqlType)
		}
		return graphql.Null
	}
	if p.plain {
		if t := ec.writing(ctx); t.try(func(t *writing) bool { return p.write(t, obj) }) {
			return t.text
		}
	}
	return p.resolve(ctx, ec, obj)
}

// marshalList answers with a list of objects, written where that is possible, or each element on its own.
func marshalList[E any](
	ctx context.Context, ec *executionContext, list []E, write write[[]E], null, elementNull nullability,
	element func(ctx context.Context, i int) graphql.Marshaler,
) graphql.Marshaler {
	if list == nil && null == nullable {
		return graphql.Null
	}
	if write != nil {
		if t := ec.writing(ctx); t.try(func(t *writing) bool { return write(t, list) }) {
			return t.text
		}
	}
	elements := graphql.MarshalSliceConcurrently(ctx, len(list), 0, false,
		func(ctx context.Context, i int) graphql.Marshaler {
			graphql.GetFieldContext(ctx).Result = &list[i]
			return element(ctx, i)
		})
	if elementNull == nonNull && slices.Contains(elements, graphql.Marshaler(graphql.Null)) {
		return graphql.Null
	}
	return elements
}
