package main_test

import (
	"os/exec"
	"strings"
	"testing"

	"sibyl/persistence/persistencetest"
)

// TestMigrate: without more words it goes up, and it says why tables cannot be distributed.
func TestMigrate(t *testing.T) {
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
