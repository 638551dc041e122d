package graph_test

import (
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"sibyl/graph"
)

// TestEveryWayInNeedsARole: a root field that nobody gave one would answer every key, and so would a list that is
// reached from what a key of another role may see.
func TestEveryWayInNeedsARole(t *testing.T) {
	schema := graph.New(nil, nil, graph.Options{}).Schema().Schema()
	seen := 0
	for _, definition := range schema.Types {
		root := definition == schema.Query || definition == schema.Mutation || definition == schema.Subscription
		for _, field := range definition.Fields {
			list := strings.HasSuffix(field.Type.Name(), "Connection")
			if strings.HasPrefix(field.Name, "__") || !root && !list {
				continue
			}
			seen++
			if field.Directives.ForName("requires") == nil {
				t.Errorf("%s.%s has no @requires(role: …)", definition.Name, field.Name)
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d fields were looked at", seen)
	}
}

// TestRoles says which role each field needs; what changes for everybody needs ADMIN.
func TestRoles(t *testing.T) {
	schema := graph.New(nil, nil, graph.Options{}).Schema().Schema()
	for role, want := range map[graph.Role]string{
		graph.RolePredictor: "predict predictBatch predictInput",
		graph.RoleLabeller:  "labelInput unlabelInput",
		graph.RoleAdmin:     "deleteInput reloadModels routeModel",
	} {
		for name := range strings.FieldsSeq(want) {
			if got := roleOf(schema.Mutation.Fields.ForName(name)); got != string(role) {
				t.Errorf("%s needs %s, want %s", name, got, role)
			}
		}
	}
	for _, field := range append(schema.Subscription.Fields, schema.Query.Fields...) {
		if got := roleOf(field); !strings.HasPrefix(field.Name, "__") && got != string(graph.RoleReader) {
			t.Errorf("%s needs %s", field.Name, got)
		}
	}
}

func roleOf(field *ast.FieldDefinition) string {
	directive := field.Directives.ForName("requires")
	if directive == nil {
		return ""
	}
	return directive.Arguments.ForName("role").Value.Raw
}

// TestPredictIsResolvedWhole: the role and the arguments of `predict` are read by hand.
func TestPredictIsResolvedWhole(t *testing.T) {
	predict := graph.New(nil, nil, graph.Options{}).Schema().Schema().Mutation.Fields.ForName("predict")
	var names []string
	for _, argument := range predict.Arguments {
		if names = append(names, argument.Name); argument.DefaultValue != nil {
			t.Errorf("%s has a default", argument.Name)
		}
	}
	if got := strings.Join(names, " "); got != "image model version idempotencyKey" {
		t.Error(got)
	}
}
