// Command generate makes the code of package graph from its schema: gqlgen's own, and with it graph/plan_gen.go, by
// which fields that need no resolver are written straight into the answer (see graph/plan.go). It is run in the root
// of the repository, by `make generate`.
package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"

	"github.com/99designs/gqlgen/api"
	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
	"github.com/99designs/gqlgen/codegen/templates"
	"github.com/vektah/gqlparser/v2/ast"
)

//go:embed plan.gotpl
var plainTemplate string

// known are the resolvers that often know the answer without waiting, each with the function of package graph that
// tells it.
var known = map[string]string{
	"Prediction.input": "knownInput",
	"Prediction.model": "knownModel",
	"Input.image":      "knownImage",
	"ModelVersion.id":  "knownVersionID",
}

// scalars are the functions of package graph that write what a marshal function of gqlgen or of ours does.
var scalars = map[string]string{
	"github.com/99designs/gqlgen/graphql.MarshalString":  "plainString",
	"github.com/99designs/gqlgen/graphql.MarshalID":      "plainString",
	"github.com/99designs/gqlgen/graphql.MarshalInt":     "plainInt[int]",
	"github.com/99designs/gqlgen/graphql.MarshalBoolean": "plainBoolean",
	"sibyl/graph.MarshalInt32":                           "plainInt[int32]",
	"sibyl/graph.MarshalFloat":                           "plainFloat",
	"sibyl/graph.MarshalDateTime":                        "plainDateTime",
	"sibyl/graph.MarshalJSON":                            "plainJSON",
}

func main() {
	if err := generate(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func generate() error {
	cfg, err := config.LoadConfigFromDefaultLocations()
	if err != nil {
		return err
	}
	return api.Generate(cfg, api.AddPlugin(plain{}))
}

// plain is the gqlgen plugin that renders plan_gen.go.
type plain struct{}

// Name is the plugin's name in gqlgen.
func (plain) Name() string { return "plain" }

// GenerateCode renders the file. It runs before gqlgen renders generated.go, and takes the functions out of that which
// are in ours instead: those that marshal objects and lists of them.
func (plain) GenerateCode(data *codegen.Data) error {
	ours := outline{Roots: []*codegen.Object{data.QueryRoot, data.MutationRoot}, Inputs: data.Inputs}
	for _, object := range data.Objects {
		if !object.Root && !object.BuiltIn {
			ours.Objects = append(ours.Objects, object)
		}
	}
	for key, reference := range data.ReferencedTypes {
		if isObject(reference) {
			ours.Marshaled = append(ours.Marshaled, reference)
			delete(data.ReferencedTypes, key)
		}
	}
	return templates.Render(templates.Options{
		PackageName:     data.Config.Exec.Package,
		Filename:        filepath.Join(data.Config.Exec.Dir(), "plan_gen.go"),
		Template:        plainTemplate,
		Data:            ours.sorted(),
		GeneratedHeader: true,
		Packages:        data.Config.Packages,
		PruneOptions:    data.Config.GetPruneOptions(),
		Funcs: map[string]any{
			"get": get, "known": knownBy, "writer": writer, "objectWriter": objectWriter, "null": null, "elem": elem,
		},
	})
}

// isObject tells objects of ours and lists of them.
func isObject(t *config.TypeReference) bool {
	return t.Definition.Kind == ast.Object && !t.Definition.BuiltIn && !t.IsRoot
}
