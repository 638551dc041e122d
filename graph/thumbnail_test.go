package graph

import (
	"context"
	"errors"
	"sync"
	"testing"
)

func keyOf(i int) thumbnailKey { return thumbnailKey{[32]byte{byte(i), byte(i >> 8)}, 64} }

func made(size int) func() (*thumbnail, error) {
	return func() (*thumbnail, error) { return &thumbnail{"image/png", make([]byte, size)}, nil }
}

// TestThumbnailsAreBounded: what was used last stays, and never more than the bound.
func TestThumbnailsAreBounded(t *testing.T) {
	c := newThumbnailCache(100 * (1000 + thumbnailOverhead))
	for i := range 1000 {
		if _, err := c.make(t.Context(), keyOf(i), made(1000)); err != nil {
			t.Fatal(err)
		}
		c.get(keyOf(0))
		if c.bytes > c.maxBytes {
			t.Fatalf("%d bytes of %d", c.bytes, c.maxBytes)
		}
	}
	if _, found := c.get(keyOf(0)); !found {
		t.Error("the one that is always used is gone")
	}
	if _, found := c.get(keyOf(1)); found {
		t.Error("the oldest is still there")
	}
	if n := c.kept.Len(); n != 100 || c.bytes != n*(1000+thumbnailOverhead) {
		t.Errorf("%d kept, %d bytes", n, c.bytes)
	}
	if _, err := c.make(t.Context(), keyOf(2000), made(c.maxBytes)); err != nil || c.kept.Len() != 0 || c.bytes != 0 {
		t.Errorf("one that is larger than the bound: %v, %d kept, %d bytes", err, c.kept.Len(), c.bytes)
	}
}

// TestThumbnailIsMadeOnce for all who want it at the same time.
func TestThumbnailIsMadeOnce(t *testing.T) {
	c := newThumbnailCache(1 << 20)
	var waiting sync.WaitGroup
	begun, finish := make(chan struct{}), make(chan struct{})
	waiting.Go(func() {
		_, _ = c.make(t.Context(), keyOf(1), func() (*thumbnail, error) {
			close(begun)
			<-finish
			return made(10)()
		})
	})
	<-begun
	for range 10 {
		waiting.Go(func() {
			got, err := c.make(t.Context(), keyOf(1), func() (*thumbnail, error) {
				t.Error("made again")
				return made(10)()
			})
			if err != nil || len(got.bytes) != 10 {
				t.Error(got, err)
			}
		})
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := c.make(gone, keyOf(1), made(10)); !errors.Is(err, context.Canceled) {
		t.Errorf("one who has left: %v", err)
	}
	close(finish)
	waiting.Wait()
}

// TestThumbnailErrors: a bad image is so for all who wait, but the end of one's time is not that of others. Neither is
// kept.
func TestThumbnailErrors(t *testing.T) {
	bad := errors.New("bad image")
	for name, row := range map[string]struct{ first, second error }{
		"bad image": {bad, bad}, "cancelled": {context.Canceled, nil}, "full": {&Error{Code: CodeResponseTooLarge}, nil},
	} {
		c := newThumbnailCache(1 << 20)
		var waiting sync.WaitGroup
		begun, finish := make(chan struct{}), make(chan struct{})
		waiting.Go(func() {
			_, err := c.make(t.Context(), keyOf(1), func() (*thumbnail, error) {
				close(begun)
				<-finish
				return nil, row.first
			})
			if !errors.Is(err, row.first) {
				t.Errorf("%s: %v", name, err)
			}
		})
		<-begun
		waiting.Go(func() {
			if _, err := c.make(t.Context(), keyOf(1), func() (*thumbnail, error) {
				if row.second != nil {
					return nil, row.second
				}
				return made(1)()
			}); !errors.Is(err, row.second) {
				t.Errorf("%s: the other: %v", name, err)
			}
		})
		close(finish)
		waiting.Wait()
		if len(c.making) != 0 || (c.kept.Len() == 1) != (row.second == nil) {
			t.Errorf("%s: %d in the making, %d kept", name, len(c.making), c.kept.Len())
		}
	}
}
