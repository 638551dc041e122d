package main

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	t.Parallel()
	table := &table{title: "Title"}
	table.add("", "head", "×")
	table.add("a name", "1", "100")
	table.add("b", "1234567", "2 ×")
	var b strings.Builder
	if err := table.write(&b); err != nil {
		t.Fatal(err)
	}
	const want = "\nTitle\n" +
		"             head    ×\n" +
		"  a name        1  100\n" +
		"  b       1234567  2 ×\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for value, want := range map[float64]string{0: "0.00", 0.384: "0.38", 12.34: "12.3", 1841.4: "1841"} {
		if got := number(value); got != want {
			t.Errorf("%v: %s, want %s", value, got, want)
		}
	}
	if got := ratio(3, 2) + ", " + share(1, 4) + ", " + ratio(1, 0) + ", " + share(1, 0); got != "1.50 ×, 25.0 %, -, -" {
		t.Error(got)
	}
}

func TestCombinedLimit(t *testing.T) {
	t.Parallel()
	got := combinedLimit("both", limit{PerSecond: 1000}, limit{PerSecond: 3000})
	if math.Abs(got.PerSecond-750) > 1e-6 {
		t.Errorf("%v a second, want 750", got.PerSecond)
	}
}

// someReport is as of a run with the peer, and with limits.
func someReport() *report {
	used := cpuTime{service: 60 * time.Millisecond, database: 40 * time.Millisecond, generator: 10 * time.Millisecond}
	seen := tally{latencies: make([]time.Duration, 100)}
	ours, theirs := summarize(seen, time.Second, used), summarize(seen, 2*time.Second, used)
	ours.Server, theirs.Server = "Sibyl", "peer"
	ours.Workload, theirs.Workload = predictName, predictName
	return &report{
		Machine: machine{Peer: "FastAPI"},
		Loads:   []measurement{ours, theirs},
		Limits:  []limit{{Name: "raw", PerSecond: 400, Unit: "rows"}},
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := someReport()
	var b strings.Builder
	if err := r.write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Sibyl predict", "25.0 %", "2.00 ×", "1.00 ×"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	if m := r.Loads[0]; math.Abs(m.CPU-1) > 1e-9 || math.Abs(m.DatabaseCPU-0.4) > 1e-9 || m.PerSecond != 100 {
		t.Errorf("%+v", m)
	}
	path := filepath.Join(t.TempDir(), "results", "bench.json")
	if err := r.save(path); err != nil {
		t.Fatal(err)
	}
	var read report
	content, err := os.ReadFile(path)
	if err = errors.Join(err, json.Unmarshal(content, &read)); err != nil || len(read.Loads) != 2 {
		t.Errorf("%d loads, error %v", len(read.Loads), err)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	r := someReport()
	if err := r.failures(); err != nil {
		t.Error(err)
	}
	r.Loads[1].Errors, r.Loads[1].FirstError = 1, "wrong answer"
	if err := r.failures(); err == nil || !strings.Contains(err.Error(), "1 of 101 requests failed: wrong answer") {
		t.Errorf("%v", err)
	}
}
