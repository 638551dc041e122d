package main_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	server "sibyl/server"
)

// BenchmarkHTTP takes requests all the way, with their client in the same process.
func BenchmarkHTTP(b *testing.B) {
	s := newServer(b, func(c *server.Config) { c.LogLevel = "warn" })
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	send := func(b *testing.B, body []byte, contentType string) {
		request, err := http.NewRequestWithContext(
			context.Background(), http.MethodPost, s.url+"/graphql", strings.NewReader(string(body)))
		if err != nil {
			b.Error(err)
			return
		}
		request.Header.Set("Content-Type", contentType)
		request.Header.Set("GraphQL-Require-Preflight", "1")
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
	}
	upload, form := uploadBody(`mutation ($image: Upload!) { predict(image: $image) { id likelyClass { name confidence } } }`,
		digit())
	for range 100 {
		send(b, upload, form)
	}
	const list = `{ id createdAt likelyClass { name confidence } input { filename image { width height url } } } } }"}`
	for name, test := range map[string]struct {
		body        []byte
		contentType string
	}{
		"predict":  {upload, form},
		"list=20":  {[]byte(`{"query": "{ predictions(first: 20) { nodes ` + list), "application/json"},
		"list=100": {[]byte(`{"query": "{ predictions(first: 100) { nodes ` + list), "application/json"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16 / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					send(b, test.body, test.contentType)
				}
			})
		})
	}
}
