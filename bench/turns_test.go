package main

import (
	"math"
	"strings"
	"testing"
)

func TestMeasurementsTogether(t *testing.T) {
	t.Parallel()
	var m measurement
	m = m.with(measurement{Requests: 100, Seconds: 1, PerSecond: 100, P50: 1, CPU: 2, DatabaseCPU: 1, Errors: 1, FirstError: "a"})
	m = m.with(measurement{Requests: 300, Seconds: 1, PerSecond: 300, P50: 5, CPU: 6, DatabaseCPU: 3, Errors: 2, FirstError: "b"})
	if m.Requests != 400 || m.PerSecond != 200 || m.Errors != 3 || m.FirstError != "a" {
		t.Errorf("%+v", m)
	}
	for _, got := range []struct{ value, want float64 }{{m.P50, 4}, {m.CPU, 5}, {m.DatabaseCPU, 2.5}} {
		if math.Abs(got.value-got.want) > 1e-9 {
			t.Errorf("%+v", m)
		}
	}
	var b strings.Builder
	f := full{Rows: 1000, Few: m, Many: measurement{Requests: 100, Seconds: 1, PerSecond: 190}}
	if err := f.table().write(&b); err != nil || !strings.Contains(b.String(), "0.95 ×") {
		t.Error(err, b.String())
	}
}
