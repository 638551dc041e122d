package main

import (
	"bytes"
	"testing"
	"time"
)

func TestHTTPLimit(t *testing.T) {
	t.Parallel()
	pictures, err := drawDigits()
	if err != nil {
		t.Fatal(err)
	}
	longEnough(t, func(duration time.Duration) bool {
		l, err := httpLimit(t.Context(), limitOptions{pictures: pictures, connections: 2, duration: duration})
		if err != nil {
			t.Error(err)
		}
		return err != nil || l.PerSecond > 0
	})
}

// TestRuntimeLimit runs the model, where ONNX Runtime is.
func TestRuntimeLimit(t *testing.T) {
	t.Chdir("..")
	library, err := findRuntime()
	if err != nil {
		t.Fatal(err)
	}
	_, unload, err := openRuntime(library)
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range []int64{1, 32} {
		longEnough(t, func(duration time.Duration) bool {
			o := limitOptions{model: "inference/models/mnist/1/model.onnx", duration: duration}
			l, err := runtimeLimit(t.Context(), o, batch)
			if err != nil {
				t.Errorf("batch %d: %v", batch, err)
			}
			return err != nil || l.PerSecond > 0
		})
	}
	if err := unload(); err != nil {
		t.Error(err)
	}
}

func TestGroup(t *testing.T) {
	t.Parallel()
	g := newGroup([]picture{{"a.png", []byte("a")}, {"b.png", []byte("b")}})
	g.renew(time.UnixMilli(0x0123456789ab))
	seen := map[[16]byte]bool{}
	for _, id := range append(g.ids, g.inputIDs...) {
		if !bytes.HasPrefix(id[:], []byte{1, 0x23, 0x45, 0x67, 0x89, 0xab}) || id[6]>>4 != 7 || id[8]>>6 != 2 {
			t.Errorf("%x is no UUIDv7 of its time", id)
		}
		seen[id] = true
	}
	if len(seen) != 2*insertGroup || len(g.images) != insertGroup {
		t.Errorf("%d IDs and %d images for %d rows", len(seen), len(g.images), insertGroup)
	}
}

func TestTargetPatterns(t *testing.T) {
	t.Parallel()
	lines := map[string]string{
		`{"level":"INFO","msg":"listening","url":"http://127.0.0.1:40495"}`: "127.0.0.1:40495",
		`level=INFO msg=listening url=http://127.0.0.1:8080 other=value`:    "127.0.0.1:8080",
		`INFO:     Uvicorn running on http://127.0.0.1:4711 (Press CTRL+C)`: "127.0.0.1:4711",
	}
	for line, want := range lines {
		match := listening.FindStringSubmatch(line)
		if match == nil {
			match = peerListening.FindStringSubmatch(line)
		}
		if match == nil || match[1] != want {
			t.Errorf("%s: found %v, want %s", line, match, want)
		}
	}
}
