package graph_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"sibyl/graph"
	"sibyl/persistence/persistencetest"
)

// release makes versions of a model in a repository, each of them the embedded model.
func release(t *testing.T, repository, model string, versions ...int) {
	t.Helper()
	mnist := filepath.Join("..", "inference", "models", "mnist")
	for _, version := range versions {
		to := filepath.Join(repository, model, strconv.Itoa(version))
		if err := os.CopyFS(to, os.DirFS(filepath.Join(mnist, "1"))); err != nil {
			t.Fatal(err)
		}
	}
	config, err := os.ReadFile(filepath.Join(mnist, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(repository, model, "config.yaml"), config, 0o600); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what happens in its own time, in the background.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// serving is the version that serves model m, and that which shadows it.
func (b *bundle) serving(t *testing.T) string {
	t.Helper()
	a := b.must(t, `{ model(name: "m") { serving { version } shadow { version } } }`, nil)
	var numbers []string
	for _, field := range []string{"serving", "shadow"} {
		if number, ok := a.at(t, "model", field, "version").(float64); ok {
			numbers = append(numbers, strconv.Itoa(int(number)))
		}
	}
	return strings.Join(numbers, " beside ")
}

func TestReloadModels(t *testing.T) {
	repository := t.TempDir()
	release(t, repository, "m", 1)
	b := replica(t, persistencetest.Migrated(t), repository, graph.Options{})
	release(t, repository, "m", 2)
	release(t, repository, "n", 1)
	a := b.must(t, `mutation { reloadModels { name serving { version } versions { version state } } }`, nil)
	if models := a.at(t, "reloadModels").([]any); len(models) != 2 || a.at(t, "reloadModels", 0, "serving", "version") != 2.0 ||
		a.text(t, "reloadModels", 1, "name") != "n" {
		t.Errorf("new versions: %v", a)
	}
	id := b.must(t, `mutation ($image: Upload!) { predict(image: $image, model: "m") { id model { version } } }`,
		map[string]any{"image": one()}).text(t, "predict", "id")
	if err := os.RemoveAll(filepath.Join(repository, "m", "2")); err != nil {
		t.Fatal(err)
	}
	a = b.must(t, `mutation { reloadModels { serving { version } versions { version state executionProvider } } }`, nil)
	if a.at(t, "reloadModels", 0, "serving", "version") != 1.0 || a.text(t, "reloadModels", 0, "versions", 1, "state") != "RETIRED" {
		t.Errorf("a version is gone: %v", a)
	}
	a = b.must(t, `query ($id: ID!) { prediction(id: $id) { likelyClass { name } scores model { version state } } }`,
		map[string]any{"id": id})
	if a.text(t, "prediction", "model", "state") != "RETIRED" || len(a.at(t, "prediction", "scores").([]any)) != 10 {
		t.Errorf("its prediction: %v", a)
	}
	a = b.do(t, `mutation ($image: Upload!) { predict(image: $image, model: "m", version: 2) { id } }`,
		map[string]any{"image": one()})
	if a.codes() != "MODEL_NOT_FOUND" {
		t.Errorf("a retired version: %v", a)
	}
}

func TestChangedVersionIsRefusedOnceItPredicted(t *testing.T) {
	repository := t.TempDir()
	release(t, repository, "m", 1)
	b := replica(t, persistencetest.Migrated(t), repository, graph.Options{})
	b.predict(t)
	labels := strings.Repeat("x\n", 10)
	if err := os.WriteFile(filepath.Join(repository, "m", "labels.txt"), []byte(labels), 0o600); err != nil {
		t.Fatal(err)
	}
	a := b.must(t, `mutation { reloadModels { versions { state stateReason } serving { state } } }`, nil)
	if a.text(t, "reloadModels", 0, "versions", 0, "state") != "FAILED" ||
		!strings.Contains(a.text(t, "reloadModels", 0, "versions", 0, "stateReason"), "new version number") {
		t.Errorf("other labels: %v", a)
	}
	a = b.must(t, `mutation ($image: Upload!) { predict(image: $image) { likelyClass { name } } }`, map[string]any{"image": one()})
	if a.text(t, "predict", "likelyClass", "name") != "1" {
		t.Errorf("what was loaded before: %v", a)
	}
}

// TestOneIDIsOneVersion holds that a version whose file was changed is the one that predicted, wherever it is asked for,
// FAILED with the reason, while what was loaded before answers and after a restart.
func TestOneIDIsOneVersion(t *testing.T) {
	repository, url := t.TempDir(), persistencetest.Migrated(t)
	release(t, repository, "m", 1)
	b := replica(t, url, repository, graph.Options{})
	prediction := b.predict(t)
	const fields = `{ id state stateReason sha256 classNames inputs { name shape } outputs { name } }`
	const query = `query ($id: ID!, $prediction: ID!) {
  node(id: $id) { ... on ModelVersion ` + fields + ` }
  prediction(id: $prediction) { scores model ` + fields + ` }
  model(name: "m") { versions ` + fields + ` serving ` + fields + ` }
  models { versions ` + fields + ` }
}`
	before := b.must(t, `{ model(name: "m") { serving `+fields+` } }`, nil)
	id, sum := before.text(t, "model", "serving", "id"), before.text(t, "model", "serving", "sha256")
	other := filepath.Join("..", "inference", "testdata", "models", "nchw", "1", "model.onnx")
	intruder, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(repository, "m", "1", "model.onnx"), intruder, 0o600); err != nil {
		t.Fatal(err)
	}
	b.must(t, `mutation { reloadModels { name } }`, nil)
	for name, b := range map[string]*bundle{
		"while it answers": b, "after a restart": replica(t, url, repository, graph.Options{}),
	} {
		a := b.must(t, query, map[string]any{"id": id, "prediction": prediction})
		want := a.at(t, "node")
		if a.text(t, "node", "state") != "FAILED" || a.text(t, "node", "sha256") != sum ||
			a.text(t, "node", "stateReason") == "" ||
			!reflect.DeepEqual(a.at(t, "node", "classNames"), before.at(t, "model", "serving", "classNames")) {
			t.Errorf("%s: %v", name, want)
		}
		for _, got := range []any{
			a.at(t, "prediction", "model"), a.at(t, "model", "versions", 0), a.at(t, "models", 0, "versions", 0),
		} {
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
		if serving := a.at(t, "model", "serving"); serving != nil && !reflect.DeepEqual(serving, want) {
			t.Errorf("%s: %v serves, want %v", name, serving, want)
		}
		if len(a.at(t, "prediction", "scores").([]any)) != 10 {
			t.Errorf("%s: its prediction is read as another's", name)
		}
	}
}

func TestRouteModel(t *testing.T) {
	url, here, there := persistencetest.Migrated(t), t.TempDir(), t.TempDir()
	release(t, here, "m", 1, 2, 3)
	release(t, there, "m", 1, 2, 3)
	b, other := replica(t, url, here, graph.Options{}), replica(t, url, there, graph.Options{})
	if got := b.serving(t); got != "3" {
		t.Fatalf("at first %s serves", got)
	}
	a := b.must(t, `mutation { routeModel(model: "m", serving: 1, shadow: 2) { serving { version } shadow { version } } }`, nil)
	if a.at(t, "routeModel", "serving", "version") != 1.0 || a.at(t, "routeModel", "shadow", "version") != 2.0 {
		t.Errorf("routed: %v", a)
	}
	eventually(t, "the other replica follows", func() bool { return other.serving(t) == "1 beside 2" })
	other.must(t, `mutation { routeModel(model: "m", serving: 2) { name } }`, nil)
	eventually(t, "and is followed", func() bool { return b.serving(t) == "2" })
	if got := replica(t, url, here, graph.Options{}).serving(t); got != "2" {
		t.Errorf("after a restart %s serves", got)
	}
	for query, code := range map[string]string{
		`mutation { routeModel(model: "none", serving: 1) { name } }`:         "MODEL_NOT_FOUND",
		`mutation { routeModel(model: "", serving: 1) { name } }`:             "MODEL_NOT_FOUND",
		`mutation { routeModel(model: "m", serving: 9) { name } }`:            "MODEL_NOT_FOUND",
		`mutation { routeModel(model: "m", serving: 0) { name } }`:            "BAD_USER_INPUT",
		`mutation { routeModel(model: "m", serving: 1, shadow: 9) { name } }`: "MODEL_NOT_FOUND",
		`mutation { routeModel(model: "m", serving: 1, shadow: 1) { name } }`: "BAD_USER_INPUT",
	} {
		if a := b.do(t, query, nil); a.codes() != code || b.serving(t) != "2" {
			t.Errorf("%s: %v, want %s", query, a, code)
		}
	}
}

func TestShadow(t *testing.T) {
	repository := t.TempDir()
	release(t, repository, "m", 1, 2)
	b := replica(t, persistencetest.Migrated(t), repository, graph.Options{})
	b.must(t, `mutation { routeModel(model: "m", serving: 1, shadow: 2) { name } }`, nil)
	id := b.predict(t)
	b.must(t, `mutation ($image: Upload!) { predict(image: $image, version: 2) { id } }`, map[string]any{"image": one()})
	eventually(t, "one run of the shadow", func() bool { return b.resolver.ShadowStatistics().Stored == 1 })
	a := b.must(t, `query ($id: ID!) {
  prediction(id: $id) { input { predictions { nodes { source likelyClass { name } model { version } } } } }
  predictions { totalCount }
  shadows: predictions(filter: {source: SHADOW}) { totalCount }
}`, map[string]any{"id": id})
	nodes := a.at(t, "prediction", "input", "predictions", "nodes").([]any)
	if len(nodes) != 2 || a.text(t, "prediction", "input", "predictions", "nodes", 0, "source") != "SHADOW" ||
		a.at(t, "prediction", "input", "predictions", "nodes", 0, "model", "version") != 2.0 {
		t.Errorf("beside the request: %v", a)
	}
	if a.at(t, "predictions", "totalCount") != 2.0 || a.at(t, "shadows", "totalCount") != 1.0 {
		t.Errorf("lists: %v", a)
	}
	if got := b.resolver.ShadowStatistics(); got != (graph.ShadowStatistics{Stored: 1}) {
		t.Errorf("%+v", got)
	}
}

// TestShadowNeverFailsARequest holds that with more requests than shadows can follow, all are answered, and every run of
// the shadow is accounted for, also what waits when the server stops, and what comes after.
func TestShadowNeverFailsARequest(t *testing.T) {
	repository := t.TempDir()
	release(t, repository, "m", 1, 2)
	b := replica(t, persistencetest.Migrated(t), repository, graph.Options{})
	b.must(t, `mutation { routeModel(model: "m", serving: 1, shadow: 2) { name } }`, nil)
	const requests, images = 20, 60
	uploads := make([]any, images)
	for i := range uploads {
		uploads[i] = one()
	}
	for range requests {
		b.must(t, `mutation ($images: [Upload!]!) { predictBatch(images: $images) { ... on Prediction { id } } }`,
			map[string]any{"images": uploads})
	}
	b.resolver.Close()
	b.predict(t)
	eventually(t, "every run of the shadow is stored or dropped", func() bool {
		s := b.resolver.ShadowStatistics()
		return s.Stored+s.Dropped == requests*images+1 && s.Failed == 0
	})
	s := b.resolver.ShadowStatistics()
	a := b.must(t, `{ predictions { totalCount } shadows: predictions(filter: {source: SHADOW}) { totalCount } }`, nil)
	if a.at(t, "predictions", "totalCount") != float64(requests*images+1) ||
		a.at(t, "shadows", "totalCount") != float64(s.Stored) {
		t.Errorf("%v, %+v", a, s)
	}
}

// TestShadowOfADeletedInputIsDropped deletes the input in the operation that asks for it, which is before the shadow runs.
func TestShadowOfADeletedInputIsDropped(t *testing.T) {
	repository := t.TempDir()
	release(t, repository, "m", 1, 2)
	b := replica(t, persistencetest.Migrated(t), repository, graph.Options{})
	id := b.must(t, `mutation ($image: Upload!) { predict(image: $image) { input { id } } }`,
		map[string]any{"image": one()}).text(t, "predict", "input", "id")
	b.must(t, `mutation { routeModel(model: "m", serving: 1, shadow: 2) { name } }`, nil)
	b.must(t, `mutation ($id: ID!) { predictInput(inputId: $id) { id } deleteInput(inputId: $id) { id } }`,
		map[string]any{"id": id})
	eventually(t, "the run is accounted for", func() bool {
		return b.resolver.ShadowStatistics() != graph.ShadowStatistics{}
	})
	if got := b.resolver.ShadowStatistics(); got != (graph.ShadowStatistics{Dropped: 1}) {
		t.Errorf("%+v", got)
	}
}
