package export

import (
	"encoding/base64"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// csv writes what RFC 4180 says, with a header line. NULL is nothing, and an empty text is "", as PostgreSQL's COPY has
// it; lists and tensors are JSON in a field.
type csv struct {
	w      io.Writer
	images bool
	// row is the one that is written, and fields point into it.
	row    imageRow
	fields []any
	line   []byte
}

func newCSV(w io.Writer, images bool) (*csv, error) {
	c := &csv{w: w, images: images}
	c.addFields(reflect.ValueOf(&c.row.row).Elem())
	if images {
		c.addFields(reflect.ValueOf(&c.row).Elem())
	}
	_, err := w.Write(append(c.line, '\r', '\n'))
	return c, err
}

// addFields adds the fields of a struct but for its embedded one, and their names to the line, which is the header.
func (c *csv) addFields(of reflect.Value) {
	for i := range of.NumField() {
		field := of.Type().Field(i)
		if field.Anonymous {
			continue
		}
		if len(c.fields) > 0 {
			c.line = append(c.line, ',')
		}
		c.line = append(c.line, field.Tag.Get("json")...)
		c.fields = append(c.fields, of.Field(i).Addr().Interface())
	}
}

func (c *csv) encode(r row, image []byte) error {
	c.row = imageRow{r, image}
	c.row.Filename = inert(r.Filename)
	c.line = c.line[:0]
	for i, field := range c.fields {
		if i > 0 {
			c.line = append(c.line, ',')
		}
		c.line = appendField(c.line, field)
	}
	_, err := c.w.Write(append(c.line, '\r', '\n'))
	return err
}

func (c *csv) close() error { return nil }

// inert puts an apostrophe before a filename that a spreadsheet would take for a formula: strangers choose it, and CSV is
// what people open in one. Blanks before it are no protection, and fullwidth signs none in some languages. The other
// formats have it as it was sent.
func inert(filename *string) *string {
	if filename == nil || *filename == "" {
		return filename
	}
	first, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(*filename, unicode.IsSpace))
	if !strings.ContainsRune("\t\r", rune((*filename)[0])) && !strings.ContainsRune("=+-@＝＋－＠", first) {
		return filename
	}
	safe := "'" + *filename
	return &safe
}

// appendField appends the value that field points to.
func appendField(line []byte, field any) []byte {
	switch v := field.(type) {
	case *string:
		return appendText(line, *v)
	case **string:
		return appendOptional(line, *v, appendText)
	case *int32:
		return appendInteger(line, *v)
	case **int32:
		return appendOptional(line, *v, appendInteger)
	case *int64:
		return strconv.AppendInt(line, *v, 10)
	case **float64:
		return appendOptional(line, *v, appendNumber)
	case *bool:
		return strconv.AppendBool(line, *v)
	case **bool:
		return appendOptional(line, *v, strconv.AppendBool)
	case *instant:
		return v.append(line)
	case **instant:
		return appendOptional(line, *v, func(line []byte, at instant) []byte { return at.append(line) })
	case *numbers:
		return appendNumbers(line, *v)
	case *jsonText:
		return appendText(line, string(*v))
	case *[]byte:
		return base64.StdEncoding.AppendEncode(line, *v)
	}
	panic(fmt.Sprintf("no way to write a %T", field))
}

func appendOptional[T any](line []byte, v *T, appendValue func([]byte, T) []byte) []byte {
	if v == nil {
		return line
	}
	return appendValue(line, *v)
}

func appendInteger(line []byte, n int32) []byte { return strconv.AppendInt(line, int64(n), 10) }

func appendNumber(line []byte, x float64) []byte { return strconv.AppendFloat(line, x, 'g', -1, 64) }

func appendNumbers(line []byte, list numbers) []byte {
	if list == nil {
		return line
	}
	line = append(line, '"', '[')
	for i, x := range list {
		if i > 0 {
			line = append(line, ',')
		}
		line = appendNumber(line, x)
	}
	return append(line, ']', '"')
}

// appendText quotes a text where it has to be, or where it is empty: NULL is not quoted.
func appendText(line []byte, text string) []byte {
	if text != "" && !strings.ContainsAny(text, ",\"\r\n") && strings.TrimSpace(text) == text {
		return append(line, text...)
	}
	line = append(line, '"')
	for {
		before, after, quoted := strings.Cut(text, `"`)
		line = append(line, before...)
		if !quoted {
			return append(line, '"')
		}
		line, text = append(line, `""`...), after
	}
}
