package main_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"sibyl/inference/benchtest"
	server "sibyl/server"
)

// BenchmarkHTTP takes requests all the way, with their client in the same process.
func BenchmarkHTTP(b *testing.B) {
	s := newServer(b, func(c *server.Config) { c.LogLevel = "warn" })
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	send := func(b *testing.B, body []byte, contentType, accepted string) {
		request, err := http.NewRequestWithContext(
			context.Background(), http.MethodPost, s.url+"/graphql", strings.NewReader(string(body)))
		if err != nil {
			b.Error(err)
			return
		}
		request.Header.Set("Content-Type", contentType)
		request.Header.Set("GraphQL-Require-Preflight", "1")
		request.Header.Set("Accept-Encoding", accepted)
		response, err := client.Do(request)
		if err != nil {
			b.Error(err)
			return
		}
		answer, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || strings.Contains(string(answer), `"errors"`) {
			b.Errorf("%s, %v", answer, err)
		}
		if coding := response.Header.Get("Content-Encoding"); coding != strings.TrimPrefix(accepted, "identity") {
			b.Errorf("coding %q of %q", coding, accepted)
		}
	}
	upload, form := uploadBody(`mutation ($image: Upload!) { predict(image: $image) { id likelyClass { name confidence } } }`,
		digit())
	for range 100 {
		send(b, upload, form, "identity")
	}
	page := func(size int) []byte {
		return fmt.Appendf(nil, `{"query": "{ predictions(first: %d) { nodes { id createdAt likelyClass { name confidence } `+
			`input { filename image { width height url } } } } }"}`, size)
	}
	for name, test := range map[string]struct {
		body                  []byte
		contentType, accepted string
	}{
		"predict":      {upload, form, "identity"},
		"list=20":      {page(20), "application/json", "identity"},
		"list=20/gzip": {page(20), "application/json", "gzip"},
		"list=20/zstd": {page(20), "application/json", "zstd"},
		"list=100":     {page(100), "application/json", "identity"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16 / runtime.GOMAXPROCS(0))
			before := benchtest.CPUTime(b)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					send(b, test.body, test.contentType, test.accepted)
				}
			})
			benchtest.ReportCPU(b, before)
		})
	}
}
