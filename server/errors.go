package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"sibyl/graph"
	"sibyl/server/transport"
)

// answerError answers an error outside of GraphQL in the form that GraphQL has, with a status of its own or, where that
// is 0, its code's.
func answerError(logger *slog.Logger, w http.ResponseWriter, r *http.Request, status int, err error) {
	presented := graph.PresentError(logger)(r.Context(), err)
	if status == 0 {
		status = transport.Status(presented)
	}
	h := w.Header()
	var known *graph.Error
	if errors.As(err, &known) {
		transport.AskAgain(h, known.RetryAfter)
	}
	transport.Explain(h, status)
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]gqlerror.List{"errors": {presented}})
}
