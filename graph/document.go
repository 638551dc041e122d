package graph

import (
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"
)

// CheckDocument returns the first error that keeps a document from the schema, whatever its variables are; nil: there is
// none.
func CheckDocument(document *ast.QueryDocument) *gqlerror.Error {
	prepareSchema()
	if errs := validator.ValidateWithRules(parsedSchema, document, Rules()); len(errs) > 0 {
		return errs[0]
	}
	return nil
}
