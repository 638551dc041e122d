package transport

import (
	"errors"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-json-experiment/json/jsontext"
)

// jsonPost takes operations as a JSON object by POST.
type jsonPost struct{ options *Options }

// Supports reports whether the request is a POST with a JSON body.
func (t jsonPost) Supports(r *http.Request) bool {
	return r.Method == http.MethodPost && isMediaType(r, "application/json")
}

// Do answers the request.
func (t jsonPost) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	t.options.serve(w, r, exec, readJSON)
}

func readJSON(x *exchange) (*operation, error) {
	params, err := mediaParams(x.r)
	if err != nil {
		return nil, err
	}
	if !utf8Charset(params) {
		return nil, unsupportedMediaType("A JSON body must be in UTF-8.")
	}
	b, err := x.body(x.options.MaxDocumentBytes, x.options.tooLong)
	if err != nil {
		return nil, err
	}
	text, err := b.readAll(x.r.ContentLength)
	if err != nil {
		return nil, refusalOf(err, x.options.tooLong)
	}
	op, err := x.options.operation("The request's body", text)
	if err != nil {
		return nil, err
	}
	op.params.Headers = x.r.Header
	return op, nil
}

// operation reads an operation, which is the caller's own. what names the text in errors.
func (o *Options) operation(what string, text []byte) (*operation, error) {
	kept, err := o.operations.read(text, func(text []byte) (*operation, error) { return parseOperation(what, text) })
	if err != nil {
		return nil, err
	}
	own := *kept
	own.params.Variables, own.params.Extensions = cloneObject(kept.params.Variables), cloneObject(kept.params.Extensions)
	return &own, nil
}

// parseOperation reads `{"query": …, "documentId": …, "operationName": …, "variables": …, "extensions": …}`; other
// members are ignored.
func parseOperation(what string, text []byte) (*operation, error) {
	if !utf8.Valid(text) {
		return nil, badRequest("%s is not in UTF-8.", what)
	}
	op := new(operation)
	err := readText(text, func(d *jsontext.Decoder) error {
		if d.PeekKind() == '[' {
			return badRequest("%s is a list: operations cannot be batched, send each in a request of its own.", what)
		}
		return readObject(d, func(name string) error { return op.readMember(d, name) })
	})
	switch _, told := errors.AsType[*refusal](err); {
	case told:
		return nil, err
	case err != nil:
		return nil, badRequest("%s is not a JSON object.", what)
	}
	if !op.hasDocument() {
		return nil, errNoQuery
	}
	return op, nil
}

func (op *operation) readMember(d *jsontext.Decoder, name string) error {
	switch name {
	case "query":
		return readString(d, name, &op.params.Query)
	case "documentId":
		return readString(d, name, &op.documentID)
	case "operationName":
		return readString(d, name, &op.params.OperationName)
	case "variables":
		return readMap(d, name, &op.params.Variables)
	case "extensions":
		return readMap(d, name, &op.params.Extensions)
	}
	return d.SkipValue()
}

func readString(d *jsontext.Decoder, name string, dst *string) error {
	token, err := d.ReadToken()
	switch {
	case err != nil:
		return err
	case token.Kind() == '"':
		*dst = token.String()
	case token.Kind() != 'n':
		return badRequest("`%s` is not a string or null.", name)
	}
	return nil
}

func readMap(d *jsontext.Decoder, name string, dst *map[string]any) error {
	value, err := readValue(d)
	if err != nil || value == nil {
		return err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return badRequest("`%s` is not an object or null.", name)
	}
	*dst = object
	return nil
}

// isMediaType reports whether the request's body is of a media type, whatever its parameters.
func isMediaType(r *http.Request, mediaType string) bool {
	sent, _, _ := strings.Cut(first(r.Header, "Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(sent), mediaType)
}

// first is the first header of a name, or empty, as Get has it. The name is as net/http writes it, which Get would look at
// letter by letter.
func first(h http.Header, name string) string {
	if values := h[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// mediaParams are the parameters of the media type of the request's body; nil: there are none.
func mediaParams(r *http.Request) (params map[string]string, err error) {
	sent := first(r.Header, "Content-Type")
	if !strings.Contains(sent, ";") {
		return nil, nil
	}
	if _, params, err = mime.ParseMediaType(sent); err != nil {
		return nil, unsupportedMediaType("Content-Type has odd parameters.")
	}
	return params, nil
}

// utf8Charset reports whether the parameters name no other charset than UTF-8, whose name some clients write without the
// hyphen, as the Encoding Standard's labels let them.
func utf8Charset(params map[string]string) bool {
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}
