package picture

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The image types that are read; AVIF and HEIC with libvips alone.
var (
	pngCodec  = &codec{"PNG", "image/png", pngHeader, decodePNG, pngNative}
	jpegCodec = &codec{"JPEG", "image/jpeg", jpegHeader, decodeJPEG, jpegNative}
	gifCodec  = &codec{"GIF", "image/gif", gifHeader, decodeGIF, nil}
	webpCodec = &codec{"WebP", "image/webp", webpHeader, decodeWebP, webpNative}
	bmpCodec  = &codec{"BMP", "image/bmp", bmpHeader, decodeBMP, nil}
	tiffCodec = &codec{"TIFF", "image/tiff", tiffHeader, decodeTIFF, nil}
	avifCodec = &codec{"AVIF", "image/avif", heifHeader, decodeHEIF, nil}
	heicCodec = &codec{"HEIC", "image/heic", heifHeader, decodeHEIF, nil}
)

// sniff finds the image type in the first bytes; names and declared types are never believed.
// It returns ErrUnsupportedMediaType, saying what the bytes seem to be instead.
func sniff(data []byte, v *Vips) (*codec, error) {
	switch {
	case hasPrefix(data, "\x89PNG"):
		return pngCodec, nil
	case hasPrefix(data, "\xff\xd8\xff"):
		return jpegCodec, nil
	case hasPrefix(data, "GIF87a", "GIF89a"):
		return gifCodec, nil
	case hasPrefix(data, "RIFF") && (len(data) < 12 || string(data[8:12]) == "WEBP"):
		return webpCodec, nil
	case hasPrefix(data, "II*\x00", "MM\x00*"):
		return tiffCodec, nil
	case hasPrefix(data, "BM") && !isText(data):
		return bmpCodec, nil
	case len(data) == 0:
		return nil, fmt.Errorf("%w: the file is empty; %s read", ErrUnsupportedMediaType, v.readTypes())
	}
	if c := heifCodec(data); c != nil {
		return c, v.reads(c)
	}
	return nil, fmt.Errorf("%w: this is %s; %s read", ErrUnsupportedMediaType, otherType(data), v.readTypes())
}

// others are the types that people send by mistake, by their first bytes.
var others = []struct{ prefix, name string }{
	{"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"},
	{"\xff\x0a", "JPEG XL"},
	{"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"},
	{"\xff\x4f\xff\x51", "JPEG 2000"},
	{"8BPS", "a Photoshop file"},
	{"\x00\x00\x01\x00", "a Windows icon"},
	{"\x00\x00\x02\x00\x00\x00", "a Targa image"}, // a cursor file of no cursors would begin like that
	{"\x00\x00\x0a\x00\x00\x00", "a Targa image"},
	{"\x00\x00\x02\x00", "a Windows cursor"},
	{"II+\x00", "BigTIFF"},
	{"MM\x00+", "BigTIFF"},
	{"II\xbc\x01", "JPEG XR"},
	{"\x8aMNG", "MNG"},
	{"\x8bJNG", "JNG"},
	{"qoif", "QOI"},
	{"DDS ", "DDS"},
	{"gimp xcf", "a GIMP file"},
	{"\x76\x2f\x31\x01", "OpenEXR"},
	{"#?RADIANCE", "Radiance HDR"},
	{"icns", "an Apple icon"},
	{"\x0a\x05\x01", "PCX"},
	{"\xd7\xcd\xc6\x9a", "a Windows metafile"},
	{"FUJIFILM", "a camera's raw file"},
	{"%PDF-", "PDF"},
	{"%!PS", "PostScript"},
	{"PK\x03\x04", "a ZIP archive or an office document"},
	{"\x1f\x8b", "gzip"},
	{"Rar!", "a RAR archive"},
	{"7z\xbc\xaf", "a 7z archive"},
	{"\x7fELF", "a program"},
	{"MZ", "a program"},
	{"RIFF", "a RIFF file other than WebP"},
	{"OggS", "an Ogg file"},
	{"ID3", "an MP3 file"},
	{"\x1aE\xdf\xa3", "a Matroska or WebM video"},
}

// otherType names what is not read, as well as it can.
func otherType(data []byte) string {
	if len(data) >= 12 && string(data[4:8]) == "ftyp" {
		return isoMedia(string(data[8:12]))
	}
	for _, other := range others {
		if hasPrefix(data, other.prefix) {
			return other.name
		}
	}
	if len(data) > 3 && data[0] == 'P' && '1' <= data[1] && data[1] <= '7' && unicode.IsSpace(rune(data[2])) {
		return "a Netpbm image"
	}
	if !isText(data) {
		return "of an unknown type"
	}
	start := strings.ToLower(string(data[:min(len(data), 1024)]))
	switch {
	case strings.Contains(start, "<svg"):
		return "SVG"
	case strings.Contains(start, "<html"), strings.Contains(start, "<!doctype html"):
		return "HTML"
	case strings.HasPrefix(start, "data:"):
		return "a data URL, not the bytes in it"
	}
	return "text"
}

// isoMedia names an ISO base media file that is no image, by its major brand.
func isoMedia(brand string) string {
	if brand == "crx " {
		return "a camera's raw file"
	}
	return "a video"
}

// isText tells whether the beginning is readable text in UTF-8.
func isText(data []byte) bool {
	data = data[:min(len(data), 512)]
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 && utf8.FullRune(data) {
			return false
		}
		if unicode.IsControl(r) && !bytes.ContainsRune([]byte("\t\n\f\r\x1b"), r) {
			return false
		}
		data = data[size:]
	}
	return true
}
