package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestREADMETellsEveryFlag compares the configuration table of the README with --help.
func TestREADMETellsEveryFlag(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `--") {
			rows = append(rows, strings.TrimSpace(line))
		}
	}
	for i, f := range flags() {
		value := ""
		if f.Default != "" {
			value = "`" + f.Default + "`"
		}
		row := "| `" + f.Name + "` | `" + f.Variable + "` | " + value + " | "
		if i >= len(rows) || !strings.HasPrefix(rows[i], row) {
			t.Errorf("row %d of the README's table must begin with %s", i+1, row)
		}
	}
	if n := len(flags()); len(rows) != n {
		t.Errorf("the README's table has %d flags, --help has %d", len(rows), n)
	}
}

// TestREADMESendsFilesThatExist: what curl is told to send can be sent from the checkout.
func TestREADMESendsFilesThatExist(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	sent := regexp.MustCompile(`(?:=| -d | --data-binary )@([^\s'"]+)`).FindAllStringSubmatch(string(text), -1)
	if len(sent) == 0 {
		t.Error("the README sends no file")
	}
	for _, path := range sent {
		if info, err := os.Stat(filepath.Join("..", path[1])); err != nil || !info.Mode().IsRegular() {
			t.Errorf("@%s: %v", path[1], err)
		}
	}
}
