package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
	"github.com/99designs/gqlgen/codegen/templates"
	"github.com/vektah/gqlparser/v2/ast"
)

// outline is what plan_gen.go is rendered from.
type outline struct {
	// Roots have the fields of queries and of mutations.
	Roots   []*codegen.Object
	Inputs  codegen.Objects
	Objects []*codegen.Object
	// Marshaled are the types that each get a marshal function.
	Marshaled []*config.TypeReference
}

// sorted makes the file the same each time.
func (o outline) sorted() outline {
	slices.SortFunc(o.Objects, func(a, b *codegen.Object) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(o.Marshaled, func(a, b *config.TypeReference) int {
		return cmp.Compare(a.MarshalFunc(), b.MarshalFunc())
	})
	return o
}

// get is the expression that gets a field's value of obj; empty where it takes more: a resolver, arguments, a context
// or a directive, or where it can fail.
func get(f *codegen.Field) string {
	switch {
	case f.IsResolver || len(f.Args) > 0 || f.HasDirectives():
	case f.IsVariable():
		return "obj." + f.GoFieldName
	case f.IsMethod() && f.NoErr && !f.MethodHasContext && !f.VOkFunc:
		return "obj." + f.GoFieldName + "()"
	}
	return ""
}

// knownBy is the function that may know a resolver's answer; empty where there is none.
func knownBy(f *codegen.Field) string { return known[f.Object.Name+"."+f.Name] }

// writer is the expression of the function that writes values of a type, with a field's selections; empty where there
// is none. A scalar whose function is not known is an error, so that nobody makes lists slow without seeing it.
func writer(t *config.TypeReference) (string, error) {
	switch {
	case t.IsSlice():
		element, err := writer(t.Elem())
		return wrap("plainList", element, null(t)), err
	case isObject(t):
		return objectWriter(t, "plan"+t.Definition.Name+"(ec, selections)"), nil
	case t.Definition.Kind != ast.Scalar && t.Definition.Kind != ast.Enum || t.HasEnumValues() || t.CastType != nil:
		return "", nil
	case t.IsPtr():
		value, err := writer(t.Elem())
		return wrap("plainPointer", value, null(t)), err
	case t.IsMarshaler && t.Definition.Name == "ID":
		return "plainID[" + templates.CurrentImports.LookupType(t.GO) + "]", nil
	case t.IsMarshaler && !t.IsContext:
		return "plainMarshaler[" + templates.CurrentImports.LookupType(t.GO) + "]", nil
	case t.Marshaler != nil && scalars[t.Marshaler.FullName()] == "":
		return "", fmt.Errorf("scalars do not have what writes as %s does", t.Marshaler.FullName())
	case t.Marshaler != nil:
		return scalars[t.Marshaler.FullName()], nil
	}
	return "", nil
}

// objectWriter is the expression of the function that writes objects by a plan.
func objectWriter(t *config.TypeReference, plan string) string {
	if t.IsPtr() {
		return wrap("plainObject", plan, null(t))
	}
	return "plainStruct(" + plan + ")"
}

func wrap(function, argument, null string) string {
	if argument == "" {
		return ""
	}
	return function + "(" + argument + ", " + null + ")"
}

// null tells whether a type has null.
func null(t *config.TypeReference) string {
	if t.GQL.NonNull {
		return "nonNull"
	}
	return "nullable"
}

// elem is the type of a list's elements.
func elem(t *config.TypeReference) *config.TypeReference { return t.Elem() }
