package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"sibyl/graph"
	"sibyl/inference"
	"sibyl/persistence"
	server "sibyl/server"
)

// stockRequest is one that both handlers answer alike.
type stockRequest struct {
	body        []byte
	contentType string
	// params are what the transport makes of the body.
	params graphql.RawParams
	// answers are where answers are put, whose growing is no part of what is measured.
	answers *sync.Pool
	// below does what the handlers have done below GraphQL, alone: it is no part of their overhead.
	below func(testing.TB)
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
	h.ServeHTTP(recorder, request)
	if recorder.Code != http.StatusOK || bytes.Contains(recorder.Body.Bytes(), []byte(`"errors"`)) {
		t.Errorf("%d %.300s", recorder.Code, recorder.Body)
	}
	return recorder.Body.Bytes()
}

// stockRequests are a prediction, a list, and an image of 1 MiB as a data URL.
func stockRequests(t testing.TB, c *server.Compared) map[string]stockRequest {
	t.Helper()
	file := digit()
	const mutation = `mutation ($image: Upload!) { predict(image: $image) { id likelyClass { name confidence } } }`
	upload, form := uploadBody(mutation, file)
	answers := &sync.Pool{New: func() any { return new(bytes.Buffer) }}
	predict := stockRequest{
		upload, form,
		graphql.RawParams{Query: mutation, Variables: map[string]any{"image": graph.Upload{Data: file}}},
		answers,
		func(t testing.TB) { predictBelow(t, c, file) },
	}
	for range 20 {
		predict.send(t, c.Ours)
	}
	large := predictBelow(t, c, append(slices.Clip(file), make([]byte, 1<<20)...))
	ask := func(document string, below func(testing.TB)) stockRequest {
		body, _ := json.Marshal(map[string]string{"query": document})
		return stockRequest{body, "application/json", graphql.RawParams{Query: document}, answers, below}
	}
	query := persistence.PredictionQuery{Input: true}
	return map[string]stockRequest{
		"predict": predict,
		"list=20": ask(`{ predictions(first: 20) { nodes {
  id createdAt likelyClass { name confidence } input { filename image { width height url } } } } }`,
			func(t testing.TB) {
				if _, err := c.Store.Predictions(t.Context(), query, persistence.Page{Limit: 20}); err != nil {
					t.Error(err)
				}
			}),
		"dataUrl": ask(fmt.Sprintf(`{ input(id: "%s") { image { dataUrl } } }`, large), func(t testing.TB) {
			_, err := c.Store.Input(t.Context(), large)
			if _, imageErr := c.Store.ImagesByID(t.Context(), []persistence.InputID{large}); err != nil || imageErr != nil {
				t.Error(err, imageErr)
			}
		}),
	}
}

// predictBelow decodes, runs and commits. It may be called by several goroutines.
func predictBelow(t testing.TB, c *server.Compared, data []byte) persistence.InputID {
	t.Helper()
	in, p := persistence.NewInputID(), persistence.NewPredictionID()
	err := func() error {
		lease, err := c.Engine.Acquire("", 0)
		if err != nil {
			return err
		}
		defer lease.Release()
		result, err := lease.Predict(t.Context(), data)
		if err != nil {
			return err
		}
		return c.Store.Record(t.Context(), &persistence.Record{
			Input: &persistence.Input{
				ID: in, CreatedAt: in.Time(), ContentType: result.Image.ContentType, StoredIn: persistence.StoredInDatabase,
				Width: result.Image.Width, Height: result.Image.Height, ByteSize: len(data), SHA256: persistence.DigestOf(data),
			},
			Image: data,
			Prediction: &persistence.Prediction{
				ID: p, InputID: in, CreatedAt: p.Time(), ModelName: result.Model.Name, ModelVersion: result.Model.Version,
				Source: persistence.SourceRequest, Outputs: inference.AppendTensors(nil, result.Outputs),
			},
		})
	}()
	if err != nil {
		t.Error(err)
	}
	return in
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

// BenchmarkToStock compares the processor time of HTTP and GraphQL with that of what gqlgen comes with: of whole
// requests, and of what they take beyond what lies below GraphQL. PostgreSQL's is no part of either. executor-ratio is
// what would be left of the latter with a transport that took nothing: gqlgen's executor on our resolvers.
func BenchmarkToStock(b *testing.B) {
	c := server.NewCompared(b)
	for name, request := range stockRequests(b, c) {
		b.Run(name, func(b *testing.B) {
			calls := []func(){
				func() { request.send(b, c.Ours) },
				func() { request.send(b, c.Stock) },
				func() { request.below(b) },
				func() { c.Execute(b, request.params) },
			}
			took := make([][]time.Duration, len(calls))
			for b.Loop() {
				for i, call := range calls {
					took[i] = append(took[i], cpuOf(b, call))
				}
			}
			ours, theirs, below, executor := median(took[0]), median(took[1]), median(took[2]), median(took[3])
			b.ReportMetric(ours/theirs, "cpu-ratio")
			b.ReportMetric((ours-below)/(theirs-below), "overhead-ratio")
			b.ReportMetric((executor-below)/(theirs-below), "executor-ratio")
			b.ReportMetric(0.5, "limit")
			b.ReportMetric((ours-below)/float64(time.Microsecond), "overhead-µs")
		})
	}
}

// cpuOf is what a call takes of all processors where some callers share them.
func cpuOf(b *testing.B, call func()) time.Duration {
	b.Helper()
	const callers, calls = 8, 10
	before := cpuTime(b)
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for range calls {
				call()
			}
		})
	}
	group.Wait()
	return (cpuTime(b) - before) / (callers * calls)
}

func median(times []time.Duration) float64 {
	slices.Sort(times)
	return float64(times[len(times)/2])
}
