package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/core"

	"sibyl/inference"
	"sibyl/persistence"
)

// Code is the `extensions.code` of an error.
type Code string

// The codes that clients see.
const (
	CodeParseFailed          Code = "GRAPHQL_PARSE_FAILED"
	CodeValidationFailed     Code = "GRAPHQL_VALIDATION_FAILED"
	CodePersistedNotFound    Code = "PERSISTED_QUERY_NOT_FOUND"
	CodePersistedUnsupported Code = "PERSISTED_QUERY_NOT_SUPPORTED"
	CodeTokenLimit           Code = "TOKEN_LIMIT_EXCEEDED"
	CodeDepthLimit           Code = "DEPTH_LIMIT_EXCEEDED"
	CodeAliasLimit           Code = "ALIAS_LIMIT_EXCEEDED"
	CodeRootFieldLimit       Code = "ROOT_FIELD_LIMIT_EXCEEDED"
	CodeDirectiveLimit       Code = "DIRECTIVE_LIMIT_EXCEEDED"
	CodeComplexityLimit      Code = "COMPLEXITY_LIMIT_EXCEEDED"
	CodeIntrospectionLimit   Code = "INTROSPECTION_LIMIT_EXCEEDED"
	CodeBadRequest           Code = "BAD_REQUEST"
	CodeCSRFPrevention       Code = "CSRF_PREVENTION"
	CodeBadUserInput         Code = "BAD_USER_INPUT"
	CodeUnsupportedMediaType Code = "UNSUPPORTED_MEDIA_TYPE"
	CodeInvalidImage         Code = "INVALID_IMAGE"
	CodeImageTooLarge        Code = "IMAGE_TOO_LARGE"
	CodeNotFound             Code = "NOT_FOUND"
	CodeModelNotFound        Code = "MODEL_NOT_FOUND"
	CodeModelNotReady        Code = "MODEL_NOT_READY"
	CodeIdempotencyConflict  Code = "IDEMPOTENCY_CONFLICT"
	CodeResponseTooLarge     Code = "RESPONSE_TOO_LARGE"
	CodeOverloaded           Code = "OVERLOADED"
	CodeDeadlineExceeded     Code = "DEADLINE_EXCEEDED"
	CodeUnavailable          Code = "UNAVAILABLE"
	CodeUnauthenticated      Code = "UNAUTHENTICATED"
	CodeForbidden            Code = "FORBIDDEN"
	CodeRateLimited          Code = "RATE_LIMITED"
	CodeInternal             Code = "INTERNAL_SERVER_ERROR"
)

// StoredYes is the `extensions.stored` of an error below a mutation that was done.
const StoredYes = "yes"

// Error is an error that a client may see as it is: a code and a message.
type Error struct {
	Code    Code
	Message string
	// Stored is `unknown` where it is in doubt whether the prediction was stored; else empty.
	Stored string
	// RetryAfter is when to ask again, where that is known: the Retry-After header tells it.
	RetryAfter time.Duration
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

func badUserInput(format string, args ...any) error {
	return &Error{Code: CodeBadUserInput, Message: fmt.Sprintf(format, args...)}
}

// sentinels say what the errors of the packages below mean to a client. Where there is no message, the error's own is
// fit for a client.
var sentinels = []struct {
	err     error
	code    Code
	message string
}{
	{inference.ErrModelNotFound, CodeModelNotFound, ""},
	{inference.ErrModelNotReady, CodeModelNotReady, ""},
	{inference.ErrModelAmbiguous, CodeBadUserInput, ""},
	{inference.ErrUnsupportedMediaType, CodeUnsupportedMediaType, ""},
	{inference.ErrInvalidImage, CodeInvalidImage, ""},
	{inference.ErrImageTooLarge, CodeImageTooLarge, ""},
	{inference.ErrOverloaded, CodeOverloaded, "too many predictions are waiting: try again shortly"},
	{persistence.ErrOverloaded, CodeOverloaded, "too many predictions wait to be stored: try again shortly"},
	{
		persistence.ErrSlowSubscriber, CodeOverloaded,
		"predictions came faster than they were taken: subscribe again, and read what was missed with `predictions`",
	},
	{inference.ErrUnavailable, CodeUnavailable, "the server that runs the model cannot be reached, or has another model: try again shortly"},
	{inference.ErrClosed, CodeUnavailable, "the server is shutting down"},
	{persistence.ErrNotFound, CodeNotFound, "it could not be found"},
	{persistence.ErrInvalidText, CodeBadUserInput, "a text must be valid UTF-8 without NUL"},
	{persistence.ErrStoredUnknown, CodeUnavailable, "the database was lost while storing: it is unknown whether it did"},
	{persistence.ErrImagesUnavailable, CodeUnavailable, "the image store cannot be reached: try again shortly"},
	{persistence.ErrImageDamaged, CodeUnavailable, "the image store has not the image that was stored"},
	{persistence.ErrNoImageStore, CodeUnavailable, "the image is in a store that this server is not configured with"},
	{persistence.ErrUnavailable, CodeUnavailable, "the database cannot be reached: try again shortly"},
	{context.DeadlineExceeded, CodeDeadlineExceeded, "the operation took too long and was stopped"},
	{context.Canceled, CodeDeadlineExceeded, "the operation was cancelled"},
}

// clientError returns what a client may know of err, or nil where that is nothing.
func clientError(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	for _, s := range sentinels {
		if !errors.Is(err, s.err) {
			continue
		}
		e := &Error{Code: s.code, Message: s.message}
		if e.Message == "" {
			e.Message = err.Error()
		}
		if s.err == persistence.ErrStoredUnknown {
			e.Stored = "unknown"
		}
		return e
	}
	return nil
}

// PresentError returns the function through which every error goes to the client. It gives each a code, and to what a
// client must not see a message that says nothing, and the request's ID, under which logger has it whole. No message is
// long, whatever it repeats of the request.
func PresentError(logger *slog.Logger) graphql.ErrorPresenterFunc {
	present := presentError(logger)
	return func(ctx context.Context, err error) *gqlerror.Error {
		presented := present(ctx, err)
		atField(ctx, presented)
		atVariable(ctx, presented)
		tellStored(ctx, presented)
		presented.Message = shorten(presented.Message)
		return presented
	}
}

// atField puts the error of an argument that could not be read at its field, as the specification wants it: clients look for
// a path's end in the answer, where there are no arguments. The message says which one it was.
func atField(ctx context.Context, e *gqlerror.Error) {
	field := graphql.GetFieldContext(ctx)
	if field == nil || !wrongArgument(ctx, e.Path) {
		return
	}
	end := len(graphql.GetPath(ctx))
	argument, _ := e.Path[end].(ast.PathName)
	if field.Field.Definition == nil || field.Field.Definition.Arguments.ForName(string(argument)) == nil {
		return
	}
	e.Message = e.Path[end:].String() + ": " + e.Message
	e.Path = e.Path[:end]
	if len(e.Locations) == 0 {
		core.At(field.Field.Position)(e)
	}
}

// tellStored says of an error below a mutation's field that the mutation was done, before what was asked of its outcome
// failed. That can take all of the answer with it, and with it the only sign of what is stored.
func tellStored(ctx context.Context, e *gqlerror.Error) {
	if len(e.Path) < 2 || e.Extensions["stored"] != nil || graphql.GetFieldContext(ctx) == nil {
		return
	}
	if op := graphql.GetOperationContext(ctx).Operation; op != nil && op.Operation == ast.Mutation {
		e.Extensions["stored"] = StoredYes
	}
}

// atVariable puts the error of a variable at its definition. gqlparser tells in the path which one it was, where a path leads
// through the answer, which has nothing of it; people see the message alone.
func atVariable(ctx context.Context, e *gqlerror.Error) {
	if len(e.Path) < 2 || e.Path[0] != ast.PathName("variable") || graphql.GetFieldContext(ctx) != nil ||
		!graphql.HasOperationContext(ctx) {
		return
	}
	name, _ := e.Path[1].(ast.PathName)
	operation := graphql.GetOperationContext(ctx).Operation
	if operation == nil {
		return
	}
	e.Message = "Variable $" + e.Path[1:].String() + ": " + e.Message
	e.Path = nil
	if variable := operation.VariableDefinitions.ForName(string(name)); variable != nil {
		core.At(variable.Position)(e)
	}
}

// maxMessageLength is how many characters of a message a client is told.
const maxMessageLength = 500

// shorten returns the beginning of a long text.
func shorten(text string) string {
	length := 0
	for i := range text {
		if length == maxMessageLength {
			return text[:i] + "…"
		}
		length++
	}
	return text
}

func presentError(logger *slog.Logger) graphql.ErrorPresenterFunc {
	return func(ctx context.Context, err error) *gqlerror.Error {
		presented := graphql.DefaultErrorPresenter(ctx, err)
		if known := clientError(unlocated(err)); known != nil {
			if known.Code == CodeUnavailable {
				logError(ctx, logger, slog.LevelWarn, "unavailable", presented)
			}
			presented.Message = known.Message
			return extend(presented, known.Code, known.Stored)
		}
		if code, ok := presented.Extensions["code"].(string); ok {
			return extend(presented, Code(code), "")
		}
		if wrongArgument(ctx, presented.Path) {
			return extend(presented, CodeValidationFailed, "")
		}
		logError(ctx, logger, slog.LevelError, "internal error", presented)
		presented.Message = "internal server error"
		presented.Extensions = map[string]any{"requestId": RequestID(ctx)}
		return extend(presented, CodeInternal, "")
	}
}

// logError tells the operator what the client is not told.
func logError(ctx context.Context, logger *slog.Logger, level slog.Level, message string, err *gqlerror.Error) {
	attrs := []slog.Attr{
		slog.String("request_id", RequestID(ctx)), slog.String("path", err.Path.String()), slog.Any("error", unlocated(err)),
	}
	if caller := CallerOf(ctx); caller != nil {
		attrs = append(attrs, slog.String("caller", caller.Name))
	}
	logger.LogAttrs(ctx, level, message, attrs...)
}

// unlocated takes away the place in the document, which gqlgen's errors have in their text and we have beside it.
func unlocated(err error) error {
	var located *gqlerror.Error
	if errors.As(err, &located) && located.Err != nil {
		return located.Err
	}
	return err
}

// wrongArgument tells that the path of an error leads on from its field to one of the field's arguments, which gqlgen
// could not read: there are enum values whose variable is null in the place of a default.
func wrongArgument(ctx context.Context, path ast.Path) bool {
	field := graphql.GetPath(ctx)
	if len(path) <= len(field) {
		return false
	}
	_, named := path[len(field)].(ast.PathName)
	return named
}

func extend(e *gqlerror.Error, code Code, stored string) *gqlerror.Error {
	if e.Extensions == nil {
		e.Extensions = map[string]any{}
	}
	e.Extensions["code"] = code
	if stored != "" {
		e.Extensions["stored"] = stored
	}
	return e
}

// Recover returns the function that turns a panic of a resolver into an internal error, and gives logger its stack.
func Recover(logger *slog.Logger) graphql.RecoverFunc {
	return func(ctx context.Context, panicked any) error {
		logger.LogAttrs(ctx, slog.LevelError, "panic",
			slog.String("request_id", RequestID(ctx)), slog.Any("panic", panicked), slog.String("stack", string(debug.Stack())))
		return errors.New("panic in a resolver")
	}
}

type requestIDKey struct{}

// WithRequestID gives the context of a request its ID, which internal errors tell the client.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the ID that WithRequestID gave; empty where it did not.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
