package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"

	"golang.org/x/image/webp"
)

var errNotWebP = errors.New("no picture among its chunks")

// webpFile is what the chunks of a WebP hold, as its container specification names them.
type webpFile struct {
	header
	// canvas is given by VP8X; else the picture is the canvas.
	canvas bool
	// frame is the first picture: VP8 or VP8L, with ALPH before it where there is one.
	alpha, pixels []byte
	lossless      bool
	// at is where the first frame of an animation lies, size how large it says to be.
	at, size image.Point
}

func webpHeader(data []byte) (header, error) {
	f, err := readWebP(data)
	if err != nil {
		return header{}, err
	}
	return f.header, nil
}

func readWebP(data []byte) (*webpFile, error) {
	if len(data) < 12 {
		return nil, errTruncated
	}
	f := &webpFile{header: header{orientation: 1}}
	if err := f.readChunks(data[12:]); err != nil {
		return nil, err
	}
	if f.pixels == nil {
		return nil, errNotWebP
	}
	width, height, err := f.pixelSize()
	if err != nil {
		return nil, err
	}
	if f.size == (image.Point{}) {
		f.size = image.Pt(width, height)
	}
	if !f.canvas {
		f.width, f.height = width, height
	}
	if f.size != image.Pt(width, height) || f.at.X+width > f.width || f.at.Y+height > f.height {
		return nil, errors.New("the frame does not fit its canvas")
	}
	return f, nil
}

// readChunks takes the first picture and the metadata of a sequence of RIFF chunks.
func (f *webpFile) readChunks(data []byte) error {
	for len(data) >= 8 {
		name, size := string(data[:4]), int64(binary.LittleEndian.Uint32(data[4:]))
		data = data[8:]
		if size > int64(len(data)) {
			if f.pixels != nil { // what is cut off comes after the picture
				return nil
			}
			return errTruncated
		}
		if err := f.take(name, data[:size]); err != nil {
			return err
		}
		data = data[min(size+size&1, int64(len(data))):]
	}
	return nil
}

func (f *webpFile) take(name string, body []byte) error {
	switch name {
	case "VP8X":
		if len(body) < 10 {
			return errTruncated
		}
		f.canvas, f.width, f.height = true, 1+uint24(body[4:]), 1+uint24(body[7:])
	case "ANMF":
		if f.pixels != nil || f.size != (image.Point{}) { // a later frame, or one inside another
			return nil
		}
		if len(body) < 16 {
			return errTruncated
		}
		f.at = image.Pt(2*uint24(body), 2*uint24(body[3:]))
		f.size = image.Pt(1+uint24(body[6:]), 1+uint24(body[9:]))
		return f.readChunks(body[16:])
	case "ALPH":
		if f.pixels == nil {
			f.alpha = body
		}
	case "VP8 ", "VP8L":
		if f.pixels == nil {
			f.pixels, f.lossless = body, name == "VP8L"
		}
	case "EXIF":
		f.orientation = exifOrientation(body)
	}
	return nil
}

// pixelSize reads the size from the picture itself (RFC 6386, section 9.1; WebP lossless, section 3).
func (f *webpFile) pixelSize() (width, height int, err error) {
	switch p := f.pixels; {
	case f.lossless && len(p) >= 5 && p[0] == 0x2f:
		bits := binary.LittleEndian.Uint32(p[1:])
		return 1 + int(bits&0x3fff), 1 + int(bits>>14&0x3fff), nil
	case !f.lossless && len(p) >= 10 && string(p[3:6]) == "\x9d\x01\x2a":
		return int(binary.LittleEndian.Uint16(p[6:]) & 0x3fff), int(binary.LittleEndian.Uint16(p[8:]) & 0x3fff), nil
	case len(p) < 10:
		return 0, 0, errTruncated
	}
	return 0, 0, errors.New("the picture's header is broken")
}

// decodeWebP reads a still picture or the first frame of an animation, on its canvas.
func decodeWebP(data []byte) (*Picture, error) {
	f, err := readWebP(data)
	if err != nil {
		return nil, err
	}
	img, err := webp.Decode(bytes.NewReader(f.still()))
	if err != nil {
		return nil, err
	}
	var pic *Picture
	switch planes := img.(type) {
	case *image.YCbCr:
		pic = fromYCbCr(planes, webpColors)
	case *image.NYCbCrA:
		pic = fromYCbCr(&planes.YCbCr, webpColors).withAlpha()
		pic.setAlpha(planes.A, planes.AStride)
	default:
		pic = fromImage(img)
	}
	if pic.Width == f.width && pic.Height == f.height {
		return pic, nil
	}
	return pic.onCanvas(f.width, f.height, f.at), nil
}

// still is a file of the first picture alone: x/image/webp reads no animation, and is strict about flags that others
// overlook.
func (f *webpFile) still() []byte {
	body := make([]byte, 0, len(f.pixels)+len(f.alpha)+64)
	body = append(body, "WEBP"...)
	name := "VP8 "
	switch {
	case f.lossless:
		name = "VP8L"
	case f.alpha != nil:
		extended := [10]byte{0: 1 << 4}
		putUint24(extended[4:], f.size.X-1)
		putUint24(extended[7:], f.size.Y-1)
		body = appendChunk(body, "VP8X", extended[:])
		body = appendChunk(body, "ALPH", f.alpha)
	}
	body = appendChunk(body, name, f.pixels)
	return appendChunk(make([]byte, 0, len(body)+8), "RIFF", body)
}

func appendChunk(dst []byte, name string, body []byte) []byte {
	dst = append(dst, name...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(body)))
	dst = append(dst, body...)
	return append(dst, make([]byte, len(body)&1)...)
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

func putUint24(b []byte, v int) { b[0], b[1], b[2] = byte(v), byte(v>>8), byte(v>>16) }
