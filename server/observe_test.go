package main_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"sibyl/persistence/persistencetest"
	server "sibyl/server"
)

// TestMetrics reads what was counted of a prediction, of an error, and of operations with more names than are kept.
func TestMetrics(t *testing.T) {
	s := newServer(t)
	s.predict(t, `mutation Send($image:Upload!){predict(image:$image){id}}`, digit())
	s.query(t, `query Ask{prediction(id:"prediction_01h455vb4pex5vsknk084sn02q"){id}}`)
	s.query(t, `{`)
	for i := range 110 {
		s.query(t, fmt.Sprintf("query Q%d{__typename}", i))
	}
	status, body := s.get(t, "/metrics")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	for _, line := range []string{
		`sibyl_graphql_operations_total{code="OK",operation="Send",type="mutation"} 1`,
		`sibyl_graphql_operations_total{code="NOT_FOUND",operation="Ask",type="query"} 1`,
		`sibyl_graphql_operations_total{code="GRAPHQL_PARSE_FAILED",operation="",type=""} 1`,
		`sibyl_graphql_operations_total{code="OK",operation="(other)",type="query"} 13`,
		`sibyl_graphql_operation_duration_seconds_count{operation="Send",type="mutation"} 1`,
		`sibyl_prediction_stage_duration_seconds_count{model="mnist",source="REQUEST",stage="commit",version="1"} 1`,
		`sibyl_prediction_stage_duration_seconds_count{model="mnist",source="REQUEST",stage="queue",version="1"} 1`,
		`sibyl_inference_request_success_total{model="mnist",provider="cpu",version="1"} 1`,
		`sibyl_commit_rows_total 1`,
		`sibyl_database_connections_max 16`,
		`sibyl_operations_in_flight 0`,
		`sibyl_shadow_dropped_total 0`,
	} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
}

// TestServerTiming: the answer tells what the prediction's stages took, and all of it.
func TestServerTiming(t *testing.T) {
	s := newServer(t)
	answer := s.predict(t, `mutation($image:Upload!){predict(image:$image){id}}`, digit())
	want := regexp.MustCompile(
		`^decode;dur=[\d.]+, queue;dur=[\d.]+, inference;dur=[\d.]+, commit;dur=[\d.]+, total;dur=[\d.]+$`)
	if got := answer.Header.Get("Server-Timing"); !want.MatchString(got) {
		t.Errorf("%q", got)
	}
	if got := s.query(t, "{__typename}").Header.Get("Server-Timing"); !regexp.MustCompile(`^total;dur=[\d.]+$`).MatchString(got) {
		t.Errorf("%q", got)
	}
}

// collector takes spans as an OpenTelemetry collector does: OTLP over HTTP, in Protobuf.
type collector struct {
	mu    sync.Mutex
	spans map[string]string // by name: the trace they are of; guarded by mu
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(r.Body)
	}
	message, _ := io.ReadAll(body)
	var sent tracepb.ExportTraceServiceRequest
	if err := proto.Unmarshal(message, &sent); err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, r.URL.Path, http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range sent.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				c.spans[span.Name] = fmt.Sprintf("%x", span.TraceId)
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// TestTraces: a request's trace goes on in the server, down to the commit, and has been sent when the server has ended.
func TestTraces(t *testing.T) {
	c := &collector{spans: make(map[string]string)}
	collecting := httptest.NewServer(c)
	defer collecting.Close()
	s := newServer(t, func(config *server.Config) { config.OTLPEndpoint = collecting.URL })
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	body, contentType := uploadBody(`mutation Send($image:Upload!){predict(image:$image){id}}`, digit())
	s.postTraced(t, trace, body, contentType)
	s.postTraced(t, trace, []byte(`{"query":"{predictions{nodes{id}}}"}`), "application/json")
	s.get(t, "/healthz")
	s.stop()
	if err := <-s.ended; err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range []string{"POST /graphql", "graphql mutation", "decode", "queue", "inference", "commit"} {
		if c.spans[name] != trace {
			t.Errorf("%s is of trace %q", name, c.spans[name])
		}
	}
	if _, ok := c.spans["GET /healthz"]; ok {
		t.Error("there is a trace of /healthz")
	}
	if !slices.ContainsFunc(slices.Collect(maps.Keys(c.spans)), func(name string) bool {
		return strings.Contains(strings.ToLower(name), "select") && c.spans[name] == trace
	}) {
		t.Errorf("no span of a statement: %v", c.spans)
	}
}

// postTraced sends a request as a part of a trace.
func (s *service) postTraced(t *testing.T, trace string, body []byte, contentType string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("GraphQL-Require-Preflight", "1")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}

// TestDebugAddress serves pprof on loopback addresses alone, and not beside the service.
func TestDebugAddress(t *testing.T) {
	c := server.DefaultConfig()
	c.DebugAddress = "0.0.0.0:6060"
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "--debug-address") {
		t.Error(err)
	}
	c.Address, c.Data, c.DebugAddress = "127.0.0.1:0", t.TempDir(), "127.0.0.1:0"
	c.DatabaseURL = server.DatabaseURL(persistencetest.Database(t))
	var log lockedBuffer
	s, err := server.New(t.Context(), c, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	url := regexp.MustCompile(`msg=pprof url=(\S+)`).FindStringSubmatch(log.String())
	if url == nil {
		t.Fatal(log.String())
	}
	resp, err := http.Get(url[1] + "goroutine?debug=1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), "goroutine profile") {
		t.Errorf("%v: %s", err, body)
	}
}
