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

// try writes something, or nothing and reports false where write does so or panics.
func (t *text) try(write func(*text) bool) (written bool) {
	start := len(*t)
	defer func() {
		if recover() != nil { // gqlgen's way panics as well, and tells of it
			written = false
		}
		if !written {
			*t = (*t)[:start]
		}
	}()
	return write(t)
}

// write writes a value, or reports false where gqlgen's way must be taken.
type write[V any] func(*text, V) bool

// nullability says whether a place may be null.
type nullability bool

const (
	nullable nullability = false
	nonNull  nullability = true
)

// writeNull writes null where it may be.
func (n nullability) writeNull(t *text) bool {
	*t = append(*t, "null"...)
	return n == nullable
}

// plainField writes what get finds in an object.
func plainField[T, V any](get func(*T) V, write write[V]) write[*T] {
	if write == nil {
		return nil
	}
	return func(t *text, obj *T) bool { return write(t, get(obj)) }
}

// plainKnown writes a resolver's answer where known knows it.
func plainKnown[T, V any](
	ctx context.Context, ec *executionContext, known func(context.Context, *Resolver, *T) (V, bool), write write[V],
) write[*T] {
	if write == nil {
		return nil
	}
	r := ec.Resolvers.(*Resolver)
	return func(t *text, obj *T) bool {
		v, ok := known(ctx, r, obj)
		return ok && write(t, v)
	}
}

// plainObject writes objects by a plan.
func plainObject[T any](p *plan[T], null nullability) write[*T] {
	if !p.plain {
		return nil
	}
	return func(t *text, obj *T) bool {
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
	return func(t *text, obj T) bool { return p.write(t, &obj) }
}

// plainPointer writes scalars that are pointers.
func plainPointer[V any](write write[V], null nullability) write[*V] {
	return func(t *text, v *V) bool {
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
	return func(t *text, list []E) bool {
		if list == nil && null == nullable {
			return null.writeNull(t)
		}
		*t = append(*t, '[')
		start := len(*t)
		for i, element := range list {
			if i > 0 {
				*t = append(*t, ',')
			}
			if !write(t, element) {
				return false
			}
			if i == 0 { // room for all, if they are about as long
				*t = slices.Grow(*t, (len(*t)-start)*len(list))
			}
		}
		*t = append(*t, ']')
		return true
	}
}

// plainID writes IDs, whose text has nothing to escape.
func plainID[V encoding.TextAppender](t *text, id V) bool {
	*t = append(*t, '"')
	b, err := id.AppendText(*t)
	*t = append(b, '"')
	return err == nil
}

// plainMarshaler writes scalars that know how.
func plainMarshaler[V graphql.Marshaler](t *text, v V) bool {
	v.MarshalGQL(t)
	return true
}

// plainString writes strings as graphql.MarshalString does; most have nothing to escape.
func plainString(t *text, s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' {
			graphql.MarshalString(s).MarshalGQL(t)
			return true
		}
	}
	*t = append(append(append(*t, '"'), s...), '"')
	return true
}

// plainInt writes integers.
func plainInt[V int | int32](t *text, n V) bool {
	*t = strconv.AppendInt(*t, int64(n), 10)
	return true
}

// plainBoolean writes booleans.
func plainBoolean(t *text, b bool) bool {
	*t = strconv.AppendBool(*t, b)
	return true
}

// plainFloat writes numbers as MarshalFloat does, which has an error for those that JSON has not.
func plainFloat(t *text, f float64) bool {
	if !isFinite(f) {
		return false
	}
	*t = strconv.AppendFloat(*t, f, 'g', -1, 64)
	return true
}

// plainDateTime writes instants as MarshalDateTime does.
func plainDateTime(t *text, at time.Time) bool {
	*t = appendDateTime(*t, at)
	return true
}

// plainJSON writes JSON as it is; null is gqlgen's.
func plainJSON(t *text, value json.RawMessage) bool {
	*t = append(*t, value...)
	return value != nil
}
