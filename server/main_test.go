package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"sibyl/inference"
	"sibyl/persistence/persistencetest"
	server "sibyl/server"
)

func TestMain(m *testing.M) { persistencetest.Main(m) }

// service is a whole server in this process, on a free port and a database of its own.
type service struct {
	url  string
	stop context.CancelFunc
	// ended gives what Run and Close returned.
	ended <-chan error
}

// newServer starts a server; the end of the test stops it, and fails where that goes wrong.
func newServer(t testing.TB, change ...func(*server.Config)) *service {
	t.Helper()
	return newServerLogging(t, t.Output(), change...)
}

// newServerLogging is newServer with a log of one's own.
func newServerLogging(t testing.TB, log io.Writer, change ...func(*server.Config)) *service {
	t.Helper()
	c := server.DefaultConfig()
	c.Address, c.Data = "127.0.0.1:0", t.TempDir()
	c.DatabaseURL = server.DatabaseURL(persistencetest.Migrated(t))
	for _, f := range change {
		f(&c)
	}
	s, err := server.New(t.Context(), c, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		err := s.Run(ctx)
		if closeErr := s.Close(); err == nil {
			err = closeErr
		}
		ended <- err
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &service{url: s.URL(), stop: stop, ended: ended}
}

// get asks for a path, and returns the status and the body.
func (s *service) get(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// query sends a JSON request.
func (s *service) query(t *testing.T, document string) *result {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"query": document})
	return s.post(t, body, "application/json")
}

// predict sends a file.
func (s *service) predict(t *testing.T, document string, file []byte) *result {
	t.Helper()
	body, contentType := uploadBody(document, file)
	return s.post(t, body, contentType)
}

func (s *service) post(t *testing.T, body []byte, contentType string) *result {
	t.Helper()
	answer, err := (&process{url: s.url}).post(t.Context(), body, contentType)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func (r *result) code() string {
	if len(r.Errors) == 0 {
		return ""
	}
	return r.Errors[0].Extensions.Code
}

func TestPredictAndFetchImage(t *testing.T) {
	s := newServer(t)
	file := digit()
	answer := s.predict(t, `mutation ($image: Upload!) {
  predict(image: $image) { likelyClass { name } input { filename image { url } } }
}`, file)
	var predicted struct {
		LikelyClass struct{ Name string }
		Input       struct {
			Filename string
			Image    struct{ URL string }
		}
	}
	if err := json.Unmarshal(answer.Data["predict"], &predicted); err != nil || answer.Status != 200 {
		t.Fatalf("%v: %+v", err, answer)
	}
	if predicted.LikelyClass.Name != "1" || predicted.Input.Filename != "digit.png" {
		t.Errorf("%+v", predicted)
	}
	if status, body := s.get(t, predicted.Input.Image.URL); status != 200 || !bytes.Equal([]byte(body), file) {
		t.Errorf("%d, %d bytes", status, len(body))
	}
}

func TestTooLargeFileFailsAlone(t *testing.T) {
	s := newServer(t, func(c *server.Config) { c.MaxUploadBytes = 100 })
	answer := s.predict(t, `mutation($image:Upload!){predict(image:$image){id} __typename}`, digit())
	if answer.Status != 200 || answer.code() != "IMAGE_TOO_LARGE" || string(answer.Data["__typename"]) != `"Mutation"` {
		t.Errorf("%+v", answer)
	}
}

func TestHealth(t *testing.T) {
	s := newServer(t)
	for path, want := range map[string]string{"/healthz": `{"status":"alive"}`, "/readyz": `{"status":"ready"}`} {
		if status, body := s.get(t, path); status != 200 || strings.TrimSpace(body) != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// TestMethods of what can only be read.
func TestMethods(t *testing.T) {
	s := newServer(t)
	image := s.predictedImage(t, digit())
	for _, path := range []string{"/", "/healthz", "/readyz", "/playground/", "/playground", image} {
		for method, want := range map[string]int{"GET": 200, "HEAD": 200, "OPTIONS": 204, "POST": 405, "DELETE": 405, "PUT": 405} {
			r, _ := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want || (resp.Header.Get("Allow") == "GET, HEAD") != (want != 200) {
				t.Errorf("%s %s: %d, Allow %q", method, path, resp.StatusCode, resp.Header.Get("Allow"))
			}
		}
	}
	if status, _ := s.get(t, "/nowhere"); status != 404 {
		t.Errorf("nowhere: %d", status)
	}
}

// TestSecurityHeaders of all that is answered: what is no page may do nothing in a browser, and a page little.
func TestSecurityHeaders(t *testing.T) {
	s := newServer(t)
	image := s.predictedImage(t, digit())
	const nothing, page = "default-src 'none'; frame-ancestors 'none'", "default-src 'none'; script-src 'self'; "
	for path, row := range map[string]struct {
		status int
		policy string // what it begins with
		frame  string
	}{
		"/":                                     {200, page, "DENY"},
		"/app.js":                               {200, page, "DENY"},
		"/playground/":                          {200, page, "DENY"},
		"/playground/iframe-sandbox/index.html": {200, page, "SAMEORIGIN"},
		"/playground":                           {200, page, "DENY"},
		"/nowhere":                              {404, nothing, "DENY"},
		"/playground/nowhere":                   {404, nothing, "DENY"},
		"/healthz":                              {200, nothing, "DENY"},
		"/metrics":                              {200, nothing, "DENY"},
		"/export":                               {200, nothing, "DENY"},
		"/export?format=xml":                    {400, nothing, "DENY"},
		"/graphql":                              {400, nothing, "DENY"},
		asked("{__typename}"):                   {200, nothing, "DENY"},
		"/images/input_01m8522t8jfrxv0dc4j1baw62f": {404, nothing, "DENY"},
		image: {200, "default-src 'none'; sandbox", "DENY"},
	} {
		got := s.send(t, http.MethodGet, path)
		h := got.Header
		policy := h.Get("Content-Security-Policy")
		if got.StatusCode != row.status || !strings.HasPrefix(policy, row.policy) || h.Get("X-Frame-Options") != row.frame {
			t.Errorf("%s: %d, %q, %q", path, got.StatusCode, policy, h.Get("X-Frame-Options"))
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" ||
			h.Get("Cross-Origin-Resource-Policy") != "same-origin" {
			t.Errorf("%s: %v", path, h)
		}
		scripts, _, _ := strings.Cut(strings.TrimPrefix(policy, "default-src 'none'; script-src "), ";")
		if isPage := row.policy == page; isPage && (scripts != "'self'" || h.Get("Cross-Origin-Opener-Policy") != "same-origin" ||
			!strings.Contains(h.Get("Permissions-Policy"), "camera=()")) {
			t.Errorf("%s: scripts %s, %v", path, scripts, h)
		}
	}
}

// TestOtherHosts are those of sites that let their name mean this machine.
func TestOtherHosts(t *testing.T) {
	for insecure, want := range map[bool]int{false: http.StatusMisdirectedRequest, true: http.StatusOK} {
		s := newServer(t, func(c *server.Config) { c.Insecure = insecure })
		for _, path := range []string{"/", "/graphql?query={__typename}", "/healthz", "/readyz", "/playground/"} {
			for host, status := range map[string]int{"rebound.example.org": want, "localhost:8080": http.StatusOK} {
				r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
				r.Host = host
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if resp.StatusCode != status {
					t.Errorf("insecure %t, %s%s: %d", insecure, host, path, resp.StatusCode)
				}
			}
		}
	}
}

func TestIntrospection(t *testing.T) {
	for production, code := range map[bool]string{false: "", true: "GRAPHQL_VALIDATION_FAILED"} {
		s := newServer(t, func(c *server.Config) { c.Production = production })
		for _, question := range []string{
			`{__schema{queryType{name}}}`, `{models{name}...on Query{a:__type(name:"Query"){name}}}`,
			`{...A} fragment A on Query{...B} fragment B on Query{__schema{queryType{name}}}`,
		} {
			if answer := s.query(t, question); answer.code() != code {
				t.Errorf("production %t, %s: %+v", production, question, answer)
			}
		}
		if answer := s.query(t, `{__typename models{__typename}}`); answer.code() != "" {
			t.Errorf("production %t: %+v", production, answer)
		}
	}
}

// TestSuggestions are given by every rule that can, and in production by none.
func TestSuggestions(t *testing.T) {
	for _, production := range []bool{false, true} {
		s := newServer(t, func(c *server.Config) { c.Production = production })
		for _, document := range []string{
			`{model(name:"x"){nam}}`,
			`{node(id:"x"){version}}`,
			`{models}`,
			`{model(nam:"x"){name}}`,
			`{__typename@skip(iff:true)}`,
			`{predictions(orderBy:NEWST){totalCount}}`,
			`{predictions(orderBy:"NEWST"){totalCount}}`,
			`{predictions(filter:{modl:"x"}){totalCount}}`,
			`{...F}fragment F on Quer{__typename}`,
		} {
			answer := s.query(t, document)
			suggests := strings.Contains(fmt.Sprint(answer.Errors), "Did you mean")
			if answer.code() != "GRAPHQL_VALIDATION_FAILED" || suggests == production {
				t.Errorf("production %t, %s: %+v", production, document, answer.Errors)
			}
		}
	}
}

// TestDocumentsWithoutDefinition are none, by the grammar; one of fragments alone has nothing to run.
func TestDocumentsWithoutDefinition(t *testing.T) {
	s := newServer(t)
	for document, code := range map[string]string{
		" ": "GRAPHQL_PARSE_FAILED", "\n,\t": "GRAPHQL_PARSE_FAILED", "# nothing": "GRAPHQL_PARSE_FAILED", "\ufeff": "GRAPHQL_PARSE_FAILED",
		"fragment F on Query{__typename}": "GRAPHQL_VALIDATION_FAILED",
	} {
		if answer := s.query(t, document); answer.code() != code || answer.Data != nil {
			t.Errorf("%q: %+v", document, answer)
		}
	}
}

// TestLimitsHaveCodes sends documents over each limit to the real schema.
func TestLimitsHaveCodes(t *testing.T) {
	s := newServer(t)
	const cross = "{predictions(first:500){nodes{input{predictions(first:500){nodes{id}}}}}}"
	deep := strings.Repeat("{predictions{nodes{input", 8) + "{id}" + strings.Repeat("}}}", 8)
	for name, row := range map[string]struct{ document, code string }{
		"tokens":        {"{" + strings.Repeat("a:x ", 6000) + "}", "TOKEN_LIMIT_EXCEEDED"},
		"depth":         {deep, "DEPTH_LIMIT_EXCEEDED"},
		"repeats":       {"{" + strings.Repeat("__typename ", 500) + "}", "COMPLEXITY_LIMIT_EXCEEDED"},
		"complexity":    {cross, "COMPLEXITY_LIMIT_EXCEEDED"},
		"introspection": {"{__schema{types{fields{type{fields{type{fields{name}}}}}}}}", "INTROSPECTION_LIMIT_EXCEEDED"},
		"defer":         {"{...@defer{__typename}}", "GRAPHQL_VALIDATION_FAILED"},
		"subscription":  {"subscription{x}", "GRAPHQL_VALIDATION_FAILED"},
	} {
		if answer := s.query(t, row.document); answer.code() != row.code || answer.Status != 200 {
			t.Errorf("%s: %d %+v", name, answer.Status, answer.Errors)
		}
	}
}

// TestLimitsCanBeSet sends documents that the default limits let through, and lower ones do not.
func TestLimitsCanBeSet(t *testing.T) {
	usual := newServer(t)
	strict := newServer(t, func(c *server.Config) {
		c.DocumentLimits = server.DocumentLimits{
			MaxTokens: 60, MaxDepth: 5, MaxAliases: 2, MaxRootFields: 3, MaxDirectives: 2, MaxComplexity: 50,
			MaxIntrospectionDepth: 1,
		}
	})
	for code, document := range map[string]string{
		"":                             `{predictions{nodes{id}}}`,
		"TOKEN_LIMIT_EXCEEDED":         "{" + strings.Repeat("__typename ", 60) + "}",
		"DEPTH_LIMIT_EXCEEDED":         `{predictions{nodes{input{predictions{nodes{id}}}}}}`,
		"ALIAS_LIMIT_EXCEEDED":         `{a:__typename b:__typename c:__typename}`,
		"ROOT_FIELD_LIMIT_EXCEEDED":    `{__typename a:__typename b:__typename models{name}}`,
		"DIRECTIVE_LIMIT_EXCEEDED":     `{__typename@include(if:true)@skip(if:false)models@include(if:true){name}}`,
		"COMPLEXITY_LIMIT_EXCEEDED":    `{predictions(first:50){nodes{id}}}`,
		"INTROSPECTION_LIMIT_EXCEEDED": `{__type(name:"Query"){fields{type{fields{name}}}}}`,
	} {
		if answer := usual.query(t, document); answer.code() != "" {
			t.Errorf("%s: %+v", code, answer.Errors)
		}
		if answer := strict.query(t, document); answer.code() != code {
			t.Errorf("%s: %+v", code, answer.Errors)
		}
	}
}

// beginUpload sends the beginning of an upload; finish sends the rest.
func (s *service) beginUpload(t *testing.T) (answered <-chan int, finish func()) {
	t.Helper()
	body, contentType := uploadBody(predictQuery, digit())
	first, rest := io.Pipe()
	r, err := http.NewRequest(http.MethodPost, s.url+"/graphql", first)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("GraphQL-Require-Preflight", "1")
	status := make(chan int, 1)
	go func() {
		defer close(status)
		if resp, err := http.DefaultClient.Do(r); err == nil {
			status <- resp.StatusCode
			_ = resp.Body.Close()
		}
	}()
	_, _ = rest.Write(body[:100])
	return status, func() {
		_, _ = rest.Write(body[100:])
		_ = rest.Close()
	}
}

// TestShutdown tells the server to stop while a request is coming in: that one is answered, others are refused.
func TestShutdown(t *testing.T) {
	s := newServer(t)
	answered, finish := s.beginUpload(t)
	s.waitInFlight(t, 1)
	s.stop()
	waitFor(t, func() bool { status, _ := s.get(t, "/readyz"); return status == 503 })
	if answer := s.query(t, "{__typename}"); answer.Status != 503 || answer.code() != "OVERLOADED" {
		t.Errorf("%+v", answer)
	}
	if status, _ := s.get(t, "/healthz"); status != 200 {
		t.Errorf("not alive: %d", status)
	}
	finish()
	if status := <-answered; status != 200 {
		t.Errorf("the request in flight: %d", status)
	}
	if err := <-s.ended; err != nil {
		t.Error(err)
	}
}

// TestShutdownGivesUp does not wait for ever for a request that does not end, and logs that as the server's doing.
func TestShutdownGivesUp(t *testing.T) {
	var log lockedBuffer
	s := newServerLogging(t, &log, func(c *server.Config) { c.ShutdownTimeout = 400 * time.Millisecond })
	_, finish := s.beginUpload(t)
	defer finish()
	s.waitInFlight(t, 1)
	s.stop()
	select {
	case err := <-s.ended:
		if err == nil {
			t.Error("the request was given up, and Run said nothing")
		}
	case <-time.After(within):
		t.Error("the server does not stop")
	}
	waitFor(t, func() bool { return strings.Contains(log.String(), "path=/graphql status=503") })
}

func TestAddressInUse(t *testing.T) {
	s := newServer(t)
	c := server.DefaultConfig()
	c.Address = strings.TrimPrefix(s.url, "http://")
	if _, err := server.New(t.Context(), c, slog.New(slog.DiscardHandler)); err == nil ||
		!strings.Contains(err.Error(), "--address") {
		t.Error(err)
	}
}

// waitFor waits until the condition holds.
func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it takes too long")
		}
	}
}

// TestMissingProvider holds that the server does not start where the models' provider is asked for and is not there: the
// ONNX Runtime of npm has no CUDA.
func TestMissingProvider(t *testing.T) {
	c := server.DefaultConfig()
	c.Address, c.Data = "127.0.0.1:0", t.TempDir()
	c.DatabaseURL = server.DatabaseURL(persistencetest.Database(t))
	c.Provider = inference.ProviderCUDA
	_, err := server.New(t.Context(), c, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "execution provider cuda: libonnxruntime_providers_cuda.so is not") {
		t.Error(err)
	}
}
