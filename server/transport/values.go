package transport

import (
	"bytes"
	gojson "encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// JSON is read token by token: a json.Decoder takes nearly three times as long for the operation of a prediction, and by
// reflection the map of a form alone takes as long as all the rest of it.

// readText reads a text that is one value, with read, as json.Unmarshal does: of two members of a name the last, unless it
// is null, and U+FFFD for half a surrogate.
func readText(text []byte, read func(*jsontext.Decoder) error) error {
	d := decoders.Get().(*jsontext.Decoder)
	defer decoders.Put(d)
	d.Reset(bytes.NewBuffer(text), readOptions)
	defer d.Reset(nothing) // so that it does not keep the text
	if err := read(d); err != nil {
		return err
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return errNotThis
	}
	return nil
}

var (
	decoders    = sync.Pool{New: func() any { return new(jsontext.Decoder) }}
	readOptions = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	nothing     = strings.NewReader("")
)

// errNotThis is of JSON that is something else.
var errNotThis = errors.New("JSON of another kind")

// readObject reads an object; member reads the value of a member.
func readObject(d *jsontext.Decoder, member func(name string) error) error {
	return readInside(d, '{', '}', func() error {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		return member(name.String())
	})
}

// readList reads a list; item reads an item.
func readList(d *jsontext.Decoder, item func() error) error { return readInside(d, '[', ']', item) }

func readInside(d *jsontext.Decoder, begin, end jsontext.Kind, one func() error) error {
	token, err := d.ReadToken()
	if err == nil && token.Kind() != begin {
		err = errNotThis
	}
	for err == nil && d.PeekKind() != end {
		err = one()
	}
	if err == nil {
		_, err = d.ReadToken()
	}
	return err
}

// readValue reads a value as variables have it: an object as a map, a list as a slice, a number with its digits.
func readValue(d *jsontext.Decoder) (value any, err error) {
	switch d.PeekKind() {
	case '{':
		object := map[string]any{}
		return object, readObject(d, func(name string) (err error) {
			object[name], err = readValue(d)
			return err
		})
	case '[':
		list := []any{}
		err := readList(d, func() error {
			item, err := readValue(d)
			list = append(list, item)
			return err
		})
		return list, err
	}
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '"':
		return token.String(), nil
	case '0':
		return gojson.Number(token.String()), nil
	case 't', 'f':
		return token.Bool(), nil
	}
	return nil, nil
}

// parseObject reads an object, or null as nil.
func parseObject(text []byte) (object map[string]any, err error) {
	err = readText(text, func(d *jsontext.Decoder) error {
		value, err := readValue(d)
		if err != nil || value == nil {
			return err
		}
		var ok bool
		if object, ok = value.(map[string]any); !ok {
			return errNotThis
		}
		return nil
	})
	return object, err
}

// cloneObject returns an object of which nothing is the other's that could be changed; of nil, nil.
func cloneObject(object map[string]any) map[string]any {
	clone := maps.Clone(object)
	for name, value := range clone {
		clone[name] = cloneValue(value)
	}
	return clone
}

func cloneValue(value any) any {
	switch value := value.(type) {
	case map[string]any:
		return cloneObject(value)
	case []any:
		clone := slices.Clone(value)
		for i := range clone {
			clone[i] = cloneValue(clone[i])
		}
		return clone
	}
	return value
}
