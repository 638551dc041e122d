package transport

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"sibyl/graph"
)

// A refusal is a request that is answered before its operation runs, with a status of its own.
type refusal struct {
	// status is the answer's; 0: the one that the table of statuses has for the code.
	status int
	code   graph.Code
	// message is shown to the client; it never holds what the client sent, except names of parts and paths.
	message string
	// allow is the value of the Allow header, where the method is to blame.
	allow string
	// retryAfter is when to ask again, where that is known.
	retryAfter time.Duration
}

// Error returns the message.
func (e *refusal) Error() string { return e.message }

func (e *refusal) list() gqlerror.List {
	extensions := map[string]any{"code": string(e.code)}
	if e.retryAfter > 0 { // messages of a WebSocket have no header for it
		extensions["retryAfter"] = wholeSeconds(e.retryAfter)
	}
	return gqlerror.List{{Message: e.message, Extensions: extensions}}
}

var (
	errShuttingDown      = overloaded("The server is shutting down; ask another one, or again soon.")
	errTooManyOperations = overloaded("Too many operations are in flight; ask again soon.")
	errTooManyStreams    = overloaded("Too many subscriptions are open; ask again soon.")
	errTooManyBytes      = overloaded("Too many bytes are in flight; ask again soon.")

	errDeadline = &refusal{
		status: http.StatusGatewayTimeout, code: graph.CodeDeadlineExceeded,
		message: "The operation took longer than the server allows.",
	}
	errSlowBody = &refusal{
		status: http.StatusGatewayTimeout, code: graph.CodeDeadlineExceeded,
		message: "The request's body did not arrive in time.",
	}
	errBodyTooLarge  = tooLarge("The request's body is larger than the server takes.")
	errFilesTooLarge = &refusal{
		status: http.StatusRequestEntityTooLarge, code: graph.CodeImageTooLarge,
		message: "The request's files are too large together.",
	}
	errUnwritable          = &refusal{code: graph.CodeInternal, message: "The answer could not be written."}
	errPartHeader          = tooLarge("The headers of a part are larger than %d bytes.", maxPartHeaderBytes)
	errIncompleteForm      = badRequest("The body is not a complete multipart/form-data body.")
	errMalformedPartHeader = badRequest("The headers of a part are malformed: each is a line `Name: value`.")
	errNoQuery             = badRequest("`query`, or `documentId` in its place, is missing.")

	errNoOperationName = &refusal{
		code: graph.CodeValidationFailed, message: "The document has several operations: name one of them by `operationName`.",
	}

	errOddDisposition = badRequest("The Content-Disposition of a part cannot be read: %s is expected, where a quotation mark "+
		"is sent as %%22.", "`form-data; name=\"…\"; filename=\"…\"`")
	errNotAcceptable = &refusal{
		status: http.StatusNotAcceptable, code: graph.CodeBadRequest,
		message: "Accept must allow application/graphql-response+json, application/json or text/event-stream.",
	}
	errNeedsStream = &refusal{
		status: http.StatusNotAcceptable, code: graph.CodeBadRequest,
		message: "A subscription is answered over WebSocket, or where Accept allows text/event-stream.",
	}
	errOrigin = &refusal{
		status: http.StatusForbidden, code: graph.CodeForbidden,
		message: "A WebSocket cannot be opened from a page of another origin.",
	}
	errNoPreflightHeader = &refusal{
		status: http.StatusBadRequest, code: graph.CodeCSRFPrevention,
		message: "A multipart request needs a header GraphQL-Require-Preflight, Apollo-Require-Preflight or " +
			"X-Apollo-Operation-Name that is not empty, so that no other site can send it in a visitor's name.",
	}
	errStranger = &refusal{
		status: http.StatusForbidden, code: graph.CodeCSRFPrevention,
		message: "A query by GET is not answered to the pages of other sites that are not let in by name.",
	}
)

func overloaded(message string) *refusal {
	return &refusal{status: http.StatusServiceUnavailable, code: graph.CodeOverloaded, message: message}
}

func badRequest(format string, args ...any) *refusal {
	return &refusal{status: http.StatusBadRequest, code: graph.CodeBadRequest, message: fmt.Sprintf(format, args...)}
}

// tooLarge is a body, a part or a number of files over its limit.
func tooLarge(format string, args ...any) *refusal {
	return &refusal{
		status: http.StatusRequestEntityTooLarge, code: graph.CodeBadRequest, message: fmt.Sprintf(format, args...),
	}
}

func unsupportedMediaType(format string, args ...any) *refusal {
	return &refusal{
		status: http.StatusUnsupportedMediaType, code: graph.CodeBadRequest, message: fmt.Sprintf(format, args...),
	}
}

func methodNotAllowed(allow, format string, args ...any) *refusal {
	return &refusal{
		status: http.StatusMethodNotAllowed, code: graph.CodeBadRequest, message: fmt.Sprintf(format, args...),
		allow: allow,
	}
}

// refusalOf tells why a body could not be read. tooLong is the refusal of one that is over its limit.
func refusalOf(err error, tooLong *refusal) *refusal {
	var (
		known  *refusal
		shared *graph.Error
		limit  *http.MaxBytesError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &shared):
		return &refusal{code: shared.Code, message: shared.Message, retryAfter: shared.RetryAfter}
	case errors.As(err, &limit):
		return tooLong
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errSlowBody
	default:
		return badRequest("The request's body could not be read to its end.")
	}
}
