package inference

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"testing"
	"time"
)

// TestPhotographsDoNotStarveDigits has a photograph hold its permit: another one waits, a small image does not.
func TestPhotographsDoNotStarveDigits(t *testing.T) {
	d := newDecoder(1, 50_000_000)
	photograph, digit := blank(t, 1024, 1024), blank(t, 28, 28)
	_, release, err := d.open(t.Context(), photograph)
	if err != nil {
		t.Fatal(err)
	}
	_, releaseDigit, err := d.open(t.Context(), digit)
	if err != nil {
		t.Fatal(err)
	}
	releaseDigit()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, _, err := d.open(ctx, photograph); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second photograph: %v, want to wait", err)
	}
	release()
	d.close()
	if _, _, err := d.open(t.Context(), digit); !errors.Is(err, ErrClosed) {
		t.Errorf("after close: %v, want ErrClosed", err)
	}
}

// blank is a PNG without ink.
func blank(t *testing.T, width, height int) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestDefaultModelMustBeThere(t *testing.T) {
	engine, err := Open(t.Context(), Options{DefaultModel: "nobody"})
	if err == nil {
		t.Fatal("opened with a default model that is not in the repository", engine.Close())
	}
}
