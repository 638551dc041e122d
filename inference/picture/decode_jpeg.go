package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/jpeg"
	"io"
	"strings"
)

// maxScans bounds the passes of a progressive JPEG, each of which touches all pixels for as little as a few bytes.
// Encoders write about ten.
const maxScans = 200

// jpegHeader walks the segments up to the frame header as image/jpeg does, so that both believe the same one.
func jpegHeader(data []byte) (header, error) {
	h := header{orientation: 1}
	at := 2
	for {
		marker, body, err := nextSegment(data, &at)
		if err != nil {
			return header{}, err
		}
		switch {
		case marker == 0xe1 && bytes.HasPrefix(body, exifHeader):
			h.orientation = exifOrientation(body)
		case marker == 0xda || marker == 0xd9:
			return header{}, errors.New("no frame header before the pixels")
		case 0xc0 <= marker && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc:
			return h, h.readFrame(marker, body, data)
		}
	}
}

// readFrame reads the segment SOFn (ITU-T T.81, B.2.2).
func (h *header) readFrame(marker byte, body, data []byte) error {
	if len(body) < 6 {
		return errTruncated
	}
	switch {
	case marker > 0xc2:
		return unsupported("lossless, hierarchical or arithmetic coding")
	case body[0] != 8:
		return unsupported("a precision other than 8 bits")
	case marker == 0xc2 && bytes.Count(data, []byte{0xff, 0xda}) > maxScans:
		return errors.New("too many scans")
	}
	h.height, h.width = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	return nil
}

// nextSegment finds the marker at or after *at, skipping what does not belong to one, and its body.
func nextSegment(data []byte, at *int) (marker byte, body []byte, err error) {
	for i := *at; i+1 < len(data); i++ {
		m := data[i+1]
		if data[i] != 0xff || m == 0 || m == 0xff || (0xd0 <= m && m <= 0xd7) {
			continue
		}
		if m == 0xd9 {
			return m, nil, nil
		}
		if i+4 > len(data) {
			break
		}
		size := int(binary.BigEndian.Uint16(data[i+2:]))
		if size < 2 || i+2+size > len(data) {
			break
		}
		*at = i + 2 + size
		return m, data[i+4 : *at], nil
	}
	return 0, nil, errTruncated
}

func decodeJPEG(data []byte) (*Picture, error) {
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil && strings.Contains(err.Error(), "APP14") {
		img, err = jpeg.Decode(asAdobe(data))
	}
	if err != nil {
		return nil, err
	}
	if planes, ok := img.(*image.YCbCr); ok {
		return fromYCbCr(planes, jpegColors), nil
	}
	return fromImage(img), nil
}

// asAdobe puts Adobe's segment in front of a CMYK JPEG that has none. Nearly all are written Adobe's way, inverted,
// and Pillow takes them so too.
func asAdobe(data []byte) io.Reader {
	const start = "\xff\xd8\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
	return io.MultiReader(strings.NewReader(start), bytes.NewReader(data[2:]))
}
