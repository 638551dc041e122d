package main

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sibyl/graph"
	"sibyl/server/keys"
	"sibyl/server/transport"
)

// TestExportsEndWithTheirKeyAlone, or with the role, even those whose clients do not read; those of others go on.
func TestExportsEndWithTheirKeyAlone(t *testing.T) {
	h := newExportHandler(t, transport.NewGate(1, 1<<30))
	h.stall = time.Hour
	path := filepath.Join(t.TempDir(), "keys")
	key, lines := map[string]string{}, map[string]string{}
	write := func() {
		var text strings.Builder
		for _, line := range lines {
			text.WriteString(line + "\n")
		}
		if err := errors.Join(os.WriteFile(path+".new", []byte(text.String()), 0o600), os.Rename(path+".new", path)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"gone", "less", "same"} {
		var err error
		if key[name], lines[name], err = keys.New(name, []graph.Role{graph.RoleReader}); err != nil {
			t.Fatal(err)
		}
	}
	write()
	a := &access{logger: h.logger}
	var err error
	if a.ring, err = keys.Open(path, slog.New(slog.DiscardHandler), a.lasting.run); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.ring.Close)
	s := httptest.NewServer(a.guardLasting(graph.RoleReader, h))
	t.Cleanup(s.Close)

	bodies := map[string]io.Reader{}
	for name := range lines {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"?images=true", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-API-Key", key[name])
		r.Header.Set("Accept-Encoding", "identity")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		if bodies[name] = resp.Body; resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
	}
	delete(lines, "gone")
	lines["less"] = strings.Replace(lines["less"], " reader ", " predictor ", 1)
	write()
	for deadline := time.Now().Add(time.Minute); len(h.running) > 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d exports go on", len(h.running))
		}
	}
	for name, body := range bodies {
		if n, err := io.Copy(io.Discard, body); (err == nil) != (name == "same") {
			t.Errorf("%s: %d bytes, then %v", name, n, err)
		}
	}
}
