package transport

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"sibyl/server/compress"
)

// retryAfter, in seconds, comes with each 503: what is full empties in less, and a server that starts or stops is
// seen by its balancer in about that time.
const retryAfter = "1"

// challenge is the WWW-Authenticate header of an answer with status 401 (RFC 6750).
const challenge = `Bearer realm="sibyl"`

// noStore is the Cache-Control of all answers, who share it: what is asked for may be another caller's the next time.
var noStore = []string{"no-store"}

// Explain sets the header that tells a client what to do about a status, where there is one.
func Explain(h http.Header, status int) {
	switch status {
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", retryAfter)
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", challenge)
	}
}

// AskAgain sets the Retry-After header, in whole seconds that are never too few, where the time is not 0.
func AskAgain(h http.Header, wait time.Duration) {
	if wait > 0 {
		h.Set("Retry-After", strconv.Itoa(wholeSeconds(wait)))
	}
}

func wholeSeconds(wait time.Duration) int { return int(math.Ceil(wait.Seconds())) }

// refuse answers a request whose operation has not run.
func (x *exchange) refuse(err error) {
	refused := refusalOf(err, errBodyTooLarge)
	if refused.allow != "" {
		x.w.Header().Set("Allow", refused.allow)
	}
	AskAgain(x.w.Header(), refused.retryAfter)
	if refused == errShuttingDown {
		x.w.Header().Set("Connection", "close") // its next request had better go elsewhere
	}
	resp := &graphql.Response{Errors: refused.list()}
	x.write(cmp.Or(refused.status, x.answer.status(resp)), resp)
}

// write sends the answer. The data were made by gqlgen and are passed on as they are: checking them again, as
// json.Marshal does with raw JSON, takes 7 ms for an image of 1 MiB.
func (x *exchange) write(status int, resp *graphql.Response) {
	sent, tail := writable(resp)
	if sent != resp {
		status, resp = http.StatusInternalServerError, sent
	}
	var head []byte
	if resp.Data != nil {
		head = []byte(`{"data":`)
	}
	if len(resp.Errors) > 0 {
		x.seen.Code = codeOf(resp.Errors[0])
	}
	h := x.w.Header()
	h["Vary"] = append(slices.Grow(h["Vary"], 2), "Accept") // Accept-Encoding follows
	parts := compress.Negotiate(x.r.Header, h).Answer(h, head, resp.Data, tail)
	h["Server-Timing"] = []string{x.timing.header(time.Since(x.began))}
	h["Content-Type"], h["Cache-Control"] = contentTypes[x.answer], noStore
	Explain(h, status)
	x.answered = true
	x.w.WriteHeader(status)
	// An error means that the client has gone: there is nobody to tell.
	for _, part := range parts {
		if _, err := x.w.Write(part); err != nil {
			return
		}
	}
}

// appendResponse appends an answer.
func appendResponse(dst []byte, resp *graphql.Response) []byte {
	resp, tail := writable(resp)
	if resp.Data != nil {
		dst = append(append(dst, `{"data":`...), resp.Data...)
	}
	return append(dst, tail...)
}

// writable returns the answer with what follows its data: another one where it cannot be written.
func writable(resp *graphql.Response) (_ *graphql.Response, tail []byte) {
	tail, err := appendTail(nil, resp)
	if err != nil {
		resp = &graphql.Response{Errors: errUnwritable.list()}
		tail, _ = appendTail(nil, resp)
	}
	return resp, tail
}

// appendTail appends what follows the data: errors, extensions and the closing brace. Where there are no data, which
// is where no operation ran, it is the whole answer.
func appendTail(dst []byte, resp *graphql.Response) ([]byte, error) {
	separator := byte(',')
	if resp.Data == nil {
		separator = '{'
	}
	if len(resp.Errors) > 0 {
		text, err := json.Marshal(resp.Errors)
		if err != nil {
			return nil, err
		}
		dst = append(append(append(dst, separator), `"errors":`...), text...)
		separator = ','
	}
	if len(resp.Extensions) > 0 {
		text, err := json.Marshal(resp.Extensions)
		if err != nil {
			return nil, err
		}
		dst = append(append(append(dst, separator), `"extensions":`...), text...)
		separator = ','
	}
	if separator == '{' {
		return nil, errors.New("an answer without data or errors")
	}
	return append(dst, '}'), nil
}

// someRootFieldSucceeded reports whether a field of the operation itself has a value, or is null without an error. It
// stops at the first that has: values are not read.
func someRootFieldSucceeded(data json.RawMessage, errs gqlerror.List) bool {
	fields := json.NewDecoder(bytes.NewReader(data))
	if start, err := fields.Token(); err != nil || start != json.Delim('{') {
		return false
	}
	for fields.More() {
		name, err := fields.Token()
		if err != nil {
			return false
		}
		value, err := fields.Token()
		if err != nil {
			return false
		}
		if value != nil || !failed(name, errs) {
			return true
		}
	}
	return false
}

// failed reports whether an error lies at or below the root field.
func failed(field json.Token, errs gqlerror.List) bool {
	for _, err := range errs {
		if rootField(err) == field {
			return true
		}
	}
	return false
}
