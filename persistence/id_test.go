package persistence_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sibyl/persistence"
)

func TestIDsAscend(t *testing.T) {
	last := persistence.NewPredictionID().String()
	for range 10000 {
		next := persistence.NewPredictionID().String()
		if next <= last {
			t.Fatalf("%s was made after %s", next, last)
		}
		last = next
	}
}

// TestIDsAscendWhenTheClockIsSetBack: the time of a synctest bubble is that of the year 2000.
func TestIDsAscendWhenTheClockIsSetBack(t *testing.T) {
	before := persistence.NewInputID()
	synctest.Test(t, func(t *testing.T) {
		if !time.Now().Before(before.Time()) {
			t.Fatalf("the clock says %s", time.Now())
		}
		var mu sync.Mutex
		var makers sync.WaitGroup
		seen := map[string]bool{}
		for range 4 {
			makers.Go(func() {
				last := before.String()
				for range 1000 {
					next := persistence.NewInputID().String()
					mu.Lock()
					twice := seen[next]
					seen[next] = true
					mu.Unlock()
					if next <= last || twice {
						t.Errorf("%s was made after %s, twice: %t", next, last, twice)
						return
					}
					last = next
				}
			})
		}
		makers.Wait()
	})
}

func TestIDTimeIsItsMillisecond(t *testing.T) {
	before := time.Now().Truncate(time.Millisecond)
	at := persistence.NewInputID().Time()
	// Made many within a millisecond, IDs borrow from the next.
	if at.Before(before) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("made at %v, says %v", before, at)
	}
}

func TestParseID(t *testing.T) {
	// An example of the TypeID specification 0.3.0, with this project's prefix.
	const known = "prediction_01h455vb4pex5vsknk084sn02q"
	id, err := persistence.ParsePredictionID(known)
	if err != nil || id.String() != known {
		t.Errorf("got %v, %v", id, err)
	}
	for name, text := range map[string]string{
		"empty":            "",
		"prefix alone":     "prediction_",
		"another prefix":   strings.Replace(known, "prediction", "input", 1),
		"too short":        known[:len(known)-1],
		"too long":         known + "0",
		"upper case":       "prediction_01H455VB4PEX5VSKNK084SN02Q",
		"foreign letter":   known[:len(known)-1] + "u",
		"overflow":         "prediction_8zzzzzzzzzzzzzzzzzzzzzzzzz",
		"another version":  "prediction_00000000000000000000000000",
		"invalid UTF-8":    "prediction_\xff\xfe",
		"a newline inside": known[:20] + "\n" + known[21:],
	} {
		if id, err := persistence.ParsePredictionID(text); err == nil {
			t.Errorf("%s: %q was read as %v", name, text, id)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(persistence.NewPredictionID().String())
	f.Add("input_01h455vb4pex5vsknk084sn02q")
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := persistence.ParsePredictionID(text); err == nil && id.String() != text {
			t.Errorf("%q was read as %v", text, id)
		}
		if id, err := persistence.ParseInputID(text); err == nil && id.String() != text {
			t.Errorf("%q was read as %v", text, id)
		}
	})
}
