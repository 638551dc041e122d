package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sibyl/persistence/persistencetest"
)

// TestMigrate: without more words it goes up, and it says why tables cannot be distributed.
func TestMigrate(t *testing.T) {
	t.Parallel()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	url := persistencetest.Database(t)
	run := func(arguments ...string) (string, error) {
		out, err := exec.Command(path, append(arguments, "--database-url", url)...).CombinedOutput()
		return string(out), err
	}
	if out, err := run("migrate"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := run("migrate", "version"); err != nil || strings.TrimSpace(out) == "0" {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := run("migrate", "--distributed"); err == nil || !strings.Contains(out, "CREATE EXTENSION citus") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestNoDatabase: what only looks at a database, or takes from it, makes none.
func TestNoDatabase(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "misspelt")
	for _, command := range []string{"export", "migrate version", "migrate down"} {
		out, err := exec.Command(path, append(strings.Fields(command), "--data", data)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "misspelt has no database") {
			t.Errorf("%s: %v: %s", command, err, out)
		}
		if _, err := os.Stat(data); !os.IsNotExist(err) {
			t.Errorf("%s has made a directory: %v", command, err)
		}
	}
}
