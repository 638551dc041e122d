package transport

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// The types of messages.
const (
	typeInit      = "connection_init"
	typeAck       = "connection_ack"
	typePing      = "ping"
	typePong      = "pong"
	typeSubscribe = "subscribe"
	typeNext      = "next"
	typeError     = "error"
	typeComplete  = "complete"
)

// What a connection is closed with.
const (
	closeInvalid      websocket.StatusCode = 4400
	closeUnauthorized websocket.StatusCode = 4401
	closeForbidden    websocket.StatusCode = 4403
	closeSubprotocol  websocket.StatusCode = 4406
	closeInitTimeout  websocket.StatusCode = 4408
	closeExists       websocket.StatusCode = 4409
	closeTooManyInits websocket.StatusCode = 4429
	closeInternal     websocket.StatusCode = 4500
)

// maxReasonBytes is how long the reason of a close frame may be (RFC 6455, 5.5).
const maxReasonBytes = 123

// closeError ends the connection.
type closeError struct {
	code websocket.StatusCode
	// reason is at most maxReasonBytes long.
	reason string
}

// Error returns the reason.
func (e *closeError) Error() string { return e.reason }

var (
	errInvalidMessage = &closeError{closeInvalid, "Invalid message"}
	errUnauthorized   = &closeError{closeUnauthorized, "Unauthorized"}
	// errForbidden is of a key that is unknown, from the beginning or since it was taken away. Clients come again after it,
	// maybe with another key; after 4401, which is theirs who begin operations too early, they do not.
	errForbidden    = &closeError{closeForbidden, "Forbidden"}
	errTooManyInits = &closeError{closeTooManyInits, "Too many initialisation requests"}
	errInternal     = &closeError{closeInternal, "Internal server error"}
	errGoingAway    = &closeError{websocket.StatusGoingAway, "The server is shutting down"}
	// errNoRoom is of a server that has too many clients, or too many bytes in flight.
	errNoRoom = &closeError{websocket.StatusTryAgainLater, "Too busy; try again later"}
)

// alreadyExists ends a connection on which two operations have the same ID.
func alreadyExists(id string) *closeError {
	e := &closeError{closeExists, "Subscriber for " + id + " already exists"}
	if len(e.reason) > maxReasonBytes {
		e.reason = "Subscriber already exists"
	}
	return e
}

// message is what a client sends.
type message struct {
	ID, Type string
	Payload  json.RawMessage
}

func parseMessage(text []byte) (*message, error) {
	m := new(message)
	read := func(d *jsontext.Decoder) error {
		return readObject(d, func(name string) error { return m.readMember(d, name) })
	}
	if !utf8.Valid(text) || readText(text, read) != nil {
		return nil, errInvalidMessage
	}
	if _, err := m.object(); err != nil && m.Type != typeSubscribe {
		return nil, err
	}
	return m, nil
}

// readMember reads a member; others than these are ignored, and so are these in another case.
func (m *message) readMember(d *jsontext.Decoder, name string) error {
	switch name {
	case "id":
		return readString(d, name, &m.ID)
	case "type":
		return readString(d, name, &m.Type)
	case "payload":
		payload, err := d.ReadValue()
		m.Payload = json.RawMessage(bytes.Clone(payload))
		return err
	}
	return d.SkipValue()
}

// object is the payload; nil where there is none.
func (m *message) object() (object map[string]any, err error) {
	if len(m.Payload) == 0 {
		return nil, nil
	}
	if object, err = parseObject(m.Payload); err != nil {
		return nil, errInvalidMessage
	}
	return object, nil
}

// appendMessage appends a message. Without id or payload it has none.
func appendMessage(dst []byte, id, kind string, payload json.RawMessage) []byte {
	dst = appendHead(dst, id, kind)
	if len(payload) > 0 {
		dst = append(append(dst, `,"payload":`...), payload...)
	}
	return append(dst, '}')
}

func appendHead(dst []byte, id, kind string) []byte {
	dst = append(append(append(dst, `{"type":"`...), kind...), '"')
	if id != "" {
		text, _ := json.Marshal(id) // strings can be written
		dst = append(append(dst, `,"id":`...), text...)
	}
	return dst
}

// appendNext writes the message with an answer.
func appendNext(id string, resp *graphql.Response) []byte {
	dst := append(appendHead(make([]byte, 0, len(resp.Data)+256), id, typeNext), `,"payload":`...)
	return append(appendResponse(dst, resp), '}')
}

// appendErrors writes the message that ends an operation which has failed.
func appendErrors(id string, errs gqlerror.List) []byte {
	text, err := json.Marshal(errs)
	if err != nil {
		text, _ = json.Marshal(errUnwritable.list())
	}
	return appendMessage(nil, id, typeError, text)
}
