package picture

import (
	"bytes"
	"encoding/binary"
)

// tagOrientation is the TIFF and EXIF tag that says how to hold the picture.
const tagOrientation = 274

// exifHeader stands before the TIFF structure in JPEG, and often in WebP.
var exifHeader = []byte("Exif\x00\x00")

// exifOrientation reads the orientation from an EXIF block: 1 to 8; 1 (as it lies) where it has none, a wrong one, or
// is broken. Bad metadata never spoils a good picture.
func exifOrientation(block []byte) int {
	block = bytes.TrimPrefix(block, exifHeader)
	directory, err := readIFD(block)
	if err != nil {
		return 1
	}
	return directory.orientation()
}

// pngOrientation reads the chunk `eXIf`, which may stand before or after the pixels.
func pngOrientation(data []byte) int {
	orientation := 1
	eachPNGChunk(data, func(name, body, _ []byte, _ uint32) bool {
		found := string(name) == "eXIf"
		if found {
			orientation = exifOrientation(body)
		}
		return !found
	})
	return orientation
}

// ifd is a TIFF image file directory: the entries of one page by tag, and what is needed to read their values.
type ifd struct {
	order   binary.ByteOrder
	data    []byte
	entries map[uint16]ifdEntry
}

type ifdEntry struct {
	kind  uint16
	count uint32
	value []byte // four bytes: the values, or where they are
}

// The field types of TIFF 6.0 that whole numbers come in.
const (
	tiffByte  = 1
	tiffShort = 3
	tiffLong  = 4
)

// readIFD reads the first directory of a TIFF structure. It returns errTruncated or errNotTIFF.
func readIFD(data []byte) (*ifd, error) {
	if len(data) < 8 {
		return nil, errTruncated
	}
	d := &ifd{data: data, entries: make(map[uint16]ifdEntry)}
	switch string(data[:4]) {
	case "II*\x00":
		d.order = binary.LittleEndian
	case "MM\x00*":
		d.order = binary.BigEndian
	default:
		return nil, errNotTIFF
	}
	at := int64(d.order.Uint32(data[4:]))
	if at+2 > int64(len(data)) {
		return nil, errTruncated
	}
	const size = 12
	count, list := int(d.order.Uint16(data[at:])), data[at+2:]
	if count*size > len(list) {
		return nil, errTruncated
	}
	for ; count > 0; count, list = count-1, list[size:] {
		tag := d.order.Uint16(list)
		if _, seen := d.entries[tag]; !seen { // the first wins
			d.entries[tag] = ifdEntry{d.order.Uint16(list[2:]), d.order.Uint32(list[4:]), list[8:size]}
		}
	}
	return d, nil
}

// numbers are the values of a tag, nil where it is missing, of another kind than whole numbers, longer than limit, or
// outside the data.
func (d *ifd) numbers(tag uint16, limit int) []uint32 {
	entry, ok := d.entries[tag]
	width, known := map[uint16]int64{tiffByte: 1, tiffShort: 2, tiffLong: 4}[entry.kind]
	if !ok || !known || int64(entry.count) > int64(limit) {
		return nil
	}
	raw, size := entry.value, width*int64(entry.count)
	if size > 4 {
		at := int64(d.order.Uint32(entry.value))
		if at+size > int64(len(d.data)) {
			return nil
		}
		raw = d.data[at : at+size]
	}
	values := make([]uint32, entry.count)
	for i := range values {
		switch entry.kind {
		case tiffByte:
			values[i] = uint32(raw[i])
		case tiffShort:
			values[i] = uint32(d.order.Uint16(raw[2*i:]))
		default:
			values[i] = d.order.Uint32(raw[4*i:])
		}
	}
	return values
}

// number is the first value of a tag, or what it is by default.
func (d *ifd) number(tag uint16, byDefault int) int {
	if v := d.numbers(tag, 1<<16); len(v) > 0 {
		return int(v[0])
	}
	return byDefault
}

func (d *ifd) orientation() int {
	if v := d.number(tagOrientation, 1); 1 <= v && v <= 8 {
		return v
	}
	return 1
}
