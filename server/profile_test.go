package main_test

import (
	"bytes"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// labelHandler is the label by which samples are told apart.
const labelHandler = "handler"

// taken is nanoseconds of the processors by the samples with one label: of HTTP and GraphQL, and of these by gqlgen's
// executor with the resolvers. What has no label, as the collection of garbage, is nobody's.
type taken struct{ overhead, executor float64 }

// profiled runs f under a profile, and returns what was taken by label.
func profiled(b *testing.B, f func()) map[string]taken {
	b.Helper()
	var text bytes.Buffer
	if err := pprof.StartCPUProfile(&text); err != nil {
		b.Fatal(err)
	}
	f()
	pprof.StopCPUProfile()
	p, err := profile.Parse(&text)
	if err != nil {
		b.Fatal(err)
	}
	took := map[string]taken{}
	for _, sample := range p.Sample {
		label, in := strings.Join(sample.Label[labelHandler], ""), layersOf(sample)
		if label == "" || in.below || in.recorder || in.harness && !in.handler {
			continue
		}
		sum, nanoseconds := took[label], float64(sample.Value[1])
		sum.overhead += nanoseconds
		if in.executor {
			sum.executor += nanoseconds
		}
		took[label] = sum
	}
	return took
}

// layers are those that a stack goes through.
type layers struct{ harness, recorder, handler, executor, below bool }

func layersOf(sample *profile.Sample) (in layers) {
	for _, location := range sample.Location {
		for _, line := range location.Line {
			name := line.Function.Name
			switch {
			case strings.HasPrefix(name, "sibyl/inference"), strings.HasPrefix(name, "sibyl/persistence."),
				strings.HasPrefix(name, "github.com/jackc/"):
				in.below = true
			case strings.HasPrefix(name, "sibyl/graph."), strings.Contains(name, "/graphql/executor."):
				in.executor = true
			case strings.HasSuffix(name, "transport.handler.ServeHTTP"), strings.HasSuffix(name, "handler.(*Server).ServeHTTP"):
				in.handler = true
			case strings.HasSuffix(name, "stockRequest.send"):
				in.harness = true
			case strings.HasPrefix(name, "net/http/httptest."):
				in.recorder = true
			}
		}
	}
	return in
}
