package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime/pprof"
	"sync"
	"testing"
	"time"

	"sibyl/inference/benchtest"
	server "sibyl/server"
)

// stockRequest is one that both handlers answer alike.
type stockRequest struct {
	body        []byte
	contentType string
	// answers are where answers are put, whose growing is no part of what is measured.
	answers *sync.Pool
}

// send returns the answer, which is there until the next is sent. It may be called by several goroutines.
func (r stockRequest) send(t testing.TB, h http.Handler) []byte {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", bytes.NewReader(r.body))
	request.Header.Set("Content-Type", r.contentType)
	request.Header.Set("GraphQL-Require-Preflight", "1")
	recorder := httptest.NewRecorder()
	recorder.Body = r.answers.Get().(*bytes.Buffer)
	defer r.answers.Put(recorder.Body)
	recorder.Body.Reset()
	h.ServeHTTP(connection{recorder}, request)
	if recorder.Code != http.StatusOK || bytes.Contains(recorder.Body.Bytes(), []byte(`"errors"`)) {
		t.Errorf("%d %.300s", recorder.Code, recorder.Body)
	}
	return recorder.Body.Bytes()
}

// connection takes deadlines, as a connection does: a recorder that takes none makes an error of each.
type connection struct{ *httptest.ResponseRecorder }

func (connection) SetReadDeadline(time.Time) error { return nil }

// stockRequests are a prediction, a list, and an image of 1 MiB as a data URL.
func stockRequests(t testing.TB, c *server.Compared) map[string]stockRequest {
	t.Helper()
	answers := &sync.Pool{New: func() any { return new(bytes.Buffer) }}
	predict := func(file []byte) stockRequest {
		body, form := uploadBody(`mutation ($image: Upload!) {
  predict(image: $image) { id likelyClass { name confidence } } }`, file)
		return stockRequest{body, form, answers}
	}
	ask := func(document string) stockRequest {
		body, _ := json.Marshal(map[string]string{"query": document})
		return stockRequest{body, "application/json", answers}
	}
	predict(append(digit(), make([]byte, 1<<20)...)).send(t, c.Ours)
	inputs := ask(`{ inputs(first: 1) { nodes { id } } }`).send(t, c.Ours)
	_, id, _ := bytes.Cut(inputs, []byte(`"id":"`))
	large, _, _ := bytes.Cut(id, []byte(`"`))
	requests := map[string]stockRequest{
		"predict": predict(digit()),
		"list=20": ask(`{ predictions(first: 20) { nodes {
  id createdAt likelyClass { name confidence } input { filename image { width height url } } } } }`),
		"dataUrl": ask(fmt.Sprintf(`{ input(id: "%s") { image { dataUrl } } }`, large)),
	}
	for range 20 {
		requests["predict"].send(t, c.Ours)
	}
	return requests
}

// TestStockAnswersTheSame: what is compared is the same answer.
func TestStockAnswersTheSame(t *testing.T) {
	c := server.NewCompared(t)
	for name, request := range stockRequests(t, c) {
		ours, theirs := bytes.Clone(request.send(t, c.Ours)), request.send(t, c.Stock)
		if name != "predict" && !bytes.Equal(bytes.TrimSpace(ours), bytes.TrimSpace(theirs)) || len(ours) < 50 {
			t.Errorf("%s: %.300s\n%.300s", name, ours, theirs)
		}
	}
}

// BenchmarkToStock compares the processor time of HTTP and GraphQL with that of what gqlgen comes with, by a profile of
// both in turn: of whole requests, PostgreSQL's left out, and of what they take beside decode, run and commit.
// executor-ratio is what of the latter gqlgen's executor takes with our resolvers, whatever the transport: no transport
// could have less.
func BenchmarkToStock(b *testing.B) {
	c := server.NewCompared(b)
	for name, request := range stockRequests(b, c) {
		b.Run(name, func(b *testing.B) {
			var ours, stock time.Duration
			took := profiled(b, func() {
				for b.Loop() {
					ours += cpuOf(b, "ours", func() { request.send(b, c.Ours) })
					stock += cpuOf(b, "stock", func() { request.send(b, c.Stock) })
				}
			})
			b.ReportMetric(float64(ours)/float64(stock), "cpu-ratio")
			b.ReportMetric(0.5, "limit")
			if theirs := took["stock"]; theirs.overhead > 0 { // a short run has no samples
				b.ReportMetric(took["ours"].overhead/theirs.overhead, "overhead-ratio")
				b.ReportMetric(took["ours"].executor/theirs.overhead, "executor-ratio")
				b.ReportMetric(took["ours"].overhead/float64(b.N*callers*calls)/1e3, "overhead-µs")
			}
		})
	}
}

// callers share what is measured at once, as many as those who store at once in persistence's benchmarks, and each makes so
// many calls.
const callers, calls = 64, 10

// cpuOf is what calls take of all processors. They, and what they begin, have a label in profiles.
func cpuOf(b *testing.B, label string, call func()) time.Duration {
	b.Helper()
	before := benchtest.CPUTime(b)
	pprof.Do(b.Context(), pprof.Labels(labelHandler, label), func(context.Context) {
		var group sync.WaitGroup
		for range callers {
			group.Go(func() {
				for range calls {
					call()
				}
			})
		}
		group.Wait()
	})
	return benchtest.CPUTime(b) - before
}
