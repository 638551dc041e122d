package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// Rules are those by which documents are validated: gqlparser's, and that literals fit their types where it looks away.
// How deep questions about the schema may be nested is not among them: that is measured before, with the other limits.
func Rules() *rules.Rules {
	all := rules.NewDefaultRules()
	all.RemoveRule(rules.MaxIntrospectionDepth.Name)
	all.AddRule("LiteralsFitTheirTypes", literalsFit)
	return all
}

// RulesWithoutSuggestions are Rules whose errors name nothing of the schema that the document has not named.
func RulesWithoutSuggestions() *rules.Rules {
	all := Rules()
	for _, rule := range []core.Rule{
		rules.FieldsOnCorrectTypeRuleWithoutSuggestions,
		rules.KnownArgumentNamesRuleWithoutSuggestions,
		rules.KnownTypeNamesRuleWithoutSuggestions,
		rules.ScalarLeafsRuleWithoutSuggestions,
		rules.ValuesOfCorrectTypeRuleWithoutSuggestions,
	} {
		all.ReplaceRule(strings.TrimSuffix(rule.Name, "WithoutSuggestions"), rule.RuleFunc)
	}
	return all
}

// literalsFit refuses objects that stand for scalars or enum values, integers of more than 32 bits, and what cannot be of
// a scalar of ours. Integers that are IDs or Floats it makes such, for gqlparser reads none of more than 64 bits: its own
// rule, whose name comes later, looks at them after this one.
func literalsFit(observers *core.Events, addError core.AddErrFunc) {
	observers.OnValue(func(_ *core.Walker, value *ast.Value) {
		definition := value.Definition
		switch {
		case definition == nil, value.ExpectedType == nil, value.Kind == ast.Variable, value.Kind == ast.NullValue:
		case value.Kind == ast.ListValue && value.ExpectedType.Elem != nil: // its items come by themselves
		case value.Kind == ast.IntValue && definition.Name == "ID":
			value.Kind = ast.StringValue
		case value.Kind == ast.IntValue && definition.Name == "Float":
			value.Kind = ast.FloatValue
		case definition.Name == "Upload":
			addError(core.Message("%s", errNoUpload.Message), core.At(value.Position))
		case definition.Name == "DateTime":
			read, _ := value.Value(nil)
			if _, err := UnmarshalDateTime(read); err != nil {
				addError(core.Message("%s", err), core.At(value.Position))
			}
		case value.Kind == ast.ObjectValue && definition.Kind != ast.InputObject,
			value.Kind == ast.IntValue && definition.Name == "Int" && !isInt(value.Raw):
			addError(core.Message("%s is no %s.", value, definition.Name), core.At(value.Position))
		}
	})
}

// StrictVariables is a gqlgen extension that reads variables as the GraphQL specification wants it, before anything
// runs: gqlparser takes strings for numbers and numbers for strings, for example.
type StrictVariables struct{}

// ExtensionName is the extension's name in gqlgen.
func (StrictVariables) ExtensionName() string { return "StrictVariables" }

// Validate has nothing to say against any schema.
func (StrictVariables) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters writes whole numbers as such.
func (StrictVariables) MutateOperationParameters(_ context.Context, params *graphql.RawParams) *gqlerror.Error {
	for name, value := range params.Variables {
		params.Variables[name] = whole(value)
	}
	return nil
}

// MutateOperationContext changes nothing: it checks the variables that gqlparser has let through.
func (StrictVariables) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	if err := checkVariables(op.Operation, op.Variables); err != nil {
		return err
	}
	return checkConditions(op)
}

// whole writes the numbers in a value that are integers without fraction and exponent: `1.0` and `1e3` are integers to
// clients that know one kind of number.
func whole(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			value[name] = whole(member)
		}
	case []any:
		for i, item := range value {
			value[i] = whole(item)
		}
	case json.Number:
		const exact = 1 << 53 // up to which a float64 holds every integer
		if f, err := value.Float64(); err == nil && f == math.Trunc(f) && math.Abs(f) < exact {
			return json.Number(strconv.FormatInt(int64(f), 10))
		}
	}
	return value
}

// ExplainVariables has exec tell of a variable that gqlparser refuses in the words of StrictVariables: gqlparser's are
// for programmers in Go.
func ExplainVariables(exec graphql.GraphExecutor) graphql.GraphExecutor { return explainer{exec} }

type explainer struct{ graphql.GraphExecutor }

// CreateOperationContext is gqlgen's, which gives an operation no variables where gqlparser has refused one.
func (e explainer) CreateOperationContext(
	ctx context.Context, params *graphql.RawParams,
) (*graphql.OperationContext, gqlerror.List) {
	op, errs := e.GraphExecutor.CreateOperationContext(ctx, params)
	if op.Operation != nil && op.Variables == nil {
		if err := checkVariables(op.Operation, params.Variables); err != nil {
			return op, gqlerror.List{err}
		}
	}
	return op, errs
}

// checkVariables returns the error of the first variable that is not of its type.
func checkVariables(operation *ast.OperationDefinition, variables map[string]any) *gqlerror.Error {
	for _, variable := range operation.VariableDefinitions {
		if err := checkValue(variable.Type, variables[variable.Variable], nil); err != nil {
			err.Path = append(ast.Path{ast.PathName("variable"), ast.PathName(variable.Variable)}, err.Path...)
			err.Extensions = map[string]any{"code": string(CodeValidationFailed)}
			return err
		}
	}
	return nil
}

// checkValue checks what gqlparser does not, or has no words for; where null may be and which fields there are, it knows.
func checkValue(t *ast.Type, value any, path ast.Path) *gqlerror.Error {
	switch {
	case value == nil:
		return nil
	case t.Elem != nil:
		return checkList(t.Elem, value, path)
	}
	definition := parsedSchema.Types[t.NamedType]
	switch definition.Kind {
	case ast.InputObject:
		return checkObject(definition, value, path)
	case ast.Enum:
		if name, ok := value.(string); !ok || definition.EnumValues.ForName(name) == nil {
			return gqlerror.ErrorPathf(path, "%s is no value of %s", brief(value), t.NamedType)
		}
	case ast.Scalar:
		if err := checkScalar(t.NamedType, value); err != nil {
			return gqlerror.ErrorPathf(path, "%s", err)
		}
	}
	return nil
}

func checkList(elem *ast.Type, value any, path ast.Path) *gqlerror.Error {
	list := reflect.ValueOf(value) // of any type where gqlparser has made it of a single value
	if list.Kind() != reflect.Slice {
		return checkValue(elem, value, path)
	}
	for i := range list.Len() {
		if err := checkValue(elem, list.Index(i).Interface(), append(path, ast.PathIndex(i))); err != nil {
			return err
		}
	}
	return nil
}

func checkObject(definition *ast.Definition, value any, path ast.Path) *gqlerror.Error {
	object, isObject := value.(map[string]any)
	if !isObject {
		return gqlerror.ErrorPathf(path, "%s is no %s", brief(value), definition.Name)
	}
	if definition.Directives.ForName("oneOf") != nil && len(object) != 1 {
		return gqlerror.ErrorPathf(path, "a %s has exactly one field", definition.Name)
	}
	for _, field := range definition.Fields {
		member, given := object[field.Name]
		inside := append(path, ast.PathName(field.Name))
		if given && member == nil && definition.Directives.ForName("oneOf") != nil {
			return gqlerror.ErrorPathf(inside, "the one field of a %s cannot be null", definition.Name)
		}
		if err := checkValue(field.Type, member, inside); err != nil {
			return err
		}
	}
	return nil
}

// checkScalar returns what is wrong with a value; Uploads get theirs later, from the transport.
func checkScalar(name string, value any) error {
	if name == "DateTime" {
		_, err := UnmarshalDateTime(value)
		return err
	}
	if !isScalar(name, value) {
		return fmt.Errorf("%s is no %s", brief(value), name)
	}
	return nil
}

// isScalar tells whether a value is of a scalar of the specification; it says so of all others.
func isScalar(name string, value any) bool {
	_, isText := value.(string)
	text := ""
	switch n := value.(type) {
	case json.Number:
		text = n.String()
	case int, int64: // gqlparser's, and Go's
		text = fmt.Sprint(n)
	case float64:
		text = strconv.FormatFloat(n, 'g', -1, 64)
	}
	switch name {
	case "Int":
		return isInt(text)
	case "Float":
		f, err := strconv.ParseFloat(text, 64)
		return err == nil && isFinite(f)
	case "String":
		return isText
	case "Boolean":
		_, isBool := value.(bool)
		return isBool
	case "ID":
		return isText || text != "" && isWhole(text)
	}
	return true
}

// brief shows a value in a message: never much of it, and nothing of a file.
func brief(value any) string {
	switch value := value.(type) {
	case string:
		return fmt.Sprintf("%.64q", value)
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case Upload:
		return "a file"
	}
	return fmt.Sprintf("%.64s", fmt.Sprint(value))
}

// isWhole tells whether a number is written as an integer, of any length.
func isWhole(number string) bool { return !strings.ContainsAny(number, ".eE") }

// isInt tells whether a text is an Int, which has 32 bits.
func isInt(text string) bool {
	_, err := strconv.ParseInt(text, 10, 32)
	return err == nil
}

func isFinite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
