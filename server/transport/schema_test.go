package transport_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"sibyl/graph"
	"sibyl/server/transport"
)

// sdl is a schema of which every field shows one thing that a transport must carry.
const sdl = `
scalar Upload
directive @requires(role: String!) on FIELD_DEFINITION
type Query {
  ok: String
  echo(text: String, count: Int): String
  "fails with the code, and what it says is stored"
  fail(code: String, stored: String): String
  "as fail, but cannot be null"
  must(code: String): String!
  list(code: String): [String]
  "panics outside of any resolver"
  panic: String
  "tells who asks"
  caller: String
  "gives so much text, and takes memory for so much"
  long(bytes: Int!, take: Int): String
  "waits for its context"
  slow: String
  "does not even heed its context"
  stuck: String
}
type Mutation {
  upload(file: Upload, files: [Upload]): String
  long(bytes: Int!, take: Int): String
}
type Subscription {
  "gives the numbers up to the last"
  count(to: Int!): Int
  "gives text without end, and takes memory for each"
  flood(bytes: Int!, take: Int!): String
  "gives nothing until it is cancelled"
  never: Int @requires(role: "READER")
  "as never, for everybody"
  idle: Int
  "panics instead of giving something"
  panics: Int
  "cannot be begun"
  refused(code: String): Int
  "begins and is ended with the code"
  ended(code: String): Int
}
`

var schema = gqlparser.MustLoadSchema(&ast.Source{Input: sdl})

// fields answers operations on the schema above.
type fields struct {
	entered chan struct{} // is sent to when `slow` or `stuck` begins
	release chan struct{} // ends `stuck` when it is closed
}

func (f *fields) Schema() *ast.Schema { return schema }

func (f *fields) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

func (f *fields) Exec(ctx context.Context) graphql.ResponseHandler {
	if op := graphql.GetOperationContext(ctx); op.Operation.Operation == ast.Subscription {
		field := op.Operation.SelectionSet[0].(*ast.Field)
		return f.stream(ctx, field.Name, field.ArgumentMap(op.Variables))
	}
	done := false
	return func(ctx context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		return &graphql.Response{Data: f.data(ctx)}
	}
}

func (f *fields) data(ctx context.Context) json.RawMessage {
	op := graphql.GetOperationContext(ctx)
	var data bytes.Buffer
	for _, selection := range op.Operation.SelectionSet {
		field, ok := selection.(*ast.Field)
		if !ok {
			continue
		}
		value, err := f.resolve(ctx, field.Name, field.ArgumentMap(op.Variables))
		if err != nil {
			path := ast.Path{ast.PathName(field.Alias)}
			if field.Name == "list" {
				path = append(path, ast.PathIndex(0))
			}
			graphql.AddError(ctx, gqlerror.WrapPath(path, err))
		}
		if err != nil && field.Name == "must" {
			return json.RawMessage("null")
		}
		text, _ := json.Marshal(value)
		fmt.Fprintf(&data, `,%q:%s`, field.Alias, text)
	}
	return json.RawMessage("{" + strings.TrimPrefix(data.String(), ",") + "}")
}

func (f *fields) resolve(ctx context.Context, name string, args map[string]any) (any, error) {
	code, _ := args["code"].(string)
	stored, _ := args["stored"].(string)
	failure := &graph.Error{Code: graph.Code(cmp.Or(code, "NOT_FOUND")), Message: "it failed", Stored: stored}
	switch name {
	case "ok":
		return "yes", nil
	case "echo":
		return fmt.Sprint(args["text"], args["count"]), nil
	case "fail", "must":
		return nil, failure
	case "list":
		return []any{nil}, failure
	case "caller":
		caller := graph.CallerOf(ctx)
		return fmt.Sprint(caller.Name, " ", caller.Roles), nil
	case "panic":
		panic("secret of the server")
	case "long":
		if take, _ := args["take"].(int64); !transport.TakeMemory(ctx, take) {
			return nil, &graph.Error{Code: graph.CodeOverloaded, Message: "no room"}
		}
		bytes, _ := args["bytes"].(int64)
		return strings.Repeat("x", int(bytes)), nil
	case "slow":
		f.entered <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	case "stuck":
		f.entered <- struct{}{}
		<-f.release
		return "late", nil
	case "upload":
		return describe(args["file"]) + describe(args["files"]), nil
	default:
		return schema.Query.Name, nil
	}
}

// stream gives the answers of a subscription.
func (f *fields) stream(ctx context.Context, name string, args map[string]any) graphql.ResponseHandler {
	code, _ := args["code"].(string)
	failure := graphql.Response{Errors: gqlerror.List{{
		Message: "it failed", Extensions: map[string]any{"code": cmp.Or(code, "NOT_FOUND")},
	}}}
	if name == "refused" {
		return graphql.OneShot(&failure)
	}
	graph.OpenStream(ctx)
	given := 0
	return func(ctx context.Context) *graphql.Response {
		given++
		switch to, _ := args["to"].(int64); {
		case name == "count" && given <= int(to):
			return &graphql.Response{Data: fmt.Appendf(nil, "{\"count\":\n%d}", given)}
		case name == "flood" && ctx.Err() == nil:
			bytes, _ := args["bytes"].(int64)
			if take, _ := args["take"].(int64); !transport.TakeMemory(ctx, take) {
				return nil
			}
			return &graphql.Response{Data: fmt.Appendf(nil, `{"flood":%q}`, strings.Repeat("x", int(bytes)))}
		case name == "never", name == "idle":
			f.entered <- struct{}{}
			<-ctx.Done()
		case name == "panics":
			panic("secret of the server")
		case name == "ended" && given == 1:
			return &failure
		}
		return nil
	}
}

// describe tells of uploads their name, size and error.
func describe(value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case []any:
		var all strings.Builder
		for _, item := range value {
			all.WriteString("," + describe(item))
		}
		return "[" + strings.TrimPrefix(all.String(), ",") + "]"
	case graph.Upload:
		if value.Err != nil {
			return value.Err.Error()
		}
		return fmt.Sprintf("%s:%d", value.Filename, len(value.Data))
	default:
		return fmt.Sprintf("%T", value)
	}
}

func present(ctx context.Context, err error) *gqlerror.Error {
	presented := graphql.DefaultErrorPresenter(ctx, err)
	if known := (*graph.Error)(nil); errors.As(err, &known) {
		presented.Extensions = map[string]any{"code": known.Code}
		if known.Stored != "" {
			presented.Extensions["stored"] = known.Stored
		}
	} else if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		presented.Extensions = map[string]any{"code": graph.CodeDeadlineExceeded}
	} else if presented.Extensions["code"] == nil {
		presented.Message = "internal server error"
		presented.Extensions = map[string]any{"code": graph.CodeInternal}
	}
	return presented
}

// bundle is a handler with the transports, and what tests hold of it.
type bundle struct {
	fields        *fields
	gate, answers *transport.Gate
	streams       *transport.Streams
	handler       http.Handler
}

// limits are small, so that tests can reach them.
var limits = transport.Options{
	Timeout: 10 * time.Second, InitTimeout: time.Hour, SendTimeout: within, MaxDocumentBytes: 1000, MaxRequestBytes: 10_000, MaxUploadBytes: 3000, MaxUploadFiles: 4,
	Recover: func(context.Context, any) error { return errors.New("panic") },
	Observe: func(transport.Observation) {},
}

func setup(t testing.TB, change ...func(*transport.Options)) *bundle {
	t.Helper()
	o := limits
	o.Documents = transport.NewDocuments(nil, false, 2)
	o.Gate, o.Answers = transport.NewGate(8, 100_000), transport.NewGate(0, 1<<20)
	o.Streams = transport.NewStreams(4, time.Hour)
	for _, f := range change {
		f(&o)
	}
	b := &bundle{gate: o.Gate, answers: o.Answers, streams: o.Streams, fields: &fields{entered: make(chan struct{}, 100), release: make(chan struct{})}}
	exec := executor.New(b.fields)
	exec.SetErrorPresenter(present)
	b.handler = transport.Handler(exec, o)
	t.Cleanup(o.Gate.Close) // which ends its goroutines
	return b
}

// do sends a request to the handler, and checks what holds for every answer with a body.
func (b *bundle) do(t testing.TB, r *http.Request) (*http.Response, answer) {
	t.Helper()
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	resp := w.Result()
	var a answer
	if resp.StatusCode == http.StatusNoContent {
		return resp, a
	}
	if err := json.Unmarshal(w.Body.Bytes(), &a.members); err != nil {
		t.Fatalf("the answer is no JSON: %v: %s", err, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	for _, e := range a.Errors {
		if e.Extensions.Code == "" || e.Message == "" {
			t.Errorf("an error without code or message: %s", w.Body)
		}
	}
	if got := resp.Header.Get("Content-Length"); got != fmt.Sprint(w.Body.Len()) {
		t.Errorf("Content-Length %s, body %d", got, w.Body.Len())
	}
	return resp, a
}

// answer is a GraphQL answer.
type answer struct {
	members map[string]json.RawMessage
	Errors  []struct {
		Message    string
		Extensions struct{ Code string }
	}
}

// code is the code of the first error; empty where there is none.
func (a answer) code() string {
	if len(a.Errors) == 0 {
		return ""
	}
	return a.Errors[0].Extensions.Code
}

func post(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

func query(document string) *http.Request {
	body, _ := json.Marshal(map[string]string{"query": document})
	return post(string(body))
}

func unmarshal(text []byte, dst any) {
	if err := json.Unmarshal(text, dst); err != nil && len(text) > 0 {
		panic(err)
	}
}

// onPurpose reports whether a fuzzed body may ask for a field that panics or waits.
func onPurpose(body []byte) bool {
	for _, name := range []string{"panic", "slow", "stuck"} {
		if bytes.Contains(body, []byte(name)) {
			return true
		}
	}
	return false
}
