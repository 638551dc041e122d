package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestByHand reads what was put together by hand.
func TestByHand(t *testing.T) {
	t.Parallel()
	name, confidence, filename := "2", 1e-7, "a \"\\\n.png"
	p := listed{
		id:        [16]byte{0x01, 0x9a, 15: 0xff},
		createdAt: time.UnixMilli(1764075840007), className: &name, confidence: &confidence,
	}
	for text, want := range map[string]map[string]any{
		string(p.append(nil, &filename)): {
			"id": "prediction_01k80000000000000000000" + "07z", "createdAt": "2025-11-25T13:04:00.007Z",
			"likelyClass": map[string]any{"name": name, "confidence": confidence},
			"input":       map[string]any{"id": "input_" + strings.Repeat("0", 26), "filename": filename},
		},
		string((&listed{}).append(nil, nil)): {
			"id": "prediction_" + strings.Repeat("0", 26), "createdAt": "0001-01-01T00:00:00.000Z", "likelyClass": nil,
			"input": map[string]any{"id": "input_" + strings.Repeat("0", 26), "filename": nil},
		},
	} {
		var got map[string]any
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s, want %v; error %v", text, want, err)
		}
	}
}

func TestListTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	lists := []listing{{measurement{Workload: "list", PerSecond: 300}, measurement{PerSecond: 400}}}
	if err := listTable(lists).write(&b); err != nil || !strings.Contains(b.String(), "0.75 ×") {
		t.Errorf("%s, error %v", b.String(), err)
	}
	r := report{Lists: []listing{{ByHand: measurement{Requests: 1, Errors: 1, FirstError: "wrong answer"}}}}
	if r.failures() == nil {
		t.Error("a wrong answer of the handler by hand is no error")
	}
}
