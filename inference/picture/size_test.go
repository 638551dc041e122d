package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"runtime"
	"strings"
	"testing"
)

func TestTooLarge(t *testing.T) {
	huge := map[string][]byte{
		"PNG":          pngOfSize(50_000, 50_000),
		"GIF":          gifOfSize(65_000, 65_000),
		"GIF frame":    gifFrameOfSize(t, 65_000, 65_000),
		"JPEG":         jpegOfSize(t, 65_000, 65_000),
		"BMP":          bmpOfSize(1<<31-1, 1<<31-1),
		"BMP top-down": bmpOfSize(50_000, -50_000),
		"WebP":         webpOfSize(16_000, 16_000),
		"WebP canvas":  webpCanvas(1<<24-1, 1<<24-1),
		"TIFF":         tiffOfSize(1<<32-1, 1<<32-1),
	}
	for name, data := range huge {
		_, err := decode(data, 50_000_000)
		if !errors.Is(err, ErrImageTooLarge) {
			t.Errorf("%s: %v, want ErrImageTooLarge", name, err)
		} else if !strings.Contains(err.Error(), "50000000") {
			t.Errorf("%s: %q does not tell the limit", name, err)
		}
	}
	if _, err := decode(pngOfSize(maxSide+1, 1), 50_000_000); !errors.Is(err, ErrImageTooLarge) {
		t.Errorf("a long thin PNG: %v", err)
	}
	small := goldenImages(t)["scene.png"]
	if _, err := decode(small, 60*43); err != nil {
		t.Errorf("as many pixels as allowed: %v", err)
	}
	if _, err := decode(small, 60*43-1); !errors.Is(err, ErrImageTooLarge) {
		t.Errorf("a pixel more than allowed: %v", err)
	}
}

// allocated is the bytes that work takes from the heap.
func allocated(work func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestHeaderIsNotBelieved holds that no memory is taken on a header's word alone: nor for 50,000 × 50,000 pixels, nor
// for as many as are allowed but of which there is no data.
func TestHeaderIsNotBelieved(t *testing.T) {
	empty := append(pngOfSize(7000, 7000), appendPNGChunk(nil, "IDAT", []byte{0x78, 0x9c})...)
	for name, data := range map[string][]byte{
		"huge PNG":   pngOfSize(50_000, 50_000),
		"empty PNG":  appendPNGChunk(empty, "IEND", nil),
		"empty BMP":  bmpOfSize(7000, 7000),
		"empty TIFF": tiffOfSize(7000, 7000),
	} {
		size := allocated(func() {
			if _, err := decode(data, 50_000_000); err == nil {
				t.Errorf("%s was read", name)
			}
		})
		if size > 1<<20 {
			t.Errorf("%s: %d bytes allocated", name, size)
		}
	}
}

func TestZeroSize(t *testing.T) {
	for name, data := range map[string][]byte{
		"PNG": pngOfSize(0, 10), "BMP": bmpOfSize(0, 0), "BMP, negative": bmpOfSize(-3, 3), "TIFF": tiffOfSize(0, 3),
		"JPEG": jpegOfSize(t, 10, 0), "GIF": gifOfSize(0, 0), "WebP": webpOfSize(0, 4),
	} {
		if _, err := decode(data, testPixels); !errors.Is(err, ErrInvalidImage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHeaderLies gives a small size where the header is looked for and another inside.
func TestHeaderLies(t *testing.T) {
	frame := goldenImages(t)["lossy.webp"]
	lying := append(webpCanvas(10, 10), frame[12:]...)
	binary.LittleEndian.PutUint32(lying[4:], uint32(len(lying)-8))
	if _, err := decode(lying, testPixels); !errors.Is(err, ErrInvalidImage) {
		t.Errorf("WebP with a large picture on a small canvas: %v", err)
	}
}

func pngOfSize(width, height int) []byte {
	head := binary.BigEndian.AppendUint32(nil, uint32(width))
	head = binary.BigEndian.AppendUint32(head, uint32(height))
	return appendPNGChunk([]byte(pngSignature), "IHDR", append(head, 8, 0, 0, 0, 0))
}

func appendPNGChunk(dst []byte, name string, body []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body)))
	start := len(dst)
	dst = append(append(dst, name...), body...)
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[start:]))
}

func gifOfSize(width, height int) []byte {
	data := binary.LittleEndian.AppendUint16([]byte("GIF89a"), uint16(width))
	data = binary.LittleEndian.AppendUint16(data, uint16(height))
	return append(data, 0, 0, 0, ';')
}

func gifFrameOfSize(t *testing.T, width, height int) []byte {
	t.Helper()
	var out bytes.Buffer
	pixel := image.NewPaletted(image.Rect(0, 0, 1, 1), color.Palette{color.Black, color.White})
	if err := gif.Encode(&out, pixel, nil); err != nil {
		t.Fatal(err)
	}
	data := out.Bytes()
	at := bytes.LastIndexByte(data, ',')
	binary.LittleEndian.PutUint16(data[at+5:], uint16(width))
	binary.LittleEndian.PutUint16(data[at+7:], uint16(height))
	return data
}

func jpegOfSize(t *testing.T, width, height int) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := jpeg.Encode(&out, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	data := out.Bytes()
	at := bytes.Index(data, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(data[at+5:], uint16(height))
	binary.BigEndian.PutUint16(data[at+7:], uint16(width))
	return data
}

func bmpOfSize(width, height int32) []byte {
	data := make([]byte, 54)
	copy(data, "BM")
	binary.LittleEndian.PutUint32(data[10:], 54)
	binary.LittleEndian.PutUint32(data[14:], 40)
	binary.LittleEndian.PutUint32(data[18:], uint32(width))
	binary.LittleEndian.PutUint32(data[22:], uint32(height))
	data[26], data[28] = 1, 24
	return data
}

func webpOfSize(width, height int) []byte {
	frame := []byte{0, 0, 0, 0x9d, 0x01, 0x2a}
	frame = binary.LittleEndian.AppendUint16(frame, uint16(width))
	frame = binary.LittleEndian.AppendUint16(frame, uint16(height))
	return appendChunk(nil, "RIFF", appendChunk([]byte("WEBP"), "VP8 ", frame))
}

func webpCanvas(width, height int) []byte {
	var canvas [10]byte
	putUint24(canvas[4:], width-1)
	putUint24(canvas[7:], height-1)
	body := appendChunk([]byte("WEBP"), "VP8X", canvas[:])
	if width > 100 {
		body = append(body, webpOfSize(10, 10)[12:]...)
	}
	return appendChunk(nil, "RIFF", body)
}

func tiffOfSize(width, height uint32) []byte {
	data := []byte("II*\x00\x08\x00\x00\x00\x02\x00")
	for i, side := range []uint32{width, height} {
		data = binary.LittleEndian.AppendUint16(data, uint16(tagWidth+i))
		data = binary.LittleEndian.AppendUint16(data, tiffLong)
		data = binary.LittleEndian.AppendUint32(data, 1)
		data = binary.LittleEndian.AppendUint32(data, side)
	}
	return append(data, 0, 0, 0, 0)
}
