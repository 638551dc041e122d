package picture

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const testPixels = 1 << 20

// goldenImages are the files that make_golden.py drew, by name.
func goldenImages(tb testing.TB) map[string][]byte { return imagesIn(tb, "images") }

// Photographs are the files that make_photographs.py drew, by name.
func Photographs(tb testing.TB) map[string][]byte { return imagesIn(tb, "photographs") }

func imagesIn(tb testing.TB, directory string) map[string][]byte {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "golden", directory, "*"))
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no images: %v", err)
	}
	images := make(map[string][]byte, len(paths))
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		images[filepath.Base(path)] = data
	}
	return images
}

// decode inspects an image and decodes it at once.
func decode(data []byte, maxPixels int) (*Picture, error) {
	s, err := Inspect(data, maxPixels, nil)
	if err != nil {
		return nil, err
	}
	return s.Decode(s.Size())
}

func TestContentType(t *testing.T) {
	types := map[string]string{
		".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif",
		".webp": "image/webp", ".bmp": "image/bmp", ".tif": "image/tiff",
	}
	for name, data := range goldenImages(t) {
		pic, err := decode(data, testPixels)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := types[filepath.Ext(name)]; pic.ContentType != want {
			t.Errorf("%s: content type %q, want %q", name, pic.ContentType, want)
		}
		if len(pic.Pix) != pic.Width*pic.Height*pic.Channels {
			t.Errorf("%s: %d bytes for %d × %d × %d", name, len(pic.Pix), pic.Width, pic.Height, pic.Channels)
		}
	}
}

func TestUnsupportedType(t *testing.T) {
	cases := []struct{ name, data, says string }{
		{"empty", "", "empty"},
		{"text", "not an image at all\n", "this is text"},
		{"text that begins like a bitmap", "BMW builds cars.\n", "this is text"},
		{"UTF-8", "Übung macht den Meister, sagt man so gern …", "this is text"},
		{"PDF", "%PDF-1.7\n%\xe2\xe3\xcf\xd3", "PDF"},
		{"SVG", `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>`, "SVG"},
		{"HTML", "<!DOCTYPE html><title>404</title>", "HTML"},
		{"ZIP", "PK\x03\x04\x14\x00", "ZIP"},
		{"data URL", "data:image/png;base64,iVBORw0KGgo=", "data URL"},
		{"HEIC", "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "HEIC"},
		{"AVIF", "\x00\x00\x00\x1cftypavif\x00\x00\x00\x00", "AVIF"},
		{"MP4", "\x00\x00\x00\x1cftypisom\x00\x00\x02\x00", "video"},
		{"JPEG XL", "\xff\x0a\x00\x00", "JPEG XL"},
		{"JPEG 2000", "\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"},
		{"Photoshop", "8BPS\x00\x01", "Photoshop"},
		{"icon", "\x00\x00\x01\x00\x01\x00", "icon"},
		{"BigTIFF", "II+\x00\x08\x00", "BigTIFF"},
		{"Targa", "\x00\x00\x02\x00\x00\x00\x00\x00", "a Targa image"},
		{"cursor", "\x00\x00\x02\x00\x01\x00\x20\x20", "a Windows cursor"},
		{"Netpbm", "P6\n3 2\n255\n", "Netpbm"},
		{"WAVE", "RIFF\x24\x00\x00\x00WAVEfmt ", "RIFF"},
		{"zeros", strings.Repeat("\x00", 100), "unknown"},
		{"one byte", "\x89", "unknown"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := decode([]byte(c.data), testPixels)
			if !errors.Is(err, ErrUnsupportedMediaType) {
				t.Fatalf("error %v, want ErrUnsupportedMediaType", err)
			}
			if !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "WebP") {
				t.Errorf("%q does not say %q, or what is read", err, c.says)
			}
		})
	}
}

func TestBrokenImage(t *testing.T) {
	signatures := map[string]string{
		"PNG": "\x89PNG\r\n\x1a\n", "PNG in text mode": "\x89PNG\n\x1a\n", "JPEG": "\xff\xd8\xff", "GIF": "GIF89a",
		"WebP": "RIFF\xff\xff\xff\x00WEBP", "BMP": "BM\x00\x01", "TIFF": "II*\x00", "TIFF, big-endian": "MM\x00*",
	}
	tails := map[string]string{
		"nothing": "", "a byte": "\x01", "zeros": strings.Repeat("\x00", 200), "ones": strings.Repeat("\xff", 200),
		"noise": strings.Repeat("\x07\xc3\x91\x00\xfe\x13\xa8", 60),
	}
	for name, signature := range signatures {
		for tail, rest := range tails {
			_, err := decode([]byte(signature+rest), testPixels)
			if !errors.Is(err, ErrInvalidImage) && !errors.Is(err, ErrImageTooLarge) {
				t.Errorf("%s and then %s: %v", name, tail, err)
			}
		}
	}
}

// TestTruncated cuts every golden image off. What is left may only be read where its first picture is whole.
func TestTruncated(t *testing.T) {
	whole := map[string]bool{
		"animated.gif": true, "animated.webp": true, "animated-alpha.webp": true, "trailing.jpg": true,
	}
	for name, data := range goldenImages(t) {
		for _, eighths := range []int{1, 2, 3, 4, 5, 6, 7} {
			_, err := decode(data[:len(data)*eighths/8], testPixels)
			switch {
			case err == nil && whole[name] && eighths > 2:
			case err == nil && strings.HasPrefix(name, "exif") && eighths > 4: // metadata at the end of WebP and TIFF
			case !errors.Is(err, ErrInvalidImage):
				t.Errorf("%s cut to %d/8: %v", name, eighths, err)
			}
		}
		if ext := filepath.Ext(name); (ext == ".png" || ext == ".jpg") && !whole[name] {
			if _, err := decode(data[:len(data)-1], testPixels); !errors.Is(err, ErrInvalidImage) {
				t.Errorf("%s without its last byte: %v", name, err)
			}
		}
	}
}

func TestUnsupportedFeature(t *testing.T) {
	jpg := goldenImages(t)["444.jpg"]
	frame := bytes.Index(jpg, []byte{0xff, 0xc0})
	changed := func(at int, v byte) []byte {
		c := bytes.Clone(jpg)
		c[at] = v
		return c
	}
	for name, data := range map[string][]byte{
		"12 bits":    changed(frame+4, 12),
		"arithmetic": changed(frame+1, 0xc9),
		"lossless":   changed(frame+1, 0xc3),
	} {
		if _, err := decode(data, testPixels); !errors.Is(err, ErrUnsupportedMediaType) {
			t.Errorf("JPEG, %s: %v", name, err)
		}
	}
	bomb := goldenImages(t)["444-progressive.jpg"]
	bomb = append(bytes.Clone(bomb), bytes.Repeat([]byte{0xff, 0xda}, maxScans)...)
	if _, err := decode(bomb, testPixels); !errors.Is(err, ErrInvalidImage) {
		t.Errorf("JPEG with very many scans: %v", err)
	}
}

// TestGIFBeyondItsCanvas reads what browsers read: the canvas grows to hold the first frame.
func TestGIFBeyondItsCanvas(t *testing.T) {
	data := bytes.Clone(goldenImages(t)["plain.gif"])
	copy(data[6:10], []byte{0, 0, 0, 0})
	pic, err := decode(data, testPixels)
	if err != nil {
		t.Fatal(err)
	}
	if pic.Width != 35 || pic.Height != 27 {
		t.Errorf("%d × %d, want 35 × 27", pic.Width, pic.Height)
	}
}

// TestShortBMPHeader reads OS/2's header of 16 bytes: nothing but size and depth.
func TestShortBMPHeader(t *testing.T) {
	data := []byte("BM\x00\x00\x00\x00\x00\x00\x00\x00\x1e\x00\x00\x00" +
		"\x10\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x01\x00\x18\x00" + "\x03\x02\x01\x06\x05\x04\x00\x00")
	pic, err := decode(data, testPixels)
	if err != nil {
		t.Fatal(err)
	}
	if want := []uint8{1, 2, 3, 4, 5, 6}; !slices.Equal(pic.Pix, want) {
		t.Errorf("%v, want %v", pic.Pix, want)
	}
}

// TestNestedFrames holds that frames inside frames are not followed: a WebP of nothing else would exhaust the stack.
func TestNestedFrames(t *testing.T) {
	var nested []byte
	for range 1000 {
		nested = appendChunk(nil, "ANMF", append(make([]byte, 16), nested...))
	}
	canvas := appendChunk([]byte("WEBP"), "VP8X", make([]byte, 10))
	_, err := decode(appendChunk(nil, "RIFF", append(canvas, nested...)), testPixels)
	if !errors.Is(err, ErrInvalidImage) {
		t.Errorf("%v, want ErrInvalidImage", err)
	}
}

// FuzzDecode feeds any bytes: an error or a picture of at most maxPixels, never a panic.
func FuzzDecode(f *testing.F) {
	for _, data := range goldenImages(f) {
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Add([]byte("\x89PNG\r\n\x1a\n"))
	f.Add(webpCanvas(30, 30))
	f.Add(tiffOfSize(3, 3))
	var interlaced bytes.Buffer
	if err := png.Encode(&interlaced, image.NewNRGBA64(image.Rect(0, 0, 5, 5))); err != nil {
		f.Fatal(err)
	}
	f.Add(interlaced.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		const maxPixels = 1 << 16
		pic, err := decode(data, maxPixels)
		if err != nil {
			if !errors.Is(err, ErrUnsupportedMediaType) && !errors.Is(err, ErrInvalidImage) &&
				!errors.Is(err, ErrImageTooLarge) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if pic.Width*pic.Height > maxPixels || len(pic.Pix) != pic.Width*pic.Height*pic.Channels {
			t.Fatalf("%d × %d × %d in %d bytes", pic.Width, pic.Height, pic.Channels, len(pic.Pix))
		}
		p := mnistLike()
		if values := p.AppendTensor(nil, pic); len(values) != 28*28 {
			t.Fatalf("%d values", len(values))
		}
	})
}
