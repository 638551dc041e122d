package graph

import (
	"context"
	"crypto/sha256"
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
	// KeySum is the SHA-256 of the key. It tells the key from one that has the name later.
	KeySum [sha256.Size]byte
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
func Authorize(ctx context.Context, role Role) error { return CallerOf(ctx).authorize("this", role) }

// authorize is Authorize for a caller, who may be nil. What needs the role is named in the message.
func (c *Caller) authorize(what string, role Role) error {
	switch {
	case c == nil:
		return &Error{Code: CodeUnauthenticated, Message: what + " needs an API key"}
	case !c.May(role):
		return &Error{Code: CodeForbidden, Message: fmt.Sprintf("%s needs a key with the role %s", what, role)}
	}
	return nil
}

// requires is the directive @requires of fields. Authorization has refused what it would refuse, where that is
// installed.
func (r *Resolver) requires(ctx context.Context, _ any, next graphql.Resolver, role Role) (any, error) {
	if err := r.mayAsk(ctx, role); err != nil {
		return nil, err
	}
	return next(ctx)
}

// mayAsk is Authorize where callers need roles.
func (r *Resolver) mayAsk(ctx context.Context, role Role) error {
	if !r.options.Authorize {
		return nil
	}
	return Authorize(ctx, role)
}
