package main

import (
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"
)

// TestHeadroom: a small heap is left alone until it has the headroom, a large one is collected as Go does. The process is
// one of its own: in that of all tests the heap is as large as what else ran has left it.
func TestHeadroom(t *testing.T) {
	const variable = "SIBYL_TEST_HEADROOM"
	if os.Getenv(variable) == "" {
		command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHeadroom$", "-test.v")
		command.Env = append(os.Environ(), variable+"=1")
		if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestHeadroom") {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	debug.SetGCPercent(100)
	t.Setenv("GOGC", "100")
	keepHeadroom()
	if percent := collector("/gc/gogc:percent"); percent != 100 {
		t.Errorf("%d %% in spite of GOGC", percent)
	}
	t.Setenv("GOGC", "")
	keepHeadroom()
	awaitCollector(t, "the headroom of a small heap", func() bool {
		return collector("/gc/heap/goal:bytes") >= heapHeadroom && collector("/gc/gogc:percent") > 100
	})
	large := make([]byte, 4*heapHeadroom)
	awaitCollector(t, "100 % of a large heap", func() bool { return collector("/gc/gogc:percent") == 100 })
	runtime.KeepAlive(large)
	large = nil
	awaitCollector(t, "the headroom again", func() bool { return collector("/gc/gogc:percent") > 100 })
}

// awaitCollector collects until something holds, for the collector is adjusted after a collection.
func awaitCollector(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s; %d %%, goal %d MiB", what, collector("/gc/gogc:percent"),
				collector("/gc/heap/goal:bytes")>>20)
		}
		runtime.GC()
	}
}

func collector(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
