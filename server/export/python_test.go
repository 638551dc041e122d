package export_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sibyl/graph"
	"sibyl/persistence/persistencetest"
	"sibyl/server/export"
)

// python has pandas and DuckDB, which `make test-go` installs.
const python = "../../.cache/export/bin/python"

// seen is what a reader makes of a file.
type seen struct {
	Types map[string]string
	Rows  []map[string]any
}

// TestReaders lets pandas and DuckDB read every format without a word about its types.
func TestReaders(t *testing.T) {
	_, err := os.Stat(filepath.Join(filepath.Dir(python), "../.ready"))
	persistencetest.Need(t, "Python 3.11 with venv and the packages in server/export/testdata/requirements.txt", err == nil)
	directory := t.TempDir()
	rows := stored()
	for _, f := range []export.Format{export.JSONL, export.CSV, export.Parquet} {
		path := filepath.Join(directory, "predictions."+string(f))
		if err := os.WriteFile(path, write(t, f, true, rows), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command(python, "testdata/read.py", directory)
	command.Stderr = t.Output()
	printed, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var by map[string]map[export.Format]seen
	if err := json.Unmarshal(printed, &by); err != nil {
		t.Fatalf("%v: %s", err, printed)
	}
	for reader, files := range by {
		same(t, reader+" parquet", files[export.Parquet].Rows, parquetTable(rows))
		for column, kind := range parquetTypes[reader] {
			if got := files[export.Parquet].Types[column]; got != kind {
				t.Errorf("%s: %s is %s, want %s", reader, column, got, kind)
			}
		}
		for _, f := range []export.Format{export.CSV, export.JSONL} {
			same(t, reader+" "+string(f), only(files[f].Rows), only(table(rows, true)))
		}
	}
	for f, file := range by["duckdb"] {
		if kind := file.Types["created_at"]; kind != "TIMESTAMP WITH TIME ZONE" {
			t.Errorf("duckdb, %s: created_at is %s", f, kind)
		}
	}
}

// parquetTypes are what the readers must make of columns by themselves; pandas has no lists and no bytes of its own.
var parquetTypes = map[string]map[string]string{
	"pandas": {
		"id": "str", "created_at": "datetime64[ms, UTC]", "labelled_at": "datetime64[ms, UTC]", "version": "int32",
		"confidence": "float64", "scores": "object", "outputs": "str", "labelled": "bool", "label_value": "float64",
		"decode_microseconds": "int64", "filename": "str", "width": "int32", "image": "object",
	},
	"duckdb": {
		"id": "VARCHAR", "created_at": "TIMESTAMP WITH TIME ZONE", "labelled_at": "TIMESTAMP WITH TIME ZONE",
		"version": "INTEGER", "class_index": "INTEGER", "confidence": "DOUBLE", "scores": "DOUBLE[]", "values": "DOUBLE[]",
		"outputs": "VARCHAR", "labelled": "BOOLEAN", "correct": "BOOLEAN", "label_value": "DOUBLE",
		"decode_microseconds": "BIGINT", "filename": "VARCHAR", "byte_size": "INTEGER", "image": "BLOB",
	},
}

// parquetTable is table with the tensors as text, and instants and bytes as read.py prints them.
func parquetTable(rows []graph.Exported) []map[string]any {
	tables := table(rows, true)
	for i, row := range tables {
		row["outputs"] = outputs[i]
		for _, column := range []string{"created_at", "labelled_at"} {
			if text, ok := row[column].(string); ok {
				row[column] = strings.Replace(text, "Z", "000+00:00", 1)
			}
		}
	}
	tables[0]["image"] = hex.EncodeToString(image)
	return tables
}

// only keeps the columns that every format has in the same form.
func only(tables []map[string]any) []map[string]any {
	kept := make([]map[string]any, len(tables))
	for i, row := range tables {
		kept[i] = map[string]any{}
		for _, column := range []string{
			"id", "model", "version", "class_index", "class_name", "confidence", "labelled", "label_class_index",
			"label_value", "inference_microseconds", "input_id", "content_type", "byte_size", "sha256", "image",
		} {
			kept[i][column] = row[column]
		}
	}
	return kept
}
