package graph

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
)

// Role is what a caller may do. The schema names the one that a field needs, with @requires.
type Role string

// The roles; RoleAdmin may do what every other may, too.
const (
	RoleReader    Role = "READER"
	RolePredictor Role = "PREDICTOR"
	RoleLabeller  Role = "LABELLER"
	RoleAdmin     Role = "ADMIN"
)

// Roles are all there are.
var Roles = []Role{RoleReader, RolePredictor, RoleLabeller, RoleAdmin}

// UnmarshalGQL reads a role of the schema.
func (r *Role) UnmarshalGQL(v any) error {
	name, _ := v.(string)
	if *r = Role(name); !slices.Contains(Roles, *r) {
		return fmt.Errorf("%q is no Role", name)
	}
	return nil
}

// MarshalGQL writes a role as the schema has it.
func (r Role) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(string(r))) }

// Caller is who sent a request.
type Caller struct {
	// Name is that of the caller's key, and goes to the log.
	Name  string
	Roles []Role
}

// May reports whether the caller has the role.
func (c *Caller) May(role Role) bool {
	return slices.Contains(c.Roles, role) || slices.Contains(c.Roles, RoleAdmin)
}

type callerKey struct{}

// WithCaller tells the operations of a context who asks.
func WithCaller(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns who asks; nil where WithCaller did not tell.
func CallerOf(ctx context.Context) *Caller {
	caller, _ := ctx.Value(callerKey{}).(*Caller)
	return caller
}

// Authorize returns the error of a context whose caller lacks the role: UNAUTHENTICATED where there is none, else
// FORBIDDEN.
func Authorize(ctx context.Context, role Role) error {
	switch caller := CallerOf(ctx); {
	case caller == nil:
		return &Error{Code: CodeUnauthenticated, Message: "this needs an API key"}
	case !caller.May(role):
		return &Error{Code: CodeForbidden, Message: fmt.Sprintf("this needs a key with the role %s", role)}
	}
	return nil
}

// requires is the directive @requires of fields.
func (r *Resolver) requires(ctx context.Context, _ any, next graphql.Resolver, role Role) (any, error) {
	if r.options.Authorize {
		if err := Authorize(ctx, role); err != nil {
			return nil, err
		}
	}
	return next(ctx)
}
