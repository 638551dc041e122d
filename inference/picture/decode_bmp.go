package picture

import (
	"encoding/binary"
	"errors"
	"image/color"
)

// Compressions of Windows bitmaps.
const (
	bmpRGB       = 0
	bmpRLE8      = 1
	bmpRLE4      = 2
	bmpBitfields = 3
	bmpAlpha     = 6 // bit fields with alpha
)

// bmpFile is the header of a Windows or OS/2 bitmap, from BITMAPCOREHEADER to BITMAPV5HEADER.
// x/image/bmp reads only the commonest of them.
type bmpFile struct {
	header
	topDown     bool
	depth       int // bits a pixel
	compression int
	masks       [4]uint32 // red, green, blue, alpha
	palette     color.Palette
	pixels      []byte
}

func bmpHeader(data []byte) (header, error) {
	f, err := readBMP(data)
	if err != nil {
		return header{}, err
	}
	return f.header, nil
}

func decodeBMP(data []byte) (*Picture, error) {
	f, err := readBMP(data)
	if err != nil {
		return nil, err
	}
	switch {
	case f.compression == bmpRLE8 || f.compression == bmpRLE4:
		return f.decodeRuns()
	case f.depth <= 8:
		return f.decodeIndexed()
	}
	return f.decodeDirect()
}

const bmpFileHeader = 14

func readBMP(data []byte) (*bmpFile, error) {
	if len(data) < bmpFileHeader+12 {
		return nil, errTruncated
	}
	f := &bmpFile{header: header{orientation: 1}}
	size := int64(binary.LittleEndian.Uint32(data[bmpFileHeader:]))
	info := data[bmpFileHeader:]
	switch {
	case size != 12 && (size < 16 || size > 124):
		return nil, errors.New("the header is of no known kind")
	case size > int64(len(info)):
		return nil, errTruncated
	case size == 12:
		f.readCore(info)
	default:
		var full [140]byte // fields that a short header lacks are zero
		end := size
		if size == 40 { // masks come after it
			end = min(size+16, int64(len(info)))
		}
		copy(full[:], info[:end])
		f.readInfo(full[:], int(size))
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	f.readTables(data, int(size))
	return f, nil
}

// readCore takes OS/2's short header.
func (f *bmpFile) readCore(info []byte) {
	f.width, f.height = int(binary.LittleEndian.Uint16(info[4:])), int(binary.LittleEndian.Uint16(info[6:]))
	f.depth = int(binary.LittleEndian.Uint16(info[10:]))
}

// readInfo takes BITMAPINFOHEADER and those that begin with it, or with a part of it.
func (f *bmpFile) readInfo(info []byte, size int) {
	f.width = int(int32(binary.LittleEndian.Uint32(info[4:])))
	f.height = int(int32(binary.LittleEndian.Uint32(info[8:])))
	if f.height < 0 {
		f.height, f.topDown = -f.height, true
	}
	f.depth = int(binary.LittleEndian.Uint16(info[14:]))
	f.compression = int(binary.LittleEndian.Uint32(info[16:]))
	if f.compression != bmpBitfields && f.compression != bmpAlpha {
		return
	}
	masks := 3
	if f.compression == bmpAlpha || size >= 56 {
		masks = 4
	}
	for i := range masks {
		f.masks[i] = binary.LittleEndian.Uint32(info[40+4*i:])
	}
}

func (f *bmpFile) check() error {
	known := map[int]bool{1: true, 2: true, 4: true, 8: true, 16: true, 24: true, 32: true}
	if !known[f.depth] {
		return unsupported("this number of bits a pixel")
	}
	switch f.compression {
	case bmpRGB:
		return nil
	case bmpRLE8, bmpRLE4:
		if f.depth == 8/f.compression && !f.topDown {
			return nil
		}
	case bmpBitfields, bmpAlpha:
		if f.depth == 16 || f.depth == 32 {
			return nil
		}
	default:
		return unsupported("this compression")
	}
	return errors.New("the compression does not fit the number of bits a pixel")
}

// readTables finds the palette and the pixels, and sets the masks that go without saying.
func (f *bmpFile) readTables(data []byte, size int) {
	table := bmpFileHeader + size
	if size == 40 && f.compression == bmpBitfields {
		table += 12
	} else if size == 40 && f.compression == bmpAlpha {
		table += 16
	}
	pixels := int64(binary.LittleEndian.Uint32(data[10:]))
	if f.depth <= 8 {
		entry := 4
		if size == 12 {
			entry = 3
		}
		colors := 1 << f.depth
		if size >= 40 {
			if used := binary.LittleEndian.Uint32(data[bmpFileHeader+32:]); used > 0 {
				colors = int(min(used, 256))
			}
		}
		f.readPalette(data, table, entry, colors)
		table += entry * colors
	}
	if pixels < bmpFileHeader+12 {
		pixels = int64(table)
	}
	f.pixels = data[min(pixels, int64(len(data))):]
	if f.compression == bmpRGB && f.depth == 16 {
		f.masks = [4]uint32{0x7c00, 0x3e0, 0x1f}
	} else if f.compression == bmpRGB {
		f.masks = [4]uint32{0xff0000, 0xff00, 0xff}
	}
}

// readPalette fills up with black what the file does not give.
func (f *bmpFile) readPalette(data []byte, at, entry, colors int) {
	f.palette = make(color.Palette, 256)
	for i := range f.palette {
		c := color.NRGBA{A: 255}
		if i < colors && at+entry <= len(data) {
			c.B, c.G, c.R = data[at], data[at+1], data[at+2]
		}
		f.palette[i] = c
		at += entry
	}
}
