package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// directory is one with the files, by name.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadTrusted(t *testing.T) {
	limits := DefaultConfig().DocumentLimits
	dir := directory(t, map[string]string{
		"models.graphql": "{ models { name } }\n",
		"two.graphql":    "query A { models { ...F } } query B { models { ...F } } fragment F on Model { name }",
		"added.graphql":  "subscription { predictionAdded { id } }",
		"README.md":      "not a document", "old.graphql.bak": "{",
	})
	if err := os.Mkdir(filepath.Join(dir, "folder.graphql"), 0o700); err != nil {
		t.Fatal(err)
	}
	// As a mounted ConfigMap has them.
	if err := os.Symlink("models.graphql", filepath.Join(dir, "link.graphql")); err != nil {
		t.Fatal(err)
	}
	documents, err := readTrusted(dir, &limits)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"models", "two", "added", "link"} {
		if documents[name] == "" {
			t.Errorf("%s is missing", name)
		}
	}
	for _, name := range []string{"README", "README.md", "old", "folder", "other"} {
		if documents[name] != "" {
			t.Errorf("%s is there", name)
		}
	}
}

// TestUnfitTrustedDocuments keep the server from starting, with a line that names the file.
func TestUnfitTrustedDocuments(t *testing.T) {
	good := "{ models { name } }"
	limits := DefaultConfig().DocumentLimits
	limits.MaxTokens, limits.MaxDepth = 40, 3
	for name, row := range map[string]struct {
		files map[string]string
		want  string // of the error, after the directory
	}{
		"does not parse": {map[string]string{"a.graphql": good, "b.graphql": "\n{"}, "/b.graphql:2:2: Expected"},
		"unknown field":  {map[string]string{"a.graphql": good, "b.graphql": "{\n nothing }"}, "/b.graphql:2:2: Cannot query"},
		"empty":          {map[string]string{"a.graphql": ""}, "/a.graphql: "},
		"no operation":   {map[string]string{"a.graphql": "fragment F on Model { name }"}, "/a.graphql: "},
		"wrong literal":  {map[string]string{"a.graphql": "{ predictions(first: 1.5) { totalCount } }"}, "/a.graphql:1:22: "},
		"not UTF-8":      {map[string]string{"a.graphql": good + " # \xff"}, "/a.graphql: "},
		"no identifier":  {map[string]string{"a b.graphql": good}, "/a b.graphql: "},
		"other hash":     {map[string]string{strings.Repeat("ab", 32) + ".graphql": good}, "ab.graphql: "},
		"too deep":       {map[string]string{"a.graphql": "{ predictions { nodes { input { id } } } }"}, "/a.graphql: "},
		"too long":       {map[string]string{"a.graphql": "{" + strings.Repeat(" a", 100) + "}"}, "/a.graphql: "},
		"no documents":   {map[string]string{"a.txt": good}, " has no file *.graphql"},
		"no name":        {map[string]string{".graphql": good}, "/.graphql: "},
	} {
		dir := directory(t, row.files)
		_, err := readTrusted(dir, &limits)
		if err == nil || !strings.HasPrefix(err.Error(), dir) || !strings.Contains(err.Error(), row.want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := readTrusted(filepath.Join(t.TempDir(), "nowhere"), &limits); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Error(err)
	}
}
