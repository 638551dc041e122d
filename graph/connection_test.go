package graph

import (
	"testing"

	"github.com/google/uuid"

	"sibyl/persistence"
)

func FuzzDecodeCursor(f *testing.F) {
	confidence := 0.25
	f.Add(encodeCursor(cursorPrediction, persistence.Key{ID: uuid.Must(uuid.NewV7())}))
	f.Add(encodeCursor(cursorInput, persistence.Key{}))
	f.Add(encodeCursor(cursorPredictionLeastConfident, persistence.Key{ID: uuid.Must(uuid.NewV7()), Confidence: &confidence}))
	f.Add(encodeCursor(cursorPredictionMostConfident, persistence.Key{ID: uuid.Must(uuid.NewV7())}))
	f.Add("")
	f.Add("bm90IGEgY3Vyc29y")
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []cursorKind{
			cursorInput, cursorPrediction, cursorPredictionOldest, cursorPredictionLeastConfident, cursorPredictionMostConfident,
		} {
			if key, err := decodeCursor(kind, text); err == nil && encodeCursor(kind, *key) != text {
				t.Errorf("%q was read as a cursor at %v", text, key)
			}
		}
	})
}

func FuzzParseModelVersionID(f *testing.F) {
	f.Add(modelVersionID("mnist", 1))
	f.Add(modelVersionID("", 0))
	f.Add("modelversion_")
	f.Fuzz(func(t *testing.T, id string) {
		name, version, err := parseModelVersionID(id)
		if err == nil && modelVersionID(name, version) != id {
			t.Errorf("%q was read as version %d of %q", id, version, name)
		}
	})
}
