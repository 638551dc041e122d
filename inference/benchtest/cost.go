// Package benchtest tells in benchmarks what something takes, and compares it with its limit in the same run.
package benchtest

import (
	"slices"
	"syscall"
	"testing"
	"time"
)

// Cost is what something took: by the clock, and of all processors.
type Cost struct{ Clock, CPU time.Duration }

// CostOf returns how to make the call and tell what it took. What else the process does meanwhile counts for CPU.
func CostOf(b *testing.B, call func()) func() Cost {
	return func() Cost {
		used, start := CPUTime(b), time.Now()
		call()
		return Cost{time.Since(start), CPUTime(b) - used}
	}
}

// Beside tells how the medians of what the first one takes compare to the other's, and what the most is that they may.
func Beside(b *testing.B, limit float64, ours, theirs func() Cost) {
	b.Helper()
	clock, cpu := InTurn(b, ours, theirs)
	b.ReportMetric(clock, "p50-ratio")
	b.ReportMetric(cpu, "p50-cpu-ratio")
	b.ReportMetric(limit, "limit")
}

// InTurn takes both again and again, so that what else the machine does weighs on both alike, and gives the ratios of
// their medians.
func InTurn(b *testing.B, ours, theirs func() Cost) (byClock, byCPU float64) {
	b.Helper()
	ours() // the first time of either is no measure: it loads libraries
	theirs()
	var clock, cpu [2][]time.Duration
	for b.Loop() {
		for i, call := range []func() Cost{ours, theirs} {
			c := call()
			clock[i], cpu[i] = append(clock[i], c.Clock), append(cpu[i], c.CPU)
		}
	}
	return medianRatio(clock), medianRatio(cpu)
}

func medianRatio(times [2][]time.Duration) float64 {
	slices.Sort(times[0])
	slices.Sort(times[1])
	middle := len(times[0]) / 2
	return float64(times[0][middle]) / float64(times[1][middle])
}

// ReportCPU tells the processor's time: on a machine that others use too, it tells more than the clock.
func ReportCPU(b *testing.B, before time.Duration) {
	b.Helper()
	b.ReportMetric(float64(CPUTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// CPUTime is what the process has used of all processors, in user and system mode (getrusage).
func CPUTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
