package graph

import (
	"context"
	"encoding"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// text is JSON that is written, and a graphql.Marshaler of it.
type text []byte

// MarshalGQL writes the text.
func (t text) MarshalGQL(w io.Writer) { _, _ = w.Write(t) }

// Write appends to the text; it never fails.
func (t *text) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	return len(p), nil
}

// WriteString appends to the text; it never fails.
func (t *text) WriteString(s string) (int, error) {
	*t = append(*t, s...)
	return len(s), nil
}

// writing is the answer to an operation, as far as it is written.
type writing struct {
	text
	ctx      context.Context
	resolver *Resolver
}

// writing begins what answers a field of the operation.
func (ec *executionContext) writing(ctx context.Context) *writing {
	return &writing{ctx: ctx, resolver: ec.Resolvers.(*Resolver)}
}

// try writes something, or nothing and reports false where write does so or panics.
func (t *writing) try(write func(*writing) bool) (written bool) {
	start := len(t.text)
	defer func() {
		if recover() != nil { // gqlgen's way panics as well, and tells of it
			written = false
		}
		if !written {
			t.text = t.text[:start]
		}
	}()
	return write(t)
}

// write writes a value, or reports false where gqlgen's way must be taken.
type write[V any] func(*writing, V) bool

// nullability says whether a place may be null.
type nullability bool

const (
	nullable nullability = false
	nonNull  nullability = true
)

// writeNull writes null where it may be.
func (n nullability) writeNull(t *writing) bool {
	t.text = append(t.text, "null"...)
	return n == nullable
}

// plainField writes what get finds in an object.
func plainField[T, V any](get func(*T) V, write write[V]) write[*T] {
	if write == nil {
		return nil
	}
	return func(t *writing, obj *T) bool { return write(t, get(obj)) }
}

// plainKnown writes a resolver's answer where known knows it.
func plainKnown[T, V any](known func(context.Context, *Resolver, *T) (V, bool), write write[V]) write[*T] {
	if write == nil {
		return nil
	}
	return func(t *writing, obj *T) bool {
		v, ok := known(t.ctx, t.resolver, obj)
		return ok && write(t, v)
	}
}

// plainObject writes objects by a plan.
func plainObject[T any](p *plan[T], null nullability) write[*T] {
	if !p.plain {
		return nil
	}
	return func(t *writing, obj *T) bool {
		if obj == nil {
			return null.writeNull(t)
		}
		return p.write(t, obj)
	}
}

// plainStruct writes objects that are no pointers by a plan.
func plainStruct[T any](p *plan[T]) write[T] {
	if !p.plain {
		return nil
	}
	return func(t *writing, obj T) bool { return p.write(t, &obj) }
}

// plainPointer writes scalars that are pointers.
func plainPointer[V any](write write[V], null nullability) write[*V] {
	return func(t *writing, v *V) bool {
		if v == nil {
			return null.writeNull(t)
		}
		return write(t, *v)
	}
}

// plainList writes lists.
func plainList[E any](write write[E], null nullability) write[[]E] {
	if write == nil {
		return nil
	}
	return func(t *writing, list []E) bool {
		if list == nil && null == nullable {
			return null.writeNull(t)
		}
		t.text = append(t.text, '[')
		start := len(t.text)
		for i, element := range list {
			if i > 0 {
				t.text = append(t.text, ',')
			}
			if !write(t, element) {
				return false
			}
			if i == 0 { // room for all, if they are about as long
				t.text = slices.Grow(t.text, (len(t.text)-start)*len(list))
			}
		}
		t.text = append(t.text, ']')
		return true
	}
}

// plainID writes IDs, whose text has nothing to escape.
func plainID[V encoding.TextAppender](t *writing, id V) bool {
	t.text = append(t.text, '"')
	b, err := id.AppendText(t.text)
	t.text = append(b, '"')
	return err == nil
}

// plainMarshaler writes scalars that know how.
func plainMarshaler[V graphql.Marshaler](t *writing, v V) bool {
	v.MarshalGQL(t)
	return true
}

// plainString writes strings as graphql.MarshalString does; most have nothing to escape.
func plainString(t *writing, s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' {
			graphql.MarshalString(s).MarshalGQL(t)
			return true
		}
	}
	t.text = append(append(append(t.text, '"'), s...), '"')
	return true
}

// plainInt writes integers.
func plainInt[V int | int32](t *writing, n V) bool {
	t.text = strconv.AppendInt(t.text, int64(n), 10)
	return true
}

// plainBoolean writes booleans.
func plainBoolean(t *writing, b bool) bool {
	t.text = strconv.AppendBool(t.text, b)
	return true
}

// plainFloat writes numbers as MarshalFloat does, which has an error for those that JSON has not.
func plainFloat(t *writing, f float64) bool {
	if !isFinite(f) {
		return false
	}
	t.text = strconv.AppendFloat(t.text, f, 'g', -1, 64)
	return true
}

// plainDateTime writes instants as MarshalDateTime does.
func plainDateTime(t *writing, at time.Time) bool {
	t.text = appendDateTime(t.text, at)
	return true
}

// plainJSON writes JSON as it is; null is gqlgen's.
func plainJSON(t *writing, value json.RawMessage) bool {
	t.text = append(t.text, value...)
	return value != nil
}
