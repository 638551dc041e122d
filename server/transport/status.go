package transport

import (
	"cmp"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"sibyl/graph"
)

// statuses are those of an answer in which no root field succeeded, by the code of its errors. Codes that are not here
// have 200: the operation was sound, and the answer says what became of it.
var statuses = map[graph.Code]int{
	graph.CodeBadRequest:       http.StatusBadRequest,
	graph.CodeCSRFPrevention:   http.StatusBadRequest,
	graph.CodeUnauthenticated:  http.StatusUnauthorized,
	graph.CodeForbidden:        http.StatusForbidden,
	graph.CodeRateLimited:      http.StatusTooManyRequests,
	graph.CodeModelNotReady:    http.StatusServiceUnavailable,
	graph.CodeOverloaded:       http.StatusServiceUnavailable,
	graph.CodeUnavailable:      http.StatusServiceUnavailable,
	graph.CodeDeadlineExceeded: http.StatusGatewayTimeout,
	graph.CodeInternal:         http.StatusInternalServerError,
}

// Status is that of an error outside of GraphQL, where no operation is sound whatever its arguments are.
func Status(err *gqlerror.Error) int {
	code := codeOf(err)
	if code == graph.CodeBadUserInput {
		return http.StatusBadRequest
	}
	return cmp.Or(statuses[code], http.StatusInternalServerError)
}

// documentCodes tell that the document or its variables were at fault, so that nothing ran. Clients that only know
// application/json take any status but 200 as a broken connection; the others are told 400.
var documentCodes = map[graph.Code]bool{
	graph.CodeParseFailed:          true,
	graph.CodeValidationFailed:     true,
	graph.CodePersistedNotFound:    true,
	graph.CodePersistedUnsupported: true,
	graph.CodeTokenLimit:           true,
	graph.CodeDepthLimit:           true,
	graph.CodeAliasLimit:           true,
	graph.CodeRootFieldLimit:       true,
	graph.CodeDirectiveLimit:       true,
	graph.CodeComplexityLimit:      true,
	graph.CodeIntrospectionLimit:   true,
}

// status is the answer's: 200 where some root field succeeded, or a mutation was done, which clients and proxies would send
// again after another; else the highest of its errors'.
func (t answerType) status(resp *graphql.Response) int {
	status := http.StatusOK
	if len(resp.Errors) == 0 || someRootFieldSucceeded(resp.Data, resp.Errors) {
		return status
	}
	for _, err := range resp.Errors {
		if err.Extensions["stored"] == graph.StoredYes {
			return http.StatusOK
		}
		status = max(status, t.statusOf(err))
	}
	return status
}

func (t answerType) statusOf(err *gqlerror.Error) int {
	code := codeOf(err)
	if documentCodes[code] && t == graphqlResponse {
		return http.StatusBadRequest
	}
	return max(http.StatusOK, statuses[code])
}

// codeOf is the error's `extensions.code`, which is a graph.Code or, where gqlgen set it, a string.
func codeOf(err *gqlerror.Error) graph.Code {
	switch code := err.Extensions["code"].(type) {
	case graph.Code:
		return code
	case string:
		return graph.Code(code)
	default:
		return ""
	}
}

// rootField is the name in the answer of the root field an error belongs to; nil where it belongs to none.
func rootField(err *gqlerror.Error) any {
	if len(err.Path) == 0 {
		return nil
	}
	name, ok := err.Path[0].(ast.PathName)
	if !ok {
		return nil
	}
	return string(name)
}
