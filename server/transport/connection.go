package transport

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"

	"sibyl/graph"
)

const (
	// maxOperations bounds those of one connection at a time.
	maxOperations = 128
	// maxInitBytes bounds the messages of who is not known yet: a key takes no more.
	maxInitBytes = 16 << 10
	// maxEnvelopeBytes is what a message may have around its operation.
	maxEnvelopeBytes = 4 << 10
)

// connection is a WebSocket, with the operations that run on it.
type connection struct {
	options *Options
	// header and remoteAddr are the handshake's; all else of that request can go.
	header     http.Header
	remoteAddr string
	exec       graphql.GraphExecutor
	ws         *socket
	// begun are the goroutines of operations.
	begun sync.WaitGroup

	mu           sync.Mutex // guards what follows
	acknowledged bool
	// caller is who asks; nil where nobody is known to.
	caller *graph.Caller
	// revoked says that the caller's key is gone, and the connection about to be closed.
	revoked    bool
	draining   bool
	operations map[string]*running
}

// running is an operation of a connection.
type running struct {
	id string
	// cancel ends it, and with a *graph.Error a subscription says why.
	cancel context.CancelCauseFunc
	// subscription is its operation where only cancel ends it, else nil; guarded by the connection's mu.
	subscription *graphql.OperationContext
}

func newConnection(o *Options, r *http.Request, exec graphql.GraphExecutor) *connection {
	return &connection{
		options: o, header: r.Header, remoteAddr: r.RemoteAddr, exec: exec, operations: map[string]*running{},
	}
}

// serve speaks with the client until one of both ends the connection, and returns when nothing runs on it any more.
func (c *connection) serve(ctx context.Context, ws *socket) {
	defer func() { _ = ws.CloseNow() }() // waits for a close in order, which its deadline bounds
	if !c.attach(ws) {
		ws.close(errGoingAway.code, errGoingAway.reason)
		return
	}
	if ws.Subprotocol() != subprotocol {
		ws.close(closeSubprotocol, "Subprotocol not acceptable")
		return
	}
	ws.SetReadLimit(min(maxInitBytes, c.maxMessageBytes()))
	impatience := time.AfterFunc(c.options.InitTimeout, func() {
		if !c.isAcknowledged() {
			ws.close(closeInitTimeout, "Connection initialisation timeout")
		}
	})
	defer impatience.Stop()
	ctx, cancel := context.WithCancel(ctx)
	err := c.receiveAll(ctx)
	c.forget()
	cancel()
	var end *closeError
	if errors.As(err, &end) {
		ws.close(end.code, end.reason)
	}
	c.begun.Wait()
}

// forget lets the client wait for no operation any more, so that none is said to be complete that the end of the
// connection has cancelled.
func (c *connection) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.operations)
}

// attach gives the connection its WebSocket, which others than serve may see from then on. It reports whether the
// connection is to go on: one that was told to end before it had a WebSocket has nobody else to close that.
func (c *connection) attach(ws *socket) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ws = ws
	return !c.draining
}

// receiveAll handles message after message. Its error is a closeError where the client broke the protocol.
func (c *connection) receiveAll(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = c.panicked(ctx, v)
		}
	}()
	for err == nil {
		ctx, err = c.receiveNext(ctx)
	}
	return err
}

// receiveNext waits for a message, handles it, and returns the context of those after it. What is long of it takes of the
// gate's budget while it comes: an operation that is begun then takes its own.
func (c *connection) receiveNext(ctx context.Context) (context.Context, error) {
	kind, r, err := c.ws.Reader(ctx)
	if err != nil {
		return ctx, err
	}
	if kind != websocket.MessageText {
		return ctx, errInvalidMessage
	}
	coming := share{gate: c.options.Gate}
	defer coming.giveBack()
	b := body{r: r, limit: c.maxMessageBytes(), share: &coming, granted: grant}
	late := time.AfterFunc(c.options.Timeout, c.ws.abort)
	text, err := b.readAll(0)
	late.Stop()
	if errors.Is(err, errTooManyBytes) {
		return ctx, errNoRoom
	}
	if err != nil {
		return ctx, err
	}
	m, err := parseMessage(text)
	if err != nil {
		return ctx, err
	}
	coming.giveBack()
	return c.receive(ctx, m)
}

func (c *connection) maxMessageBytes() int64 { return c.options.MaxDocumentBytes + maxEnvelopeBytes }

// receive handles a message and returns the context of those after it.
func (c *connection) receive(ctx context.Context, m *message) (context.Context, error) {
	switch m.Type {
	case typeInit:
		return c.initialise(ctx, m)
	case typePing:
		return ctx, c.send(appendMessage(nil, "", typePong, m.Payload))
	case typePong:
		return ctx, nil
	case typeComplete:
		if m.ID == "" {
			return ctx, errInvalidMessage
		}
		c.cancel(m.ID)
		return ctx, nil
	case typeSubscribe:
		return ctx, c.subscribe(ctx, m)
	default:
		return ctx, errInvalidMessage
	}
}

// initialise begins the connection, in the name of whoever the client says it is.
func (c *connection) initialise(ctx context.Context, m *message) (context.Context, error) {
	if c.isAcknowledged() {
		return ctx, errTooManyInits
	}
	payload, err := m.object()
	if err != nil {
		return ctx, err
	}
	if authenticate := c.options.Authenticate; authenticate != nil {
		if ctx, err = authenticate(ctx, c.header, payload); err != nil {
			return ctx, errForbidden
		}
	}
	switch c.options.Streams.admit(c) {
	case nil:
	case errShuttingDown:
		return ctx, errGoingAway
	default:
		return ctx, errNoRoom
	}
	if !c.acknowledge(graph.CallerOf(ctx)) {
		return ctx, errForbidden
	}
	c.ws.SetReadLimit(c.maxMessageBytes())
	return ctx, c.send(appendMessage(nil, "", typeAck, nil))
}

func (c *connection) isAcknowledged() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.acknowledged
}

// subscribe begins an operation, of whichever kind.
func (c *connection) subscribe(ctx context.Context, m *message) error {
	if !c.isAcknowledged() {
		return errUnauthorized
	}
	op, err := c.options.operation("The payload", m.Payload)
	if m.ID == "" || err != nil {
		return errInvalidMessage
	}
	op.params.Headers = c.header
	ctx, cancel := context.WithCancelCause(ctx)
	r := &running{id: m.ID, cancel: cancel}
	caller, refused, err := c.add(r)
	if refused != nil || err != nil {
		cancel(nil)
		if refused != nil {
			return c.send(appendErrors(m.ID, refused.list()))
		}
		return err
	}
	go func() {
		defer c.begun.Done()
		defer cancel(nil)
		defer c.recoverPanic(ctx)
		c.operate(graph.WithCaller(ctx, caller), r, op, int64(len(m.Payload)))
	}()
	return nil
}

// add makes room for an operation of the caller, which must then call begun.Done, or refuses it alone. The error is the
// connection's.
func (c *connection) add(r *running) (*graph.Caller, *refusal, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.revoked:
		return nil, nil, errForbidden
	case c.operations[r.id] != nil:
		return nil, nil, alreadyExists(r.id)
	case c.draining:
		return nil, errShuttingDown, nil
	case len(c.operations) >= maxOperations:
		return nil, errTooManyOperations, nil
	}
	c.operations[r.id] = r
	c.begun.Add(1)
	return c.caller, nil, nil
}

// operate runs an operation and sends what comes of it.
func (c *connection) operate(ctx context.Context, r *running, op *operation, size int64) {
	x := &exchange{options: c.options, exec: c.exec, answer: graphqlResponse, began: time.Now()}
	x.sending.gate = c.options.Answers
	defer x.sent()
	x.admit = func(op *graphql.OperationContext) error { return c.subscribed(r, op) }
	out := outcome{err: c.options.mayAsk(ctx, c.remoteAddr)}
	if out.err == nil {
		out = x.runSized(ctx, op, size)
	}
	if out.err != nil {
		x.seen.Code = refusalOf(out.err, errBodyTooLarge).code
	}
	x.observe()
	for out.more != nil {
		resp := out.more()
		if resp == nil || resp.Data == nil {
			out = outcome{resp: resp}
			break
		}
		if c.send(appendNext(r.id, resp)) != nil {
			return
		}
	}
	if c.finish(r) {
		c.conclude(r.id, out)
	}
}

// conclude sends the last messages of an operation.
func (c *connection) conclude(id string, out outcome) {
	switch {
	case out.err != nil:
		_ = c.send(appendErrors(id, refusalOf(out.err, errBodyTooLarge).list()))
	case out.resp == nil:
		_ = c.send(appendMessage(nil, id, typeComplete, nil))
	case out.resp.Data == nil:
		_ = c.send(appendErrors(id, out.resp.Errors))
	default:
		if c.send(appendNext(id, out.resp)) == nil {
			_ = c.send(appendMessage(nil, id, typeComplete, nil))
		}
	}
}

// subscribed notes that an operation lasts, unless nothing is to last any more, or the caller may not have it since the
// keys have changed.
func (c *connection) subscribed(r *running, op *graphql.OperationContext) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return errShuttingDown
	}
	r.subscription = op
	return c.options.stillMay(c.caller, op)
}

// finish forgets an operation, and reports whether the client still waits for it.
func (c *connection) finish(r *running) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.operations[r.id] != r {
		return false // it was cancelled, and the ID may be another's now
	}
	delete(c.operations, r.id)
	return true
}

// cancel ends an operation that the client has no more interest in.
func (c *connection) cancel(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.operations[id]; r != nil {
		r.cancel(nil)
		delete(c.operations, id)
	}
}

// send sends a message. A client that does not read it in time is cut off: nobody else waits for it.
func (c *connection) send(text []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.options.SendTimeout)
	defer cancel()
	return c.ws.Write(ctx, websocket.MessageText, text)
}

// ping asks whether the client is there, and cuts it off where it is not.
func (c *connection) ping() {
	ws := c.socket()
	if ws == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.options.SendTimeout)
	defer cancel()
	if ws.Ping(ctx) != nil {
		_ = ws.CloseNow()
	}
}

func (c *connection) socket() *socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ws
}

// abort lets a connection that is no WebSocket yet become none.
func (c *connection) abort() {
	c.mu.Lock()
	ws := c.ws
	c.draining = c.draining || ws == nil
	c.mu.Unlock()
	if ws != nil {
		ws.abort()
	}
}

// end completes the subscriptions, waits for other operations, and closes the connection.
func (c *connection) end() {
	c.mu.Lock()
	c.draining = true
	for _, r := range c.operations {
		if r.subscription != nil {
			r.cancel(nil)
		}
	}
	c.mu.Unlock()
	c.begun.Wait()
	if ws := c.socket(); ws != nil {
		ws.close(errGoingAway.code, errGoingAway.reason)
	}
}

// recoverPanic closes the connection where an operation panics outside of its resolvers. It must be deferred.
func (c *connection) recoverPanic(ctx context.Context) {
	if v := recover(); v != nil {
		end := c.panicked(ctx, v)
		c.socket().close(end.code, end.reason)
	}
}

// panicked tells of a panic, and is what the connection ends with: what it had done of its work is unknown.
func (c *connection) panicked(ctx context.Context, v any) *closeError {
	_ = c.options.Recover(ctx, v) // clients are told no more than that
	return errInternal
}
