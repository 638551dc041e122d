package picture

import (
	"bytes"
	"errors"
	"image"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ModelSide is the width of the test models' input.
const ModelSide = 8

// testVips is the libvips that npm brought.
func testVips(tb testing.TB) *Vips {
	tb.Helper()
	v, err := OpenVips(tb.Context(), "", slog.New(slog.DiscardHandler))
	if err != nil || v == nil {
		tb.Fatalf("no libvips: %v", err)
	}
	return v
}

// decodeCase decodes a photograph as much smaller as the case allows. It tells by how much.
func (c GoldenCase) decodeCase(t *testing.T, data []byte, v *Vips) (pic *Picture, shrink int) {
	t.Helper()
	s, err := Inspect(data, testPixels<<1, v)
	if err != nil {
		t.Fatal(err)
	}
	pic, err = s.Decode(c.preprocessor().Enough(s.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return pic, rounded(float64(s.Image().Width) / float64(pic.Width))
}

// TestPhotographs holds what is read with and without libvips to what Pillow makes of the same files;
// testdata/golden/make_photographs.py makes both.
func TestPhotographs(t *testing.T) {
	const tolerance = 2 // of 255
	images := Photographs(t)
	cases, expected := LoadGolden(t, "photographs.json", "photographs.gz")
	shrunk := map[int]int{}
	worstMean, worstCase := 0.0, GoldenCase{}
	for _, c := range cases {
		size := c.Width * c.Height * c.preprocessor().Channels()
		want := expected[:size]
		expected = expected[size:]
		for name, v := range map[string]*Vips{"libvips": testVips(t), "Go": nil} {
			if v == nil && (filepath.Ext(c.Image) == ".avif" || c.Width != ModelSide) {
				continue // TestGolden holds Go's decoders to Pillow's
			}
			t.Run(name+" "+c.String(), func(t *testing.T) {
				pic, shrink := c.decodeCase(t, images[c.Image], v)
				shrunk[shrink]++
				worst, mean, _ := distance(t, c.preprocessor().AppendTensor(nil, pic), want, tolerance)
				if mean > tolerance || (c.Compare == "each" && worst > tolerance) {
					t.Errorf("worst %.0f of 255, mean %.3f, decoded %d times smaller", worst, mean, shrink)
				}
				if mean > worstMean {
					worstMean, worstCase = mean, c
				}
			})
		}
	}
	t.Logf("decoded so many times smaller: %v; the worst mean is %.3f, of %s", shrunk, worstMean, worstCase)
	for _, shrink := range []int{1, 2, 4, 8} {
		if shrunk[shrink] < 3 {
			t.Errorf("%d cases were decoded %d times smaller", shrunk[shrink], shrink)
		}
	}
}

// TestNativeIsUsed: what follows would pass without libvips too.
func TestNativeIsUsed(t *testing.T) {
	v, images := testVips(t), Photographs(t)
	for _, name := range []string{
		"420.jpg", "444-progressive.jpg", "grey.jpg", "lossy.webp", "lossy-alpha.webp", "lossless.webp", "rgb.png",
		"rgba.png",
	} {
		s, err := Inspect(images[name], testPixels<<1, v)
		if err != nil {
			t.Fatal(err)
		}
		if s.decodeNative(s.Size()) == nil {
			t.Errorf("%s was left to Go's decoder", name)
		}
	}
	for _, name := range []string{"digit-28.png", "digit-280.png", "scene.png", "444.jpg"} {
		s, err := Inspect(goldenImages(t)[name], testPixels, v)
		if err != nil {
			t.Fatal(err)
		}
		if s.decodeNative(s.Size()) != nil {
			t.Errorf("%s was not left to Go's decoder", name)
		}
	}
}

// TestNativeAgrees reads every golden image with libvips, however small, and where libvips does not leave it to Go's
// decoder both must be the same: exactly where Go's is exact, else as near as Go's is to Pillow's.
func TestNativeAgrees(t *testing.T) {
	v, read := testVips(t), 0
	for name, data := range goldenImages(t) {
		s, err := Inspect(data, testPixels, v)
		if err != nil {
			t.Fatal(err)
		}
		pic := fromAnySize(s).decodeNative(s.Size())
		if pic == nil {
			continue
		}
		read++
		s.vips = nil
		want, err := s.Decode(s.Size())
		if err != nil {
			t.Fatal(err)
		}
		pic = pic.oriented(s.header.orientation)
		if pic.Channels != want.Channels && s.codec != jpegCodec {
			t.Errorf("%s: %d channels, want %d", name, pic.Channels, want.Channels)
			continue
		}
		pic, want = pic.withAlpha(), want.withAlpha()
		values := make([]float32, len(pic.Pix))
		for i, v := range pic.Pix {
			values[i] = float32(v)
		}
		worst, mean, _ := distance(t, values, want.Pix, 0)
		if worst > 0 && (s.codec == pngCodec || mean > 1) {
			t.Errorf("%s: worst %.0f, mean %.3f", name, worst, mean)
		}
	}
	if read < 30 {
		t.Errorf("libvips read %d of the images", read)
	}
}

// fromAnySize has small images read by libvips too.
func fromAnySize(s Encoded) Encoded {
	if s.codec.native != nil {
		c, n := *s.codec, *s.codec.native
		n.pixels, n.bytes = 0, 0
		c.native = &n
		s.codec = &c
	}
	return s
}

func TestAVIFNeedsLibvips(t *testing.T) {
	avif := Photographs(t)["420.avif"]
	_, err := Inspect(avif, testPixels, nil)
	if !errors.Is(err, ErrUnsupportedMediaType) || !strings.Contains(err.Error(), "libvips") {
		t.Errorf("without libvips: %v", err)
	}
	s, err := Inspect(avif, testPixels, testVips(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Image(); got != (Image{"image/avif", 640, 480}) {
		t.Errorf("%+v", got)
	}
	if _, err := Inspect(avif, 640*480-1, testVips(t)); !errors.Is(err, ErrImageTooLarge) {
		t.Errorf("a pixel more than allowed: %v", err)
	}
}

// TestHEICIsReadOrRefused by what the library can decode.
func TestHEICIsReadOrRefused(t *testing.T) {
	v := testVips(t)
	s, err := Inspect(probeHEIC, testPixels, v)
	if v.HEIC {
		if err != nil || s.Image() != (Image{"image/heic", 16, 16}) {
			t.Errorf("%+v, %v", s.Image(), err)
		}
		return
	}
	if !errors.Is(err, ErrUnsupportedMediaType) || !strings.Contains(err.Error(), "HEIC") {
		t.Errorf("%v", err)
	}
}

// TestHEIFHeaderLies gives another size in the container than the picture has.
func TestHEIFHeaderLies(t *testing.T) {
	data := bytes.Clone(Photographs(t)["420.avif"])
	at := bytes.Index(data, []byte("ispe")) + 8
	for _, side := range []byte{1, 16} {
		copy(data[at:], []byte{0, 0, side, 0, 0, 0, side, 0})
		if s, err := Inspect(data, 50_000_000, testVips(t)); err == nil {
			if _, err = s.Decode(s.Size()); !errors.Is(err, ErrInvalidImage) {
				t.Errorf("%d × %d: %v", s.header.width, s.header.height, err)
			}
		}
	}
}

// TestBrokenPhotographs damages every photograph: an error of a kind or a picture, never a crash. libvips reads some
// JPEGs that Go's decoder does not, as Pillow reads them; it refuses none that Go's decoder reads.
func TestBrokenPhotographs(t *testing.T) {
	v := testVips(t)
	random := rand.New(rand.NewPCG(1, 2))
	for name, data := range Photographs(t) {
		if len(data) > 30_000 {
			continue
		}
		for range 6 {
			broken := bytes.Clone(data)
			for range 1 + random.IntN(8) {
				broken[random.IntN(len(broken))] = byte(random.Uint32())
			}
			if random.IntN(3) == 0 {
				broken = broken[:random.IntN(len(broken))]
			}
			with, without := outcome(t, broken, v), outcome(t, broken, nil)
			c, err := sniff(broken, v)
			if err == nil && c.native != nil && with != without && (with != "good" || c != jpegCodec) {
				t.Errorf("%s: %q with libvips, %q without", name, with, without)
			}
		}
	}
}

// outcome is what decoding tells.
func outcome(t *testing.T, data []byte, v *Vips) string {
	t.Helper()
	s, err := Inspect(data, testPixels, v)
	if err == nil {
		_, err = s.Decode(Size{20, 20})
	}
	for _, kind := range []error{ErrInvalidImage, ErrUnsupportedMediaType, ErrImageTooLarge} {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	if err != nil {
		t.Fatalf("an error of no kind: %v", err)
	}
	return "good"
}

// TestCutOffPhotographs are broken, not half grey.
func TestCutOffPhotographs(t *testing.T) {
	v := testVips(t)
	for name, data := range Photographs(t) {
		for _, length := range []int{len(data) - 2, len(data) * 7 / 8, len(data) / 2, len(data) / 20} {
			if name == "sequence.avif" && length > len(data)/2 { // its first picture is whole
				continue
			}
			s, err := Inspect(data[:length], testPixels<<1, v)
			if err == nil {
				_, err = s.Decode(Size{20, 20})
			}
			if !errors.Is(err, ErrInvalidImage) {
				t.Errorf("%s, %d of %d bytes: %v", name, length, len(data), err)
			}
		}
	}
}

func TestShrink(t *testing.T) {
	for _, c := range []struct {
		width, height, orientation int
		enough                     Size
		want                       int
	}{
		{4000, 3000, 1, Size{336, 336}, 8},
		{4000, 3000, 1, Size{500, 375}, 8},
		{4000, 3000, 1, Size{501, 375}, 4},
		{4000, 3000, 1, Size{400, 400}, 4},
		{4000, 3000, 6, Size{375, 500}, 8},
		{4000, 3000, 6, Size{500, 375}, 4},
		{4000, 3000, 1, Size{4000, 3000}, 1},
		{4000, 3000, 1, Size{9000, 3000}, 1},
		{7, 7, 1, Size{1, 1}, 4},
	} {
		h := header{c.width, c.height, c.orientation}
		if got := h.shrink(c.enough); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// TestSinglePixelsCount: where they do, the whole picture is decoded.
func TestSinglePixelsCount(t *testing.T) {
	full := Size{4000, 3000}
	for _, p := range []*Preprocessor{
		{Filter: FilterBicubic, Trim: true}, {Filter: FilterBicubic, Invert: InvertAuto}, {Filter: FilterNearest},
	} {
		p.Width, p.Height = 224, 224
		if got := p.Enough(full); got != full {
			t.Errorf("%s, trim %t, invert %s: %v", p.Filter, p.Trim, p.Invert, got)
		}
	}
	p := Preprocessor{Width: 224, Height: 224, Filter: FilterBicubic}
	for how, want := range map[Resize]Size{
		ResizeStretch: {336, 336}, ResizeContain: {336, 252}, ResizeCover: {449, 336},
	} {
		p.Resize = how
		if got := p.Enough(full); got != want {
			t.Errorf("%s: %v, want %v", how, got, want)
		}
	}
}

// TestTurnedArea follows the image's area of a shrunk picture through every orientation.
func TestTurnedArea(t *testing.T) {
	p := newPicture(3, 2, 1)
	p.shrunk = area{0, 0, 2.5, 1.75}
	for orientation, want := range []area{
		1: {0, 0, 2.5, 1.75}, 2: {0.5, 0, 3, 1.75}, 3: {0.5, 0.25, 3, 2}, 4: {0, 0.25, 2.5, 2},
		5: {0, 0, 1.75, 2.5}, 6: {0.25, 0, 2, 2.5}, 7: {0.25, 0.5, 2, 3}, 8: {0, 0.5, 1.75, 3},
	} {
		if got := p.oriented(orientation); orientation > 0 && wholeOf(got) != want {
			t.Errorf("%d: %v, want %v", orientation, wholeOf(got), want)
		}
	}
}

func TestThumbnailOfPhotograph(t *testing.T) {
	v := testVips(t)
	for name, want := range map[string]image.Point{
		"420.jpg": {100, 75}, "exif-6.jpg": {75, 100}, "420.avif": {100, 75}, "alpha.avif": {100, 75},
	} {
		s, err := Inspect(Photographs(t)[name], testPixels<<1, v)
		if err != nil {
			t.Fatal(err)
		}
		data, _, err := s.Thumbnail(100)
		if err != nil {
			t.Fatal(err)
		}
		config, _, err := image.DecodeConfig(bytes.NewReader(data))
		if err != nil || config.Width != want.X || config.Height != want.Y {
			t.Errorf("%s: %d × %d, %v", name, config.Width, config.Height, err)
		}
	}
}

func TestOpenLibvips(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	if v, err := OpenVips(t.Context(), "off", log); v != nil || err != nil {
		t.Errorf("off: %v, %v", v, err)
	}
	missing := filepath.Join(t.TempDir(), "none.so")
	if _, err := OpenVips(t.Context(), missing, log); err == nil || !strings.Contains(err.Error(), "--libvips") {
		t.Errorf("missing: %v", err)
	}
	if err := os.WriteFile(missing, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenVips(t.Context(), missing, log); err == nil || !strings.Contains(err.Error(), "--libvips") {
		t.Errorf("no library: %v", err)
	}
	v := testVips(t)
	if again, err := OpenVips(t.Context(), v.Path, log); err != nil || again.Version != v.Version {
		t.Errorf("again: %v, %v", again, err)
	}
}
