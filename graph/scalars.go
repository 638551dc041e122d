package graph

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// dateTimeLayout is RFC 3339 with whole milliseconds.
const dateTimeLayout = "2006-01-02T15:04:05.000Z"

// MarshalDateTime writes an instant in UTC with three fractional digits.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		var buffer [len(dateTimeLayout) + 2]byte
		_, _ = w.Write(appendDateTime(buffer[:0], t))
	})
}

// appendDateTime appends an instant with its quotes. package time has a fast way for RFC 3339, but not with milliseconds.
func appendDateTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	b = t.AppendFormat(append(b, '"'), time.RFC3339)
	milliseconds := t.Nanosecond() / int(time.Millisecond)
	return append(b[:len(b)-len("Z")],
		'.', byte('0'+milliseconds/100), byte('0'+milliseconds/10%10), byte('0'+milliseconds%10), 'Z', '"')
}

// UnmarshalDateTime reads any RFC 3339 instant. What it refuses is refused before anything runs: as a literal by Rules, as
// a variable by StrictVariables.
func UnmarshalDateTime(v any) (time.Time, error) {
	text, ok := v.(string)
	if !ok {
		return time.Time{}, &Error{Code: CodeValidationFailed, Message: "a DateTime is a string in RFC 3339 form"}
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	// The package takes a comma for a point, and hours of one digit.
	if err != nil || strings.Contains(text, ",") || text[len("2006-01-02T15")] != ':' {
		return time.Time{}, &Error{Code: CodeValidationFailed, Message: fmt.Sprintf(
			"%.64q is no DateTime in RFC 3339 form, for example %q", text, dateTimeLayout)}
	}
	return t, nil
}

// MarshalFloat writes a number. What is none, and infinity, is an error: JSON has no such number.
func MarshalFloat(f float64) graphql.ContextMarshaler {
	return graphql.ContextWriterFunc(func(_ context.Context, w io.Writer) error {
		if !isFinite(f) {
			return fmt.Errorf("%v is no Float", f)
		}
		var buffer [24]byte
		_, err := w.Write(strconv.AppendFloat(buffer[:0], f, 'g', -1, 64))
		return err
	})
}

// UnmarshalFloat reads a finite number.
func UnmarshalFloat(_ context.Context, v any) (float64, error) {
	f, err := graphql.UnmarshalFloat(v)
	if !isScalar("Float", v) || err != nil {
		return 0, &Error{Code: CodeValidationFailed, Message: "a Float is a finite number"}
	}
	return f, nil
}

// MarshalInt32 writes a number.
func MarshalInt32(n int32) graphql.Marshaler { return graphql.MarshalInt32(n) }

// UnmarshalInt32 reads a whole number of 32 bits. It is null only where a variable is that takes the place of a default.
func UnmarshalInt32(v any) (int32, error) {
	if v == nil {
		return 0, &Error{Code: CodeValidationFailed, Message: "it cannot be null"}
	}
	n, err := graphql.UnmarshalInt32(v)
	if !isScalar("Int", v) || err != nil {
		return 0, &Error{Code: CodeValidationFailed, Message: "an Int is a whole number of 32 bits"}
	}
	return n, nil
}

// MarshalJSON writes JSON text as it is.
func MarshalJSON(value json.RawMessage) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) { _, _ = w.Write(value) })
}

// UnmarshalJSON is only for gqlgen, which wants both ways: no argument is a JSON.
func UnmarshalJSON(v any) (json.RawMessage, error) { return json.Marshal(v) }

// DataURL is bytes that are written as a `data:` URL in Base64 (RFC 2397).
type DataURL struct {
	ContentType string
	Bytes       []byte
}

// MarshalGQL writes the URL as a GraphQL string, without a copy of all of it in between.
func (u DataURL) MarshalGQL(w io.Writer) {
	_, _ = io.WriteString(w, `"data:`+u.ContentType+`;base64,`)
	encoder := base64.NewEncoder(base64.StdEncoding, w)
	_, _ = encoder.Write(u.Bytes)
	_ = encoder.Close()
	_, _ = io.WriteString(w, `"`)
}

// UnmarshalGQL is only for gqlgen, which wants both ways: no argument is a DataURL.
func (u *DataURL) UnmarshalGQL(any) error { return badUserInput("a data URL is no argument") }
