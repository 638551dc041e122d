package picture

import (
	"bytes"
)

// nativeCodec says which images of a type libvips reads, in the place of Go's decoder. What libvips finds fault with in
// any way is judged by Go's decoder: libvips refuses nothing that is read without it, and an error has one wording.
type nativeCodec struct {
	loader vipsLoader
	// pixels and bytes, of the picture and of its file, are how many it must have for libvips to be the faster.
	pixels, bytes int
	// shrinks says that libvips decodes smaller sizes in less time.
	shrinks bool
	// suited gives what libvips is to read; nil where it would read something else than Go's decoder.
	suited func(data []byte) []byte
}

// What libvips does before the first pixel takes it about 0.3 ms. On two cores of an EPYC, in full and in milliseconds,
// BenchmarkNative measured libvips against Go's decoders at:
//
//	JPEG            96 × 72: 0.34, 0.21   160 × 120: 0.46, 0.46   320 × 240: 1.1, 1.7   640 × 480: 4.1, 7.1
//	PNG, photograph 96 × 72: 0.42, 0.36   128 × 96:  0.52, 0.62   320 × 240: 2.9, 6.6   640 × 480: 8.8, 41
//	PNG, drawing    280 × 280, a kilobyte: 0.50, 0.19
//	WebP            160 × 120: 3.3, 2.7   224 × 168: 2.4, 3.8   640 × 480: 16, 24   lossless, 240 × 180: 3.2, 9.4
//
// What a PNG costs lies in its bytes; that of 128 × 96 has 25 kB. Go's decoders of the other types are as good.
var (
	jpegNative = &nativeCodec{loader: vipsJPEG, pixels: 160 * 120, shrinks: true, suited: suitedJPEG}
	pngNative  = &nativeCodec{loader: vipsPNG, pixels: 128 * 96, bytes: 25_000, suited: suitedPNG}
	webpNative = &nativeCodec{loader: vipsWebP, pixels: 200 * 150, suited: suitedWebP}
)

// decodeNative is decode by libvips; nil where there is none, where it is not the faster, or where it finds a fault.
func (s Encoded) decodeNative(enough Size) *Picture {
	n := s.codec.native
	if s.vips == nil || n == nil || s.Pixels() < n.pixels || len(s.data) < n.bytes {
		return nil
	}
	data := n.suited(s.data)
	if data == nil {
		return nil
	}
	shrink := 1
	if n.shrinks {
		shrink = s.header.shrink(enough)
	}
	pic := decodeVips(n.loader, data, shrink, s.Memory)
	if pic == nil || !s.header.fits(pic, shrink) {
		return nil
	}
	if shrink > 1 {
		pic.shrunk = area{0, 0, float32(s.header.width) / float32(shrink), float32(s.header.height) / float32(shrink)}
	}
	switch pic.Channels {
	case 3:
		pic.dropColor()
	case 4:
		return fromRGBA(pic.Pix, 4*pic.Width, pic.Width, pic.Height)
	}
	return pic
}

// shrink is the largest factor of libjpeg's that leaves enough.
func (h header) shrink(enough Size) int {
	if h.orientation >= 5 {
		enough.width, enough.height = enough.height, enough.width
	}
	shrink := 8
	for shrink > 1 && (h.width < shrink*enough.width || h.height < shrink*enough.height) {
		shrink /= 2
	}
	return shrink
}

// fits tells whether the picture has the size that the header says; a shrunk one may be rounded up or down.
func (h header) fits(pic *Picture, shrink int) bool {
	rounded := func(got, full int) bool { return got == full/shrink || got == (full+shrink-1)/shrink }
	return rounded(pic.Width, h.width) && rounded(pic.Height, h.height)
}

// suitedJPEG leaves inks to Go's decoder, and what has no end: libvips overlooks that where the last rows are whole.
func suitedJPEG(data []byte) []byte {
	at := 2
	for {
		marker, body, err := nextSegment(data, &at)
		if err != nil || marker == 0xda || marker == 0xd9 {
			return nil
		}
		if 0xc0 <= marker && marker <= 0xc2 {
			end := bytes.LastIndex(data, []byte{0xff, 0xd9})
			if len(body) < 6 || body[5] > 3 || end < 0 || bytes.Contains(data[end:], []byte{0xff, 0xda}) {
				return nil
			}
			return data
		}
	}
}

// suitedWebP leaves pictures that do not fill their canvas to Go's decoder.
func suitedWebP(data []byte) []byte {
	f, err := readWebP(data)
	if err != nil || f.size.X != f.width || f.size.Y != f.height {
		return nil
	}
	return f.still()
}

// suitedPNG takes the usual kinds, whole, whose samples libvips gives as they are.
func suitedPNG(data []byte) []byte {
	depth, kind, rest := data[24], data[25], string(data[26:pngHead])
	if depth != 8 || rest != "\x00\x00\x00" || (kind != pngGrey && kind != pngRGB && kind != pngRGBA) {
		return nil
	}
	if r := new(pngReader); !r.scan(data, kind) {
		return nil
	}
	return data
}
