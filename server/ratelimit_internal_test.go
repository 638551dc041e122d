package main

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestBucketsFillAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := newRateLimit(2, 3)
		ask := func() bool { return limit.take(t.Context(), "192.0.2.1:1") == nil }
		for i := range 5 {
			if ask() != (i < 3) {
				t.Errorf("question %d", i+1)
			}
		}
		time.Sleep(time.Second)
		for i := range 3 { // those that were refused have cost nothing
			if ask() != (i < 2) {
				t.Errorf("question %d a second later", i+1)
			}
		}
	})
}

func TestAddressesAreToldApart(t *testing.T) {
	for _, row := range []struct {
		one, other string
		same       bool
	}{
		{"192.0.2.1:1", "192.0.2.1:2", true},
		{"192.0.2.1:1", "192.0.2.2:1", false},
		{"192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		{"[2001:db8::1]:1", "[2001:db8::ffff:2]:1", true},
		{"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
		{"[fe80::1%eth0]:1", "[fe80::1%eth1]:1", true},
		{"@", "192.0.2.1:1", false},
	} {
		limit := newRateLimit(1e-9, 1)
		_ = limit.take(t.Context(), row.one)
		if same := limit.take(t.Context(), row.other) != nil; same != row.same {
			t.Errorf("%s, %s: %t", row.one, row.other, same)
		}
	}
}

// TestBucketsAreBounded: who has many addresses takes no memory with them.
func TestBucketsAreBounded(t *testing.T) {
	limit := newRateLimit(1, 1)
	for i := range maxBuckets + 1000 {
		_ = limit.take(t.Context(), fmt.Sprintf("10.%d.%d.1:1", i>>8, i&255))
	}
	if n := limit.buckets.Len(); n != maxBuckets {
		t.Errorf("%d buckets", n)
	}
}
