package graph_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"sibyl/graph"
)

// BenchmarkPredictions answers a page of predictions with their inputs, as a client asks for it.
func BenchmarkPredictions(b *testing.B) {
	s := setup(b, graph.Options{})
	for range 100 {
		s.predict(b)
	}
	for _, first := range []int{20, 100} {
		b.Run(fmt.Sprint("first=", first), func(b *testing.B) {
			query := fmt.Sprintf(`{ predictions(first: %d) {
  nodes { id createdAt likelyClass { name confidence } input { id filename } } } }`, first)
			b.ReportAllocs()
			for b.Loop() {
				now := time.Now()
				ctx := graphql.StartOperationTrace(context.Background())
				operation, errs := s.executor.CreateOperationContext(ctx, &graphql.RawParams{
					Query: query, ReadTime: graphql.TraceTiming{Start: now, End: now},
				})
				if errs != nil {
					b.Fatal(errs)
				}
				next, ctx := s.executor.DispatchOperation(ctx, operation)
				if r := next(ctx); len(r.Errors) > 0 || len(r.Data) < first*100 {
					b.Fatalf("%s, %v", r.Data, r.Errors)
				}
			}
		})
	}
}
