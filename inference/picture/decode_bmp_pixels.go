package picture

import (
	"image"
	"math/bits"
)

// rows calls take with each row of the file and where it belongs.
func (f *bmpFile) rows(take func(y int, row []byte)) error {
	stride := (int64(f.width)*int64(f.depth) + 31) / 32 * 4
	need := (int64(f.width)*int64(f.depth) + 7) / 8
	for i := range f.height {
		start := int64(i) * stride
		if start+need > int64(len(f.pixels)) {
			return errTruncated
		}
		y := i
		if !f.topDown {
			y = f.height - 1 - i
		}
		take(y, f.pixels[start:start+need])
	}
	return nil
}

func (f *bmpFile) decodeIndexed() (*Picture, error) {
	if err := f.rows(func(int, []byte) {}); err != nil { // before memory is taken
		return nil, err
	}
	img := image.NewPaletted(image.Rect(0, 0, f.width, f.height), f.palette)
	perByte, mask := 8/f.depth, byte(1<<f.depth-1)
	err := f.rows(func(y int, row []byte) {
		dst := img.Pix[y*img.Stride:][:f.width]
		for x := range dst {
			dst[x] = row[x/perByte] >> (8 - f.depth - x%perByte*f.depth) & mask
		}
	})
	if err != nil {
		return nil, err
	}
	return fromPaletted(img), nil
}

func (f *bmpFile) decodeDirect() (*Picture, error) {
	if err := f.rows(func(int, []byte) {}); err != nil {
		return nil, err
	}
	var fields [4]bmpField
	for i, mask := range f.masks {
		fields[i] = newBMPField(mask)
	}
	rgba := make([]uint8, 4*f.width*f.height)
	visible := uint8(0)
	bytesPerPixel := f.depth / 8
	err := f.rows(func(y int, row []byte) {
		for dst := rgba[4*y*f.width:][:4*f.width]; len(dst) > 0; dst, row = dst[4:], row[bytesPerPixel:] {
			var v uint32
			for i := range bytesPerPixel {
				v |= uint32(row[i]) << (8 * i)
			}
			for c := range dst[:4] {
				dst[c] = fields[c].value(v)
			}
			visible |= dst[3]
		}
	})
	if err != nil {
		return nil, err
	}
	if visible == 0 { // no alpha, or one that nobody filled in
		for i := 3; i < len(rgba); i += 4 {
			rgba[i] = 255
		}
	}
	return fromRGBA(rgba, 4*f.width, f.width, f.height), nil
}

// bmpField takes one channel out of a pixel.
type bmpField struct {
	mask  uint32
	shift int
	table []uint8 // by value, where there are few
}

func newBMPField(mask uint32) bmpField {
	f := bmpField{mask: mask, shift: bits.TrailingZeros32(mask)}
	width := bits.Len32(mask >> (f.shift & 31))
	if width > 8 {
		f.shift += width - 8
		width = 8
	}
	f.table = make([]uint8, 1<<width)
	for v := range f.table {
		f.table[v] = uint8(v * 255 / max(len(f.table)-1, 1))
	}
	return f
}

func (f *bmpField) value(pixel uint32) uint8 {
	return f.table[(pixel&f.mask)>>f.shift]
}
