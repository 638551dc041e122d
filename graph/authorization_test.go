package graph_test

import (
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"

	"sibyl/graph"
)

// TestAuthorization looks at all that an operation selects, before it runs.
func TestAuthorization(t *testing.T) {
	exec := executor.New(graph.New(nil, nil, graph.Options{}).Schema())
	exec.Use(graph.Authorization{})
	exec.SetErrorPresenter(graph.PresentError(nil))
	const list, fragment = `predictions { nodes { id } }`, `fragment A on Input { predictions { nodes { id } } }`
	predict := func(selection string) string {
		return `mutation($on: Boolean = true) { predictInput(inputId: "x") { id ` + selection +
			` ... @include(if: $on) { id } } }`
	}
	input := func(selection string) string { return predict(`input { id ` + selection + ` }`) }
	const forbidden = graph.CodeForbidden
	predictor, reader := []graph.Role{graph.RolePredictor}, []graph.Role{graph.RoleReader}
	both, admin := []graph.Role{graph.RolePredictor, graph.RoleReader}, []graph.Role{graph.RoleAdmin}
	for name, row := range map[string]struct {
		document string
		roles    []graph.Role // nil: there is no caller
		code     graph.Code
	}{
		"nobody":            {"{models{name}}", nil, graph.CodeUnauthenticated},
		"for everybody":     {"{__typename __schema{queryType{name}}}", predictor, ""},
		"another role":      {"{models{name}}", predictor, forbidden},
		"the role":          {"{models{name}}", reader, ""},
		"one of two":        {"{models{name}}", both, ""},
		"admin":             {input(list), admin, ""},
		"nothing behind":    {predict(`input { id image { url } } model { name }`), predictor, ""},
		"behind":            {input(`p: ` + list), predictor, forbidden},
		"both":              {input(list), both, ""},
		"a second field":    {`mutation { predictInput(inputId: "x") { id } reloadModels { name } }`, predictor, forbidden},
		"of fragments":      {predict(`...B`) + `fragment B on Prediction{input{...A}}` + fragment, predictor, forbidden},
		"inline fragments":  {predict(`... { ... on Prediction { input { ` + list + ` } } }`), predictor, forbidden},
		"skipped at first":  {input(`...A @skip(if: true) ...A`) + fragment, predictor, forbidden},
		"skipped":           {input(`predictions @skip(if: true) { nodes { id } }`), predictor, ""},
		"not skipped":       {input(`predictions @skip(if: false) { nodes { id } }`), predictor, forbidden},
		"skipped around it": {predict(`input @include(if: false) { ` + list + ` }`), predictor, ""},
		"skipped inline":    {input(`... @include(if: false) { ` + list + ` }`), predictor, ""},
		"skipped spread":    {input(`...A @skip(if: true)`) + fragment, predictor, ""},
		"skip and include":  {input(`predictions @include(if: true) @skip(if: true) { nodes { id } }`), predictor, ""},
		"by a variable":     {input(`predictions @skip(if: $on) { nodes { id } }`), predictor, ""},
		"not by a variable": {input(`predictions @include(if: $on) { nodes { id } }`), predictor, forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := graphql.StartOperationTrace(t.Context())
			if row.roles != nil {
				ctx = graph.WithCaller(ctx, &graph.Caller{Name: "me", Roles: row.roles})
			}
			_, errs := exec.CreateOperationContext(ctx, &graphql.RawParams{Query: row.document})
			var code graph.Code
			if len(errs) > 0 {
				code, _ = graph.PresentError(nil)(ctx, errs[0]).Extensions["code"].(graph.Code)
			}
			if code != row.code {
				t.Errorf("%q, want %q: %v", code, row.code, errs)
			}
		})
	}
}
