package main_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"sibyl/persistence/persistencetest"
	server "sibyl/server"
)

// TestRetention has two replicas forget: the bytes of an image, of which the rest stays, and then all.
func TestRetention(t *testing.T) {
	t.Parallel()
	url := server.DatabaseURL(persistencetest.Database(t))
	on := func(c *server.Config) { c.DatabaseURL = url }
	images := func(c *server.Config) { c.KeepImages = server.KeepTime(time.Millisecond) }
	first, second := newServer(t, on, images), newServer(t, on, images)
	s := second
	path := s.predictedImage(t, digit())
	var node struct {
		ID    string
		Image struct {
			URL, DataURL, Thumbnail *string
			ByteSize                int
		}
		Predictions struct{ TotalCount int }
	}
	inputs := func() (total int) {
		answer := s.query(t, `{ inputs { totalCount nodes {
			id image { url dataUrl thumbnail byteSize } predictions { totalCount } } } }`)
		var list struct {
			TotalCount int
			Nodes      []json.RawMessage
		}
		if err := json.Unmarshal(answer.Data["inputs"], &list); err != nil || len(answer.Errors) > 0 {
			t.Fatalf("%v, %+v", err, answer)
		}
		for _, text := range list.Nodes {
			node.Image.URL = nil
			_ = json.Unmarshal(text, &node)
		}
		return list.TotalCount
	}
	waitFor(t, func() bool { return inputs() == 1 && node.Image.URL == nil })
	if node.Image.DataURL != nil || node.Image.Thumbnail != nil || node.Image.ByteSize != len(digit()) ||
		node.Predictions.TotalCount != 1 {
		t.Errorf("%+v", node)
	}
	for _, method := range []string{"GET", "HEAD"} {
		if resp := s.request(t, method, path, "", "If-None-Match", "*"); resp.StatusCode != 404 {
			t.Errorf("%s of the bytes: %d", method, resp.StatusCode)
		}
	}
	again := s.query(t, fmt.Sprintf(`mutation { predictInput(inputId: %q) { id } }`, node.ID))
	if again.code() != "NOT_FOUND" {
		t.Errorf("%+v", again)
	}
	for _, replica := range []*service{first, second} {
		replica.stop()
		<-replica.ended
	}
	s = newServer(t, on, func(c *server.Config) { c.KeepPredictions = server.KeepTime(time.Millisecond) })
	waitFor(t, func() bool { return inputs() == 0 })
}
