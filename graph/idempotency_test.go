package graph_test

import (
	"strings"
	"sync"
	"testing"

	"sibyl/graph"
	"sibyl/persistence/persistencetest"
)

const keyedMutation = `mutation ($image: Upload!, $key: String, $model: String, $version: Int) {
  predict(image: $image, idempotencyKey: $key, model: $model, version: $version) { id scores input { id filename } }
}`

func TestIdempotencyKey(t *testing.T) {
	b := setup(t, graph.Options{})
	send := func(image graph.Upload, key string, model any) answer {
		return b.do(t, keyedMutation, map[string]any{"image": image, "key": key, "model": model})
	}
	first := send(one(), "k", nil)
	if len(first.Errors) > 0 {
		t.Fatal(first)
	}
	again := send(one(), "k", nil)
	if again.text(t, "predict", "id") != first.text(t, "predict", "id") || len(again.at(t, "predict", "scores").([]any)) != 10 ||
		again.text(t, "predict", "input", "id") != first.text(t, "predict", "input", "id") {
		t.Errorf("again: %v, want %v", again, first)
	}
	other := one()
	other.Data = append(other.Data, 0)
	for name, a := range map[string]answer{"another image": send(other, "k", nil), "other arguments": send(one(), "k", "mnist")} {
		if a.codes() != "IDEMPOTENCY_CONFLICT" {
			t.Errorf("%s: %v", name, a)
		}
	}
	for _, key := range []string{"", strings.Repeat("k", 256), "a\x00b"} {
		if a := send(one(), key, nil); a.codes() != "BAD_USER_INPUT" {
			t.Errorf("%.10q: %v", key, a)
		}
	}
	if a := send(graph.Upload{Data: []byte("no image")}, "bad", nil); a.codes() != "UNSUPPORTED_MEDIA_TYPE" {
		t.Errorf("%v", a)
	}
	if a := send(one(), "bad", nil); len(a.Errors) > 0 {
		t.Errorf("a key of what failed: %v", a)
	}
	if n := b.must(t, `{ predictions { totalCount } }`, nil).at(t, "predictions", "totalCount"); n != 2.0 {
		t.Errorf("%v are stored, want 2", n)
	}
	b.must(t, `mutation ($id: ID!) { deleteInput(inputId: $id) { id } }`,
		map[string]any{"id": first.text(t, "predict", "input", "id")})
	if a := send(one(), "k", nil); a.codes() != "NOT_FOUND" {
		t.Errorf("a deleted one: %v", a)
	}
}

// TestIdempotencyKeyOfACaller: another caller with the same key is another request.
func TestIdempotencyKeyOfACaller(t *testing.T) {
	b := setup(t, graph.Options{})
	ids := map[string]string{}
	for name, caller := range map[string]*graph.Caller{"nobody": nil, "a": {Name: "a"}, "b": {Name: "b"}} {
		var got [2]string
		for i := range got {
			made := b.as(caller).must(t, keyedMutation, map[string]any{"image": one(), "key": "k"})
			got[i] = made.text(t, "predict", "id")
		}
		if got[0] != got[1] || ids[got[0]] != "" {
			t.Errorf("%s got %v, where others got %v", name, got, ids)
		}
		ids[got[0]] = name
	}
}

// TestIdempotencyKeyAtTheSameTime sends one key to two replicas many times at once.
func TestIdempotencyKeyAtTheSameTime(t *testing.T) {
	url := persistencetest.Migrated(t)
	replicas := []*bundle{replica(t, url, "", graph.Options{}), replica(t, url, "", graph.Options{})}
	const n = 50
	ids := make([]string, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			a := replicas[i%2].do(t, keyedMutation, map[string]any{"image": one(), "key": "same"})
			if len(a.Errors) > 0 {
				t.Error(a)
				return
			}
			ids[i], _ = a.Data["predict"].(map[string]any)["id"].(string)
		})
	}
	group.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Fatalf("%v", ids)
		}
	}
	if n := replicas[0].must(t, `{ inputs { totalCount } }`, nil).at(t, "inputs", "totalCount"); n != 1.0 {
		t.Errorf("%v inputs are stored", n)
	}
}
