package transport

import (
	"context"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"sibyl/graph"
)

// Options bound what the transports take. Every field is required that does not say what is where it is nil.
type Options struct {
	// Authenticate gives the context who asks, by the headers of the request and, over a WebSocket, by the payload of
	// connection_init, else nil. Its error is a *graph.Error with the code UNAUTHENTICATED or RATE_LIMITED; nil: anybody may
	// ask.
	Authenticate func(ctx context.Context, h http.Header, initPayload map[string]any) (context.Context, error)
	// Renew returns the caller that Authenticate gave a context with the roles of now, or nil where the key is gone; nil
	// where callers stay what they were. After it gives something else, Streams.Recheck must be called.
	Renew func(*graph.Caller) *graph.Caller
	// Admit is asked once for each operation, whose caller the context tells, and its address as http.Request has it. Its
	// error is a *graph.Error with the code RATE_LIMITED; nil: any may run.
	Admit func(ctx context.Context, remoteAddr string) error
	// Gate bounds the operations in flight and the bytes of their bodies.
	Gate *Gate
	// Answers bounds the bytes of long answers, until they have been sent, and no operations. It is another than Gate, so that
	// those who read slowly keep out nobody's requests.
	Answers *Gate
	// Streams bounds the connections that stay open for subscriptions.
	Streams *Streams
	// Documents are those that clients may name in the place of their text.
	Documents *Documents
	// Timeout is the longest an operation may take, from the end of the request's headers on. A subscription may take as
	// long until it begins.
	Timeout time.Duration
	// InitTimeout is the longest that a client may take to begin the protocol on a WebSocket.
	InitTimeout time.Duration
	// SendTimeout is how long a client may take to read a message of a stream, or to answer a ping; it is cut off then.
	SendTimeout time.Duration
	// AllowedOrigins are those of other sites whose pages may open WebSockets, as `https://example.org`; nil: none are.
	AllowedOrigins []string
	// MaxDocumentBytes bounds a JSON body, and the parts `operations` and `map` of a multipart one.
	MaxDocumentBytes int64
	// MaxRequestBytes bounds a multipart body.
	MaxRequestBytes int64
	// MaxUploadBytes bounds one file: a larger one fails only the field that uses it.
	MaxUploadBytes int64
	// MaxUploadFiles bounds the files of a request, and the places where they are used.
	MaxUploadFiles int
	// Observe is told of each request when it has been answered.
	Observe func(Observation)
	// Recover turns a panic outside of the resolvers into an error; gqlgen recovers those inside with its own.
	Recover graphql.RecoverFunc

	operations *recent[*operation]
	maps       *recent[[]filePlaces]
	// tooLong refuses a JSON body over its limit.
	tooLong *refusal
}

// handler asks its transports in turn. gqlgen's own handler copies every request beside that.
type handler struct {
	exec       graphql.GraphExecutor
	transports []graphql.Transport
}

// Handler returns what takes operations over HTTP and has them executed by exec. It answers every request, whatever its
// method, and is safe for concurrent use.
func Handler(exec graphql.GraphExecutor, o Options) http.Handler {
	o.operations, o.maps = new(recent[*operation]), new(recent[[]filePlaces])
	o.tooLong = tooLarge("The request's body is larger than %d bytes.", o.MaxDocumentBytes)
	// The last takes every request that no other takes, and refuses it.
	return handler{exec, []graphql.Transport{webSocket{&o}, jsonPost{&o}, multipartPost{&o}, get{&o}, unsupported{&o}}}
}

// ServeHTTP answers a request.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, t := range h.transports {
		if t.Supports(r) {
			t.Do(w, r, h.exec)
			return
		}
	}
}

// An Observation is what became of a request, or of an operation on a WebSocket.
type Observation struct {
	// Type is `query`, `mutation` or `subscription`, and Name the operation's as the document has it; both are empty where none was found.
	Type, Name string
	// Code is the `extensions.code` of the answer's first error, or Cancelled; empty: there is none.
	Code graph.Code
	// Duration is the time from the end of the request's headers to the last byte of the answer, and where that is a
	// stream, to its beginning.
	Duration time.Duration
}

// Cancelled is the Code of an operation that was stopped as its client had gone, or wanted it no more: nobody was told one.
const Cancelled graph.Code = "CANCELLED"

// An operation is what a request asks for.
type operation struct {
	params graphql.RawParams
	// documentID names the document where params.Query is empty, unless the extension persistedQuery does.
	documentID string
	// files are those of a multipart request without a map, whose variables name them; nil: it was another.
	files *files
	// places bounds how often files may be used.
	places int
	// byURL refuses mutations: what a URL asks for must change nothing.
	byURL bool
}

// A reader makes an operation of a request; its errors are refusals.
type reader func(x *exchange) (*operation, error)

// exchange is a request on its way to its answer.
type exchange struct {
	options *Options
	w       http.ResponseWriter
	r       *http.Request
	exec    graphql.GraphExecutor
	answer  answerType
	permit  permit
	// began is when the request's headers had been read.
	began time.Time
	// seen is what is known of the request so far.
	seen Observation
	// answered tells that the answer has begun.
	answered bool
	// gone tells that its client had, when the operation had run.
	gone   bool
	timing ServerTiming
	// sending is what the answer that is being made or sent has of the budget of answers.
	sending share
	// admit lets a subscription begin, whose answers will be many; nil where there can be one only.
	admit func(*graphql.OperationContext) error
	// events are the answer where it is a stream of them; nil: it cannot be.
	events *eventStream
}

// serve takes a request all the way: read makes the operation of it, which is then run and answered.
func (o *Options) serve(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor, read reader) {
	x := &exchange{options: o, w: w, r: r, exec: exec, answer: plainJSON, began: time.Now()}
	x.sending.gate = o.Answers
	defer x.leave()
	defer x.recoverPanic()
	out := x.readAndRun(x.began.Add(o.Timeout), read)
	switch {
	case out.err != nil:
		x.refuse(out.err)
	case out.resp != nil:
		x.write(x.answer.status(out.resp), out.resp)
	}
	x.observe()
	if out.more != nil {
		x.answered = true
		x.events.send(out.more)
	}
}

// recoverPanic answers a request in which something panicked beside the operation. A panic goes on where the answer has
// begun, so that the connection is cut and nobody takes half of it for the whole.
func (x *exchange) recoverPanic() {
	v := recover()
	switch {
	case v == nil:
	case x.answered, v == http.ErrAbortHandler:
		panic(v)
	default:
		x.write(http.StatusInternalServerError, x.panicked(x.r.Context(), &graphql.OperationContext{}, v))
	}
}

// mayAsk asks Admit, where there is one.
func (o *Options) mayAsk(ctx context.Context, remoteAddr string) error {
	if o.Admit == nil {
		return nil
	}
	return o.Admit(ctx, remoteAddr)
}

// observe tells of what has become of the request; of a subscription, whether it has begun.
func (x *exchange) observe() {
	x.seen.Duration = time.Since(x.began)
	if stopped := x.seen.Code == graph.CodeDeadlineExceeded || x.seen.Code == graph.CodeOverloaded; stopped && x.gone {
		x.seen.Code = Cancelled
	}
	x.options.Observe(x.seen)
}

// readAndRun runs the operation of the request. When it returns the operation has left the gate: who reads the answer
// slowly keeps nobody out.
func (x *exchange) readAndRun(deadline time.Time, read reader) outcome {
	conn := http.NewResponseController(x.w)
	// The deadline stays on a body that is not read to its end: net/http would wait for the rest of it. Writers that
	// know no deadlines are those of tests.
	_ = conn.SetReadDeadline(deadline)
	wanted, acceptable := negotiate(x.r.Header)
	if x.answer = wanted.answer; !acceptable {
		return outcome{err: errNotAcceptable}
	}
	if err := x.authenticate(); err != nil {
		return outcome{err: err}
	}
	if err := x.options.Gate.enter(&x.permit); err != nil {
		return outcome{err: err}
	}
	defer x.permit.release()
	op, err := read(x)
	if err != nil {
		return outcome{err: err}
	}
	_ = conn.SetReadDeadline(time.Time{})
	if err := x.permit.start(); err != nil {
		return outcome{err: err}
	}
	ctx := x.r.Context()
	if wanted.events != noEvents {
		ctx = x.takeEvents()
	}
	out := x.run(ctx, deadline, op)
	if out.err != nil || out.more != nil {
		return out
	}
	if wanted.events == allEvents && x.answer.status(out.resp) == http.StatusOK {
		return outcome{more: once(out.resp)}
	}
	return out
}

// authenticate finds out who asks, and whether they may ask now.
func (x *exchange) authenticate() error {
	if x.options.Authenticate != nil {
		ctx, err := x.options.Authenticate(x.r.Context(), x.r.Header, nil)
		if err != nil {
			return err
		}
		if ctx != x.r.Context() {
			x.r = x.r.WithContext(ctx)
		}
	}
	return x.options.mayAsk(x.r.Context(), x.r.RemoteAddr)
}
