package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"

	"sibyl/graph"
	"sibyl/server/transport"
)

// trustedSuffix is what the names of files with trusted documents end with.
const trustedSuffix = ".graphql"

// openDocuments comes before the database: a document that nobody could ask for is told at once.
func (s *Server) openDocuments(context.Context) (err error) {
	var trusted transport.Trusted
	if dir := s.config.TrustedDocuments; dir != "" {
		if trusted, err = readTrusted(dir, &s.config.DocumentLimits); err != nil {
			return fmt.Errorf("--trusted-documents: %w", err)
		}
	}
	s.documents = transport.NewDocuments(trusted, s.config.TrustedOnly, s.config.PersistedQueries)
	return nil
}

// readTrusted reads the documents of a directory. It fails with the first that is not fit to be run.
func readTrusted(dir string, limits *DocumentLimits) (transport.Trusted, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	trusted := make(transport.Trusted)
	for _, entry := range entries {
		name, isDocument := strings.CutSuffix(entry.Name(), trustedSuffix)
		if !isDocument || entry.IsDir() {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := checkDocument(string(text), limits); err != nil {
			err.SetFile(path) // its text begins with it
			return nil, err
		}
		if err := trusted.Add(name, string(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if len(trusted) == 0 {
		return nil, fmt.Errorf("%s has no file *%s", dir, trustedSuffix)
	}
	return trusted, nil
}

// checkDocument returns the error for which a document would be refused, whatever its variables are.
func checkDocument(text string, limits *DocumentLimits) *gqlerror.Error {
	if !utf8.ValidString(text) {
		return gqlerror.Errorf("it is not in UTF-8")
	}
	document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, limits.MaxTokens)
	if err != nil {
		return gqlerror.WrapIfUnwrapped(err)
	}
	if len(document.Operations) == 0 {
		return gqlerror.Errorf("it has no operation")
	}
	if err := limits.check(document); err != nil {
		return err
	}
	return graph.CheckDocument(document)
}
