package transport

import (
	"net/http"

	"github.com/99designs/gqlgen/graphql"
)

// methods are those that the transports take together.
const methods = "GET, POST, OPTIONS"

// unsupported takes the requests that no other transport takes, and says why.
type unsupported struct{ options *Options }

// Supports reports true.
func (t unsupported) Supports(*http.Request) bool { return true }

// Do refuses the request; OPTIONS is told the methods.
func (t unsupported) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	switch r.Method {
	case http.MethodOptions:
		w.Header().Set("Allow", methods)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPost:
		t.options.serve(w, r, exec, refuseWith(unsupportedMediaType(
			"POST needs Content-Type application/json, or multipart/form-data where files are sent.")))
	default:
		t.options.serve(w, r, exec, refuseWith(methodNotAllowed(methods, "The methods here are GET and POST.")))
	}
}

func refuseWith(err error) reader {
	return func(*exchange) (*operation, error) { return nil, err }
}
