package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapHeadroom is what may be set aside between two garbage collections at least, in bytes. What lives between requests
// is a few MiB: collected at twice that, as Go does, it is marked many times a second, for a sixth of all processor time.
const heapHeadroom = 32 << 20

// keepHeadroom has collections follow each other no closer than heapHeadroom, and from a live heap of that size on where
// Go has them. Whoever sets GOGC decides that alone; GOMEMLIMIT holds in any case.
func keepHeadroom() {
	if os.Getenv("GOGC") == "" {
		adjustCollector(0)
	}
}

// adjustCollector sets the percentage that gives the headroom, unless it is near that, and does so again after the next
// collection.
func adjustCollector(set int) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	percent := int(max(100, 100*heapHeadroom/max(4<<20, live[0].Value.Uint64())))
	if percent < set*9/10 || percent > set*11/10 { // setting it stops the world for a moment
		debug.SetGCPercent(percent)
		set = percent
	}
	collected := new([16]byte) // large enough to be no part of another object
	runtime.AddCleanup(collected, adjustCollector, set)
}
