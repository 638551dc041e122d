package transport

import (
	gojson "encoding/json"
	"errors"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-json-experiment/json"
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
	tooLong := tooLarge("The request's body is larger than %d bytes.", x.options.MaxDocumentBytes)
	start := graphql.Now()
	b, err := x.body(x.options.MaxDocumentBytes, tooLong)
	if err != nil {
		return nil, err
	}
	text, ok, err := readBounded(b, x.r.ContentLength, x.options.MaxDocumentBytes)
	if err != nil {
		return nil, refusalOf(err, tooLong)
	}
	if !ok {
		return nil, tooLong
	}
	op, err := parseOperation("The request's body", text)
	if err != nil {
		return nil, err
	}
	op.params.Headers = x.r.Header
	op.params.ReadTime = graphql.TraceTiming{Start: start, End: graphql.Now()}
	return op, nil
}

// document is how an operation comes as JSON; other members are ignored.
type document struct {
	Query         string         `json:"query"`
	DocumentID    string         `json:"documentId"`
	OperationName string         `json:"operationName"`
	Variables     map[string]any `json:"variables"`
	Extensions    map[string]any `json:"extensions"`
}

// parseOperation reads a document. what names the text in errors.
func parseOperation(what string, text []byte) (*operation, error) {
	if !utf8.Valid(text) {
		return nil, badRequest("%s is not in UTF-8.", what)
	}
	var d document
	if err := readJSONText(text, &d); err != nil {
		return nil, documentError(what, err)
	}
	op := &operation{documentID: d.DocumentID, params: graphql.RawParams{
		Query: d.Query, OperationName: d.OperationName, Variables: d.Variables, Extensions: d.Extensions,
	}}
	if !op.hasDocument() {
		return nil, errNoQuery
	}
	return op, nil
}

// documentError tells what keeps a text from being a document.
func documentError(what string, err error) error {
	var wrong *json.SemanticError
	switch {
	case !errors.As(err, &wrong):
	case wrong.JSONPointer != "":
		kind := "an object or null"
		if wrong.GoType.Kind() == reflect.String {
			kind = "a string or null"
		}
		return badRequest("`%s` is not %s.", wrong.JSONPointer.LastToken(), kind)
	case wrong.JSONKind == '[':
		return badRequest("%s is a list: operations cannot be batched, send each in a request of its own.", what)
	}
	return badRequest("%s is not a JSON object.", what)
}

// readJSONText reads a JSON text into dst; null leaves it as it is. Numbers of no Go type keep their digits.
func readJSONText(text []byte, dst any) error { return json.Unmarshal(text, dst, readOptions) }

// readOptions read what has always been read: of two members of a name the last, and U+FFFD in place of half a surrogate.
var readOptions = json.JoinOptions(
	jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true),
	json.WithUnmarshalers(json.UnmarshalFromFunc(func(d *jsontext.Decoder, dst *any) error {
		if d.PeekKind() != '0' {
			return errors.ErrUnsupported
		}
		number, err := d.ReadToken()
		*dst = gojson.Number(number.String())
		return err
	})),
)

// isMediaType reports whether the request's body is of a media type, whatever its parameters.
func isMediaType(r *http.Request, mediaType string) bool {
	sent, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(sent), mediaType)
}

// mediaParams are the parameters of the media type of the request's body.
func mediaParams(r *http.Request) (params map[string]string, err error) {
	if _, params, err = mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil {
		return nil, unsupportedMediaType("Content-Type has odd parameters.")
	}
	return params, nil
}

func utf8Charset(params map[string]string) bool {
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}
