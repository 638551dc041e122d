package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
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

// parseOperation reads `{"query": …, "documentId": …, "operationName": …, "variables": …, "extensions": …}`; other
// members are ignored. what names the text in errors.
func parseOperation(what string, text []byte) (*operation, error) {
	if !utf8.Valid(text) {
		return nil, badRequest("%s is not in UTF-8.", what)
	}
	if bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("[")) {
		return nil, badRequest("%s is a list: operations cannot be batched, send each in a request of its own.", what)
	}
	object, err := readObject(text)
	if err != nil || object == nil {
		return nil, badRequest("%s is not a JSON object.", what)
	}
	op := new(operation)
	params := &op.params
	switch {
	case !member(object, "query", &params.Query):
		return nil, badRequest("`query` is not a string.")
	case !member(object, "documentId", &op.documentID):
		return nil, badRequest("`documentId` is not a string or null.")
	case !member(object, "operationName", &params.OperationName):
		return nil, badRequest("`operationName` is not a string or null.")
	case !member(object, "variables", &params.Variables):
		return nil, badRequest("`variables` is not an object or null.")
	case !member(object, "extensions", &params.Extensions):
		return nil, badRequest("`extensions` is not an object or null.")
	case !op.hasDocument():
		return nil, errNoQuery
	}
	return op, nil
}

// readObject reads a JSON object, or null as nil. Numbers keep their digits.
func readObject(text []byte) (object map[string]any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any // into a map would go by reflection
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows on the object")
	}
	if object, ok := value.(map[string]any); ok || value == nil {
		return object, nil
	}
	return nil, errors.New("it is no object")
}

// member puts a member into dst, which stays as it is where the member is absent or null; false where it is no T.
func member[T any](object map[string]any, name string, dst *T) (ok bool) {
	value := object[name]
	if value == nil {
		return true
	}
	*dst, ok = value.(T)
	return ok
}

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
