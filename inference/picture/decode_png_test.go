package picture

import (
	"bytes"
	"image/png"
	"path/filepath"
	"slices"
	"testing"
)

// TestFastPNG compares the short way with the standard library, on whole files and on files with one byte changed: it
// may refuse what the library reads, never the other way round.
func TestFastPNG(t *testing.T) {
	short := 0
	for name, data := range goldenImages(t) {
		if filepath.Ext(name) != ".png" {
			continue
		}
		if compareFastPNG(t, name, data) {
			short++
		}
		for i := pngHead; len(data) < 1200 && i < len(data); i++ {
			changed := bytes.Clone(data)
			changed[i] ^= 1 << (i % 8)
			compareFastPNG(t, name, changed)
		}
	}
	if short < 10 {
		t.Errorf("only %d images take the short way", short)
	}
}

func compareFastPNG(t *testing.T, name string, data []byte) bool {
	t.Helper()
	var reader pngReader
	got := reader.decode(data)
	if got == nil {
		return false
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Errorf("%s: read in spite of: %v", name, err)
		return true
	}
	want := fromImage(img)
	if got.Channels != want.Channels || !slices.Equal(got.Pix, want.Pix) {
		t.Errorf("%s: other pixels than image/png, or %d channels instead of %d", name, got.Channels, want.Channels)
	}
	return true
}
