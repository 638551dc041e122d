package main

import (
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	const line = "42 (a (strange) name) S 7 42 42 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 5 0 1000 0 0\n"
	pid, p, err := parseStat([]byte(line))
	if err != nil || pid != 42 || p.parent != 7 || p.used != 1100*time.Millisecond {
		t.Errorf("pid %d, parent %d, used %v, error %v", pid, p.parent, p.used, err)
	}
	for _, broken := range []string{"", "42", "42 (name) S 7", "x (name) S 7 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"} {
		if _, _, err := parseStat([]byte(broken)); err == nil {
			t.Errorf("%q was read", broken)
		}
	}
}

func TestTreeTime(t *testing.T) {
	t.Parallel()
	processes := map[int]stat{
		1: {parent: 0, used: 1000}, 2: {parent: 1, used: 1}, // the server
		3: {parent: 2, used: 10}, 4: {parent: 3, used: 100}, // its PostgreSQL
		5: {parent: 2, used: 2},
	}
	if got := treeTime(processes, 2, 3); got != 3 {
		t.Errorf("server without PostgreSQL: %d, want 3", got)
	}
	if got := treeTime(processes, 3, 0); got != 110 {
		t.Errorf("PostgreSQL: %d, want 110", got)
	}
}
