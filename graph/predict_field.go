package graph

import (
	"context"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"sibyl/persistence"
)

// resolvePredict resolves `predict`, which is what the service is asked most. It is _Mutation_predict without the maps in
// which gqlgen hands arguments on, its second context and its closures: a sixth of the allocations of HTTP and GraphQL.
// Middleware around fields does not see it.
func resolvePredict(ec *executionContext, ctx context.Context, field graphql.CollectedField) (answer graphql.Marshaler) {
	args, err := ec.predictArguments(ctx, field.Arguments)
	if err != nil {
		return ec._Mutation_predict(ctx, field) // which tells where the error lies
	}
	fc := &graphql.FieldContext{Object: field.ObjectDefinition.Name, Field: field, IsMethod: true, IsResolver: true}
	ctx = graphql.WithFieldContext(ctx, fc)
	defer func() {
		if v := recover(); v != nil {
			ec.Error(ctx, ec.Recover(ctx, v))
			answer = graphql.Null
		}
	}()
	r := ec.Resolvers.(*Resolver)
	var prediction *persistence.Prediction
	if err = r.mayAsk(ctx, RolePredictor); err == nil {
		prediction, err = r.predict(ctx, args.image, args.model, args.version, args.idempotencyKey)
	}
	if err != nil {
		ec.Error(ctx, graphql.AddFieldLocationToError(ctx, err))
		return graphql.Null
	}
	fc.Result = prediction
	return ec.marshalOPrediction2ᚖsibylᚋpersistenceᚐPrediction(ctx, field.Selections, prediction)
}

// predictArguments are those of `predict`.
type predictArguments struct {
	image                 Upload
	model, idempotencyKey *string
	version               *int32
}

func (ec *executionContext) predictArguments(
	ctx context.Context, given ast.ArgumentList,
) (args predictArguments, err error) {
	for _, argument := range given {
		value, err := argument.Value.Value(ec.Variables)
		if err != nil {
			return args, err
		}
		switch argument.Name {
		case "image":
			args.image, err = ec.unmarshalNUpload2sibylᚋgraphᚐUpload(ctx, value)
		case "model":
			args.model, err = ec.unmarshalOString2ᚖstring(ctx, value)
		case "version":
			args.version, err = ec.unmarshalOInt2ᚖint32(ctx, value)
		case "idempotencyKey":
			args.idempotencyKey, err = ec.unmarshalOString2ᚖstring(ctx, value)
		default:
			err = fmt.Errorf("predict has no argument %s here", argument.Name)
		}
		if err != nil {
			return args, err
		}
	}
	return args, nil
}
