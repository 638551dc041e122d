package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// measurement is what one load on one server gave. Times are in milliseconds; processor time is a request's share of
// what was used while the load lasted.
type measurement struct {
	Server      string  `json:"server"`
	Workload    string  `json:"workload"`
	Connections int     `json:"connections"`
	Seconds     float64 `json:"seconds"`
	Requests    int     `json:"requests"`
	PerSecond   float64 `json:"requestsPerSecond"`
	P50         float64 `json:"p50Milliseconds"`
	P99         float64 `json:"p99Milliseconds"`
	// CPU is the server's with PostgreSQL's, DatabaseCPU PostgreSQL's alone; GeneratorCPU, this program's, is in neither.
	CPU          float64 `json:"cpuMilliseconds"`
	DatabaseCPU  float64 `json:"databaseCPUMilliseconds"`
	GeneratorCPU float64 `json:"generatorCPUMilliseconds"`
	Errors       int     `json:"errors"`
	FirstError   string  `json:"firstError,omitempty"`
}

// measure puts a server under a load: first for a fifth of the duration to warm it up, then for the duration.
func measure(ctx context.Context, t *target, w workload, connections int, duration time.Duration) (measurement, error) {
	fmt.Fprintf(os.Stderr, "%s: %s, %d connections\n", t.name, w.name, connections)
	return measureTurn(ctx, t, w, connections, duration)
}

// measureTurn is measure, and says nothing.
func measureTurn(
	ctx context.Context, t *target, w workload, connections int, duration time.Duration,
) (measurement, error) {
	drive(ctx, t.address, w, connections, duration/5)
	before, err := t.cpu()
	if err != nil {
		return measurement{}, err
	}
	seen, elapsed := drive(ctx, t.address, w, connections, duration)
	after, err := t.cpu()
	if err != nil {
		return measurement{}, err
	}
	m := summarize(seen, elapsed, after.minus(before))
	m.Server, m.Workload, m.Connections = t.name, w.name, connections
	return m, ctx.Err()
}

func summarize(seen tally, elapsed time.Duration, used cpuTime) measurement {
	n := len(seen.latencies)
	m := measurement{
		Seconds:   elapsed.Seconds(),
		Requests:  n,
		PerSecond: float64(n) / elapsed.Seconds(),
		P50:       milliseconds(percentile(seen.latencies, 50)),
		P99:       milliseconds(percentile(seen.latencies, 99)),
		Errors:    seen.errors,
	}
	if seen.firstError != nil {
		m.FirstError = seen.firstError.Error()
	}
	if n > 0 {
		m.CPU = milliseconds(used.service+used.database) / float64(n)
		m.DatabaseCPU = milliseconds(used.database) / float64(n)
		m.GeneratorCPU = milliseconds(used.generator) / float64(n)
	}
	return m
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
