package main_test

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	server "sibyl/server"
)

// trust has the server trust two documents, `models` and `reload`.
func trust(t *testing.T, only bool) func(*server.Config) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"models": "{ models { name } }\n", "reload": "mutation { reloadModels { name } }\n"} {
		if err := os.WriteFile(filepath.Join(dir, name+".graphql"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(c *server.Config) { c.TrustedDocuments, c.TrustedOnly = dir, only }
}

func TestTrustedDocuments(t *testing.T) {
	for only, refused := range map[bool]string{false: "", true: "BAD_REQUEST"} {
		s := newServer(t, trust(t, only))
		answer := s.post(t, []byte(`{"documentId": "models"}`), "application/json")
		if answer.Status != 200 || answer.code() != "" || string(answer.Data["models"]) != `[{"name":"mnist"}]` {
			t.Errorf("%+v", answer)
		}
		for _, document := range []string{"{__typename}", "{__schema{queryType{name}}}"} {
			if answer := s.query(t, document); answer.code() != refused {
				t.Errorf("only %t: %s: %+v", only, document, answer)
			}
		}
		if status, body := s.get(t, "/graphql?documentId=other"); status != 200 ||
			!strings.Contains(body, "PERSISTED_QUERY_NOT_FOUND") {
			t.Errorf("%d %s", status, body)
		}
	}
}

// TestTrustedDocumentsNeedKeys, and the roles of their fields: trust in a document is none in who asks for it.
func TestTrustedDocumentsNeedKeys(t *testing.T) {
	ring := newKeyring(t, "reader", "admin")
	s := newServer(t, trust(t, true), ring.use)
	for key, want := range map[string][2]string{
		"": {"UNAUTHENTICATED", "UNAUTHENTICATED"}, "reader": {"", "FORBIDDEN"}, "admin": {"", ""},
	} {
		for i, id := range []string{"models", "reload"} {
			var headers []string
			if key != "" {
				headers = []string{"X-API-Key", ring.keys[key]}
			}
			answer := readResult(t, s.request(t, http.MethodPost, "/graphql", `{"documentId": "`+id+`"}`, headers...))
			if answer.code() != want[i] {
				t.Errorf("%q asks for %s: %+v", key, id, answer)
			}
		}
	}
}

// TestUnfitTrustedDocument keeps the server from starting, before there is a database.
func TestUnfitTrustedDocument(t *testing.T) {
	c := server.DefaultConfig()
	c.Address, c.Data = "127.0.0.1:0", t.TempDir()
	trust(t, false)(&c)
	path := filepath.Join(c.TrustedDocuments, "old.graphql")
	if err := os.WriteFile(path, []byte("{ gone }"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := server.New(t.Context(), c, slog.New(slog.DiscardHandler))
	if err == nil || !strings.HasPrefix(err.Error(), "--trusted-documents: "+path+":1:3: ") {
		t.Error(err)
	}
	if entries, err := os.ReadDir(c.Data); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v: a database was begun", entries, err)
	}
}

// TestPersistedQueries: of documents only those are kept that are within the limits, too.
func TestPersistedQueries(t *testing.T) {
	s := newServer(t)
	const notFound = "PERSISTED_QUERY_NOT_FOUND"
	deep := strings.Repeat("{predictions{nodes{input", 8) + "{id}" + strings.Repeat("}}}", 8)
	for document, code := range map[string]string{"{models{name}}": "", deep: "DEPTH_LIMIT_EXCEEDED"} {
		hash := fmt.Sprintf("%x", sha256.Sum256([]byte(document)))
		extensions := `"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "` + hash + `"}}`
		last := code
		if code != "" {
			last = notFound
		}
		for i, step := range []struct{ body, code string }{
			{"{" + extensions + "}", notFound},
			{`{"query": "` + document + `", ` + extensions + "}", code},
			{"{" + extensions + "}", last},
		} {
			if answer := s.post(t, []byte(step.body), "application/json"); answer.code() != step.code || answer.Status != 200 {
				t.Errorf("%s: step %d: %+v", document, i+1, answer)
			}
		}
	}
}
