package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"sibyl/graph"
	"sibyl/persistence"
	"sibyl/persistence/persistencetest"
)

// within bounds the wait for what must happen at some time, on a busy machine.
const within = time.Minute

// subscribe begins a subscription that must begin, and returns what gives its answers. It ends with the test.
func (b *bundle) subscribe(t *testing.T, document string, variables map[string]any) func() answer {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), within)
	t.Cleanup(end)
	return b.subscribeIn(ctx, t, document, variables)
}

// subscribeIn is subscribe in a context, with which the subscription ends.
func (b *bundle) subscribeIn(ctx context.Context, t *testing.T, document string, variables map[string]any) func() answer {
	t.Helper()
	ctx, stream := graph.WithStream(graphql.StartOperationTrace(ctx))
	now := time.Now()
	operation, errs := b.executor.CreateOperationContext(ctx, &graphql.RawParams{
		Query: document, Variables: variables, ReadTime: graphql.TraceTiming{Start: now, End: now},
	})
	if errs != nil {
		t.Fatal(errs)
	}
	next, ctx := b.executor.DispatchOperation(ctx, operation)
	if !stream.Opened() {
		t.Fatal(next(ctx).Errors)
	}
	return func() answer {
		response := next(ctx)
		if response == nil {
			t.Fatal("the subscription has ended")
		}
		a := answer{Errors: response.Errors}
		if response.Data != nil {
			if err := json.Unmarshal(response.Data, &a.Data); err != nil {
				t.Fatalf("%s: %v", response.Data, err)
			}
		}
		return a
	}
}

// TestPredictionAdded gives predictions complete, on another replica than the one that made them.
func TestPredictionAdded(t *testing.T) {
	url := persistencetest.Migrated(t)
	maker, other := replica(t, url, "", graph.Options{}), replica(t, url, "", graph.Options{})
	const fields = `{ id source likelyClass { name } classes(top: 1) { name } scores
  input { filename label { className } image { byteSize } predictions { totalCount } } model { name version } }`
	next := other.subscribe(t, `subscription { predictionAdded `+fields+` }`, nil)
	elsewhere := other.subscribe(t, `subscription ($f: PredictionFilter) { predictionAdded(filter: $f) { id } }`,
		map[string]any{"f": map[string]any{"source": []any{"SHADOW", "REPLAY"}}})
	for range 3 {
		id := maker.predict(t)
		a := next()
		want := maker.must(t, `query ($id: ID!) { prediction(id: $id) `+fields+` }`, map[string]any{"id": id})
		if got, want := a.at(t, "predictionAdded"), want.at(t, "prediction"); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v %v\nwant %v", got, a.Errors, want)
		}
	}
	shadow := persistence.NewPredictionID()
	parsed, err := persistence.ParsePredictionID(maker.predict(t))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := maker.store.PredictionsByID(t.Context(), []persistence.PredictionID{parsed})
	if err != nil {
		t.Fatal(err)
	}
	copied := *rows[0]
	copied.ID, copied.CreatedAt, copied.Source = shadow, shadow.Time(), persistence.SourceShadow
	if err := maker.store.Record(t.Context(), &persistence.Record{Prediction: &copied}); err != nil {
		t.Fatal(err)
	}
	if got := elsewhere().text(t, "predictionAdded", "id"); got != shadow.String() {
		t.Errorf("got %s, want the shadow's %s", got, shadow)
	}
}

// TestPredictionAddedReadsLittle: nothing that is not selected, and what is once for all subscribers.
func TestPredictionAddedReadsLittle(t *testing.T) {
	b := setup(t, graph.Options{})
	const few, all = `subscription { predictionAdded { id likelyClass { name } } }`,
		`subscription { predictionAdded { id scores outputs { name } input { filename } } }`
	next := []func() answer{
		b.subscribe(t, few, nil), b.subscribe(t, few, nil), b.subscribe(t, all, nil), b.subscribe(t, all, nil),
	}
	b.predict(t)
	for _, f := range next {
		f()
	}
	statements := strings.Join(b.statements(t, func() {
		b.predict(t)
		for _, f := range next {
			f()
		}
	}), "\n")
	for part, want := range map[string]int{"FROM inputs": 1, "p.outputs": 1, "FROM predictions": 2, "pg_notify": 1} {
		if got := strings.Count(statements, part); got != want {
			t.Errorf("%d statements with %s, want %d:\n%s", got, part, want, statements)
		}
	}
}

// TestPredictionAddedRefuses what it cannot begin.
func TestPredictionAddedRefuses(t *testing.T) {
	b := setup(t, graph.Options{})
	for document, code := range map[string]graph.Code{
		`subscription { predictionAdded(filter: {inputId: "x"}) { id } }`:           graph.CodeBadUserInput,
		`subscription { a: predictionAdded { id } b: predictionAdded { id } }`:      graph.CodeValidationFailed,
		`subscription { predictionAdded @skip(if: true) { id } }`:                   graph.CodeValidationFailed,
		`subscription { __typename }`:                                               graph.CodeValidationFailed,
		`subscription { predictionAdded(filter: {confidence: {gte: "x"}}) { id } }`: graph.CodeValidationFailed,
	} {
		if a := b.do(t, document, nil); a.codes() != string(code) || len(a.Errors[0].Locations) == 0 {
			t.Errorf("%s: %+v", document, a.Errors)
		}
	}
	b.store.Close()
	if a := b.do(t, `subscription { predictionAdded { id } }`, nil); a.codes() != string(graph.CodeUnavailable) {
		t.Error(a.Errors)
	}
}

// TestPredictionAddedOfADeletedInput is an error that lies where it happened; the next one comes all the same.
func TestPredictionAddedOfADeletedInput(t *testing.T) {
	b := setup(t, graph.Options{})
	next := b.subscribe(t, `subscription { added: predictionAdded { id input { id } } }`, nil)
	const mutation = `mutation ($image: Upload!) { predict(image: $image) { input { id } } }`
	input := b.must(t, mutation, map[string]any{"image": one()}).text(t, "predict", "input", "id")
	b.must(t, `mutation ($id: ID!) { deleteInput(inputId: $id) { id } }`, map[string]any{"id": input})
	id := b.predict(t)
	a := next()
	if len(a.Errors) > 0 { // it was deleted before it was read
		if a.Data != nil || a.Errors[0].Path.String() != "added.input" || a.codes() != string(graph.CodeNotFound) {
			t.Errorf("%v, %v", a.Data, a.Errors)
		}
		a = next()
	} else if a.text(t, "added", "id") != id {
		a = next()
	}
	if got := a.text(t, "added", "id"); got != id {
		t.Errorf("got %s, want %s", got, id)
	}
}

// TestPredictionAddedEnds with a reason where the client does not wish it.
func TestPredictionAddedEnds(t *testing.T) {
	b := setup(t, graph.Options{})
	next := b.subscribe(t, `subscription { predictionAdded { id } }`, nil)
	b.store.Close()
	if a := next(); a.codes() != string(graph.CodeUnavailable) || a.Data != nil {
		t.Errorf("%v, %v", a.Data, a.Errors)
	}
}

// brokenContext panics once when it is asked whether it has ended, after it was armed.
type brokenContext struct {
	context.Context
	armed    atomic.Bool
	panicked chan struct{} // is closed then
}

func (c *brokenContext) Err() error {
	if c.armed.Swap(false) {
		close(c.panicked)
		panic("secret of the server")
	}
	return c.Context.Err()
}

// TestPredictionAddedPanics as other fields do: with an error that tells the request's ID, and nothing else.
func TestPredictionAddedPanics(t *testing.T) {
	b := setup(t, graph.Options{})
	ctx, end := context.WithTimeout(graph.WithRequestID(t.Context(), "the-id"), within)
	t.Cleanup(end)
	broken := &brokenContext{Context: ctx, panicked: make(chan struct{})}
	next := b.subscribeIn(broken, t, `subscription { predictionAdded { id } }`, nil)
	broken.armed.Store(true)
	b.store.Close() // it looks why there is no more
	select {
	case <-broken.panicked: // not in what gives the answers, which asks too
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	a := next()
	if a.codes() != string(graph.CodeInternal) || a.Data != nil {
		t.Fatalf("%v, %v", a.Data, a.Errors)
	}
	if err := a.Errors[0]; err.Message != "internal server error" || err.Extensions["requestId"] != "the-id" {
		t.Errorf("%+v", err)
	}
}
