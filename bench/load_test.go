package main

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	tests := []struct {
		sorted  []time.Duration
		percent float64
		want    time.Duration
	}{
		{nil, 50, 0},
		{[]time.Duration{7}, 50, 7},
		{[]time.Duration{7}, 99, 7},
		{[]time.Duration{1, 2}, 50, 1},
		{[]time.Duration{1, 2, 3}, 50, 2},
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred, 100, 100},
		{hundred, 0, 1},
	}
	for _, test := range tests {
		if got := percentile(test.sorted, test.percent); got != test.want {
			t.Errorf("percentile %v of %d: %d, want %d", test.percent, len(test.sorted), got, test.want)
		}
	}
}

// TestDrive sends real uploads to a server that gives a wrong answer now and then.
func TestDrive(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := served.Add(1)
		if err := r.ParseMultipartForm(1 << 20); err != nil || n%10 == 0 {
			http.Error(w, "broken", http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(limitAnswer))
	})
	pictures, err := drawDigits()
	if err != nil {
		t.Fatal(err)
	}
	w, err := predictWorkload(address, pictures)
	if err != nil {
		t.Fatal(err)
	}
	seen, elapsed := drive(t.Context(), address, w, 4, 100*time.Millisecond)
	if total := int64(len(seen.latencies) + seen.errors); total != served.Load() || seen.errors != int(total/10) {
		t.Errorf("%d answered and %d failed, of %d served", len(seen.latencies), seen.errors, served.Load())
	}
	if seen.errors > 0 && !strings.Contains(seen.firstError.Error(), "status 500, broken") {
		t.Errorf("first error: %v", seen.firstError)
	}
	if !slices.IsSorted(seen.latencies) || elapsed < 100*time.Millisecond {
		t.Errorf("latencies sorted: %t, after %v", slices.IsSorted(seen.latencies), elapsed)
	}
}

func TestDriveWithoutAServer(t *testing.T) {
	t.Parallel()
	w := workload{requests: [][]byte{nil}, verify: verifyPrediction}
	var seen tally
	longEnough(t, func(duration time.Duration) bool {
		seen, _ = drive(t.Context(), "127.0.0.1:1", w, 2, duration)
		return len(seen.latencies)+seen.errors > 0
	})
	if len(seen.latencies) > 0 || seen.errors == 0 || seen.firstError == nil {
		t.Errorf("%d answered, %d failed: %v", len(seen.latencies), seen.errors, seen.firstError)
	}
}

// longEnough measures for longer and longer, until something was measured: on a busy machine a moment may pass without.
func longEnough(t *testing.T, measure func(time.Duration) bool) {
	t.Helper()
	for duration := 30 * time.Millisecond; !measure(duration); duration *= 2 {
		if duration > time.Minute {
			t.Fatalf("nothing was measured in %s", duration)
		}
	}
}

func TestParseConnections(t *testing.T) {
	t.Parallel()
	if got, err := parseConnections("1,8,64"); err != nil || !slices.Equal(got, []int{1, 8, 64}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, list := range []string{"", "0", "1,", "-3", "one"} {
		if _, err := parseConnections(list); err == nil {
			t.Errorf("%q was taken", list)
		}
	}
}
