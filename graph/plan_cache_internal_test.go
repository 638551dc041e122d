package graph

import (
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// TestLargePlansAreNotKept counts the fields of a short document whose fragments make thousands of them.
func TestLargePlansAreNotKept(t *testing.T) {
	aliases := func(field string) string {
		var text strings.Builder
		for _, a := range "abcdefghijklmnopqrstuvwxyz" {
			text.WriteString(string(a) + ": " + field + " ")
		}
		return text.String()
	}
	for text, kept := range map[string]bool{
		`{ predictions { nodes { ...F input { ...I } } } }
fragment F on Prediction { id likelyClass { name } } fragment I on Input { id filename }`: true,
		`{ predictions { ...P } } fragment P on PredictionConnection { ` + aliases("nodes { ...N }") + `}
fragment N on Prediction { ` + aliases("model { ...M }") + `} fragment M on ModelVersion { id name version sha256 }`: false,
	} {
		document, errs := gqlparser.LoadQueryWithRules(parsedSchema, text, Rules())
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		field := document.Operations[0].SelectionSet[0].(*ast.Field)
		if left := fieldsLeft(maxKeptFields, field.SelectionSet); (left >= 0) != kept {
			t.Errorf("%d fields are left: %.60s", left, text)
		}
		op := &graphql.OperationContext{RawQuery: text, Operation: document.Operations[0]}
		if !hasOnePlan(op, graphql.CollectedField{Field: field}, field.SelectionSet) {
			t.Errorf("it has several plans: %.60s", text)
		}
	}
}
