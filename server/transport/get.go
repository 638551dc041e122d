package transport

import (
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
)

// get takes queries in the parameters of a URL. Its length is bounded with the headers', by the HTTP server.
type get struct{ options *Options }

// Supports reports whether the request is a GET.
func (t get) Supports(r *http.Request) bool { return r.Method == http.MethodGet }

// Do answers the request.
func (t get) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	t.options.serve(w, r, exec, readURL)
}

// FromStranger reports whether a page of another site asks that CORS does not let in, as the answer's headers tell by then:
// it could not read the answer, but keep us busy in its visitor's name. What is asked by GET needs it: there is no preflight.
func FromStranger(answer http.Header, r *http.Request) bool {
	return first(r.Header, "Sec-Fetch-Site") == "cross-site" && first(answer, "Access-Control-Allow-Origin") == ""
}

func readURL(x *exchange) (*operation, error) {
	if FromStranger(x.w.Header(), x.r) {
		return nil, errStranger
	}
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("The URL's parameters cannot be read.")
	}
	op := &operation{documentID: values.Get("documentId"), byURL: true}
	params := &op.params
	params.Query, params.OperationName, params.Headers = values.Get("query"), values.Get("operationName"), x.r.Header
	if !utf8.ValidString(params.Query) || !utf8.ValidString(params.OperationName) {
		return nil, badRequest("The URL's parameters are not in UTF-8.")
	}
	if params.Variables, err = objectParameter(values, "variables"); err != nil {
		return nil, err
	}
	if params.Extensions, err = objectParameter(values, "extensions"); err != nil {
		return nil, err
	}
	if !op.hasDocument() {
		return nil, errNoQuery
	}
	return op, nil
}

// objectParameter reads a parameter that is a JSON object; nil where it is absent, empty or null.
func objectParameter(values url.Values, name string) (object map[string]any, err error) {
	text := values.Get(name)
	if text == "" {
		return nil, nil
	}
	if object, err = parseObject([]byte(text)); err != nil || !utf8.ValidString(text) {
		return nil, badRequest("`%s` is not a JSON object or null.", name)
	}
	return object, nil
}
