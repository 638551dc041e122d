package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRuinousModel holds that a model which ends the process that runs it is FAILED, and the server serves the others.
func TestRuinousModel(t *testing.T) {
	repository := t.TempDir()
	for model, from := range map[string]string{"divides": "ruinous", "batch1": "models"} {
		files := os.DirFS(filepath.Join("..", "inference", "testdata", from, model))
		if err := os.CopyFS(filepath.Join(repository, model), files); err != nil {
			t.Fatal(err)
		}
	}
	p := startProcess(t, t.TempDir(), "--models", repository, "--default-model", "batch1")
	if answer, err := p.predict(t.Context(), digit()); err != nil || len(answer.Errors) > 0 {
		t.Fatalf("%+v, %v", answer, err)
	}
	var found struct {
		Models []struct {
			Name     string
			Versions []struct{ State, StateReason string }
		}
	}
	p.query(t, `{ models { name versions { state stateReason } } }`, &found)
	for _, m := range found.Models {
		if v := m.Versions[0]; m.Name == "divides" && (v.State != "FAILED" || !strings.Contains(v.StateReason, "SIGFPE")) {
			t.Errorf("%+v", m)
		}
	}
	if len(found.Models) != 2 {
		t.Errorf("%+v", found)
	}
}
