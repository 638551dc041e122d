package graph_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"sibyl/graph"
	"sibyl/persistence"
	"sibyl/persistence/persistencetest"
)

// TestImagesThroughTheAPI reads images by every field, wherever they are.
func TestImagesThroughTheAPI(t *testing.T) {
	for name, images := range map[string]func(*testing.T) string{
		"database": func(*testing.T) string { return "" },
		"file":     func(t *testing.T) string { return "file://" + t.TempDir() },
		"s3":       func(t *testing.T) string { return persistencetest.StartS3(t).URL },
	} {
		t.Run(name, func(t *testing.T) {
			b := replicaWith(t, persistencetest.Migrated(t), "", persistence.Options{Images: images(t)}, graph.Options{})
			first := b.predict(t)
			const again = `query ($id: ID!) { prediction(id: $id) { input { id image { dataUrl thumbnail(size: 16) } } } }`
			a := b.must(t, again, map[string]any{"id": first})
			want := "data:image/png;base64," + base64.StdEncoding.EncodeToString(one().Data)
			if got := a.text(t, "prediction", "input", "image", "dataUrl"); got != want {
				t.Errorf("%.60s", got)
			}
			if got := a.text(t, "prediction", "input", "image", "thumbnail"); !strings.HasPrefix(got, "data:image/png;base64,") {
				t.Errorf("%.60s", got)
			}
			const input = `mutation ($id: ID!) { predictInput(inputId: $id) { likelyClass { name } } }`
			id := a.text(t, "prediction", "input", "id")
			if got := b.must(t, input, map[string]any{"id": id}).text(t, "predictInput", "likelyClass", "name"); got != "1" {
				t.Errorf("predictInput: %s", got)
			}
			const batch = `mutation ($images: [Upload!]!) { predictBatch(images: $images) {
  ... on Prediction { input { image { dataUrl } } } ... on PredictError { code } } }`
			broken := graph.Upload{Filename: "broken", Data: []byte("no image")}
			a = b.must(t, batch, map[string]any{"images": []any{one(), broken, one()}})
			for i := range 3 {
				if i == 1 {
					if got := a.text(t, "predictBatch", i, "code"); got != "UNSUPPORTED_MEDIA_TYPE" {
						t.Error(got)
					}
				} else if got := a.text(t, "predictBatch", i, "input", "image", "dataUrl"); got != want {
					t.Errorf("%d: %.60s", i, got)
				}
			}
		})
	}
}

// TestThumbnailsAreKept: equal images share theirs, and their bytes are not read again.
func TestThumbnailsAreKept(t *testing.T) {
	b := setup(t, graph.Options{})
	const query = `{ predictions { nodes { id input { image { thumbnail(size: 16) } } } } }`
	b.predict(t)
	want := b.must(t, query, nil).text(t, "predictions", "nodes", 0, "input", "image", "thumbnail")
	b.predict(t)
	var a answer
	for _, statement := range b.statements(t, func() { a = b.must(t, query, nil) }) {
		if strings.Contains(statement, "i.image") {
			t.Errorf("the bytes are read: %s", statement)
		}
	}
	for i := range 2 {
		if got := a.text(t, "predictions", "nodes", i, "input", "image", "thumbnail"); got != want {
			t.Errorf("%d: %s", i, got)
		}
	}
}

// TestImagesThatCannotBeReached fail their own fields; all else is answered.
func TestImagesThatCannotBeReached(t *testing.T) {
	url, images := persistencetest.Migrated(t), "file://"+t.TempDir()
	b := replicaWith(t, url, "", persistence.Options{Images: images}, graph.Options{})
	b.predict(t)
	plain := replica(t, url, "", graph.Options{})
	plain.predict(t)
	const query = `{ predictions(first: 2) { nodes { id input { image { byteSize dataUrl thumbnail(size: 16) } } } } }`
	a := plain.do(t, query, nil)
	if a.codes() != "UNAVAILABLE UNAVAILABLE" {
		t.Errorf("%s: %v", a.codes(), a.Errors)
	}
	for _, err := range a.Errors {
		if !strings.Contains(err.Message, "not configured") || strings.Contains(err.Message, "/") {
			t.Errorf("message: %s", err.Message)
		}
	}
	for _, field := range []string{"dataUrl", "thumbnail"} {
		a.text(t, "predictions", "nodes", 0, "input", "image", field)
		if got := a.at(t, "predictions", "nodes", 1, "input", "image", field); got != nil {
			t.Errorf("%s of the other: %v", field, got)
		}
	}
	if got := a.at(t, "predictions", "nodes", 1, "input", "image", "byteSize"); got == nil {
		t.Error("byteSize needs no bytes")
	}
}

// TestLostImageStore: a prediction whose image cannot be stored is none.
func TestLostImageStore(t *testing.T) {
	s3 := persistencetest.StartS3(t)
	b := replicaWith(t, persistencetest.Migrated(t), "", persistence.Options{Images: s3.URL}, graph.Options{})
	b.predict(t)
	s3.Stop()
	for _, mutation := range []string{
		`mutation ($image: Upload!) { predict(image: $image) { id } }`,
		`mutation ($image: Upload!) { predict(image: $image, idempotencyKey: "k") { id } }`,
		`mutation ($image: Upload!) { predictBatch(images: [$image]) { __typename } }`,
	} {
		a := b.do(t, mutation, map[string]any{"image": one()})
		if a.codes() != "UNAVAILABLE" || strings.Contains(a.Errors[0].Message, "127.0.0.1") {
			t.Errorf("%s: %v", mutation, a.Errors)
		}
	}
	const count = `{ inputs { totalCount } predictions { totalCount } }`
	a := b.must(t, count, nil)
	for _, list := range []string{"inputs", "predictions"} {
		if got := a.at(t, list, "totalCount"); got != 1.0 {
			t.Errorf("%v %s are stored, of one that was acknowledged", got, list)
		}
	}
	s3.Start(t)
	b.must(t, `mutation ($image: Upload!) { predict(image: $image, idempotencyKey: "k") { id } }`,
		map[string]any{"image": one()})
}
