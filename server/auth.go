package main

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"sibyl/graph"
	"sibyl/server/keys"
)

// access says who may ask, and how often. The zero value lets everybody do everything.
type access struct {
	// ring has the keys; nil: there are none.
	ring   *keys.Ring
	limit  *rateLimit
	logger *slog.Logger
	// lasting are to be run when the keys have changed.
	lasting rechecks
}

var (
	errNoKey = &graph.Error{
		Code:    graph.CodeUnauthenticated,
		Message: "This needs an API key, as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
	}
	errSeveralKeys = &graph.Error{Code: graph.CodeUnauthenticated, Message: "The request has several API keys."}
	errUnknownKey  = &graph.Error{Code: graph.CodeUnauthenticated, Message: "The API key is not known here."}
)

// authenticate tells the context who asks, by the key in the headers, or in the first message of a WebSocket, where it
// has the headers' names. Who fails too often from one address is told so; a key that is known is taken from there still.
func (a *access) authenticate(ctx context.Context, h http.Header, init map[string]any) (context.Context, error) {
	if a.ring == nil {
		return ctx, nil
	}
	caller, err := a.find(h, init)
	if err != nil {
		address := clientAddress(ctx)
		a.logger.LogAttrs(ctx, slog.LevelWarn, "not authenticated", slog.String("request_id", graph.RequestID(ctx)),
			slog.String("address", address), slog.Any("error", err))
		return ctx, or(a.limit.take(ctx, address), err)
	}
	logCaller(ctx, caller.Name)
	return graph.WithCaller(ctx, caller), nil
}

// find finds who has the key of a request.
func (a *access) find(h http.Header, init map[string]any) (*graph.Caller, error) {
	key, err := givenKey(h, init)
	if err != nil {
		return nil, err
	}
	if caller := a.ring.Find(key); caller != nil {
		return caller, nil
	}
	return nil, errUnknownKey
}

// renew is who has the caller's key now; nil: nobody.
func (a *access) renew(caller *graph.Caller) *graph.Caller { return a.ring.Renew(caller) }

// givenKey is the key of a request, which may be there more than once, but must be one.
func givenKey(h http.Header, init map[string]any) (key string, err error) {
	given := append(h.Values("X-API-Key"), bearers(h.Values("Authorization")...)...)
	for name, value := range init {
		switch text, _ := value.(string); strings.ToLower(name) {
		case "x-api-key":
			given = append(given, text)
		case "authorization":
			given = append(given, bearers(text)...)
		}
	}
	for _, one := range given {
		switch {
		case one == "": // a header or a member without a value is none
		case key != "" && one != key:
			return "", errSeveralKeys
		default:
			key = one
		}
	}
	if key == "" {
		return "", errNoKey
	}
	return key, nil
}

// bearers are the tokens of Authorization headers. Other schemes are of others: a proxy's Basic, for example.
func bearers(values ...string) (tokens []string) {
	for _, value := range values {
		if scheme, token, found := strings.Cut(value, " "); found && strings.EqualFold(scheme, "Bearer") {
			tokens = append(tokens, strings.TrimSpace(token))
		}
	}
	return tokens
}

// guard lets through whom the role allows it, and who does not ask too often.
func (a *access) guard(role graph.Role, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, err := a.authorize(w, r, role)
		if err != nil {
			answerError(a.logger, w, r, 0, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (a *access) authorize(w http.ResponseWriter, r *http.Request, role graph.Role) (context.Context, error) {
	ctx := r.Context()
	if a.ring != nil {
		w.Header().Add("Vary", "Authorization, X-API-Key")
		var err error
		if ctx, err = a.authenticate(ctx, r.Header, nil); err != nil {
			return ctx, err
		}
		if err := graph.Authorize(ctx, role); err != nil {
			return ctx, err
		}
	}
	return ctx, a.limit.take(ctx, r.RemoteAddr)
}
