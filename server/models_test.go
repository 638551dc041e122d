package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sibyl/inference"
)

func TestReportModels(t *testing.T) {
	repository := t.TempDir()
	for _, model := range []string{"nchw", "picky", "text"} {
		from := filepath.Join("..", "inference", "testdata", "models", model)
		if err := os.CopyFS(filepath.Join(repository, model), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	// What is black for the check is white for the model, which fails on that.
	config := filepath.Join(repository, "picky", "config.yaml")
	if err := os.WriteFile(config, []byte("input: {invert: always}"), 0o600); err != nil {
		t.Fatal(err)
	}
	engine, err := inference.Open(t.Context(), (&EngineConfig{Models: repository}).options())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = engine.Close() }()
	reports := reportModels(t.Context(), engine)
	if len(reports) != 4 {
		t.Fatal(reports)
	}
	for i, serving := range []bool{false, true} {
		if r := reports[i]; r.State != "READY" || r.Serving != serving || r.Load <= 0 || r.Run <= 0 || r.Classes != 5 {
			t.Errorf("%+v", r)
		}
	}
	if r := reports[2]; r.State != "READY" || !strings.HasPrefix(r.Reason, "it does not answer: ONNX Runtime: ") || r.Run != 0 {
		t.Errorf("%+v", r)
	}
	if r := reports[3]; r.State != "FAILED" || !strings.Contains(r.Reason, "not an ONNX file") || r.Run != 0 {
		t.Errorf("%+v", r)
	}
	var table, asJSON bytes.Buffer
	if err := printModels(&table, reports, false); err != nil {
		t.Fatal(err)
	}
	if err := printModels(&asJSON, reports, true); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(table.String(), "\ntext 1 is FAILED: model.onnx") || !strings.Contains(asJSON.String(), `"state": "FAILED"`) {
		t.Errorf("%s%s", &table, &asJSON)
	}
}
