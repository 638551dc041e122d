package picture

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"golang.org/x/image/ccitt"
	"golang.org/x/image/tiff/lzw"
)

// block opens the i-th strip or tile.
func (f *tiffFile) block(i int) (io.Reader, error) {
	start := int64(f.offsets[i])
	if start > int64(len(f.data)) {
		return nil, errTruncated
	}
	packed := f.data[start:]
	if i < len(f.counts) && f.counts[i] > 0 {
		packed = packed[:min(int64(f.counts[i]), int64(len(packed)))]
	}
	switch f.compression {
	case tiffNone:
		if f.number(tagFillOrder, 1) == 2 {
			packed = reversedBits(packed)
		}
		return bytes.NewReader(packed), nil
	case tiffLZW:
		return lzw.NewReader(bytes.NewReader(packed), lzw.MSB, 8), nil
	case tiffDeflate, tiffOldDeflate:
		return zlib.NewReader(bytes.NewReader(packed))
	case tiffPackBits:
		return bytes.NewReader(unpackBits(packed)), nil
	case tiffGroup3, tiffGroup4:
		return f.fax(packed, f.blockRows(i))
	}
	return nil, unsupported(f.compressionName())
}

func (f *tiffFile) compressionName() string {
	names := map[int]string{
		2: "modified Huffman compression", 6: "old JPEG compression", 7: "JPEG compression",
		34712: "JPEG 2000 compression", 34887: "LERC compression", 34925: "LZMA compression",
		50000: "Zstandard compression", 50001: "WebP compression", 50002: "JPEG XL compression",
	}
	if name, ok := names[f.compression]; ok {
		return name
	}
	return fmt.Sprintf("compression %d", f.compression)
}

// fax reads rows of a fax. It is told how many, for in TIFF the last one of Group 3 need not be ended.
func (f *tiffFile) fax(packed []byte, rows int) (io.Reader, error) {
	mode, order := ccitt.Group4, ccitt.MSB
	if f.compression == tiffGroup3 {
		mode = ccitt.Group3
		switch options := f.number(tagFaxOptions, 0); {
		case options&1 != 0:
			return nil, unsupported("two-dimensional Group 3 compression")
		case options&4 != 0:
			return nil, unsupported("Group 3 compression with fill bits")
		}
	}
	if f.number(tagFillOrder, 1) == 2 {
		order = ccitt.LSB
	}
	if f.depth != 1 || f.samples != 1 {
		return nil, errors.New("fax compression of more than one bit a pixel")
	}
	options := &ccitt.Options{Invert: true} // in TIFF the white of a fax is a zero
	return ccitt.NewReader(bytes.NewReader(packed), order, mode, f.blockWidth, rows, options), nil
}

func reversedBits(b []byte) []byte {
	out := make([]byte, len(b))
	for i, v := range b {
		out[i] = bits.Reverse8(v)
	}
	return out
}

// blockRows is how many rows of the i-th strip or tile are in the image.
func (f *tiffFile) blockRows(i int) int {
	top := i / f.across % f.down * f.blockHeight
	return min(f.blockHeight, f.height-top)
}

// unpackBits undoes the run-length encoding of TIFF 6.0, section 9, as far as there is data.
func unpackBits(packed []byte) []byte {
	var out []byte
	for len(packed) > 1 {
		switch n := int(int8(packed[0])); {
		case n >= 0:
			end := min(n+2, len(packed))
			out = append(out, packed[1:end]...)
			packed = packed[end:]
		case n == -128:
			packed = packed[1:]
		default:
			out = append(out, bytes.Repeat(packed[1:2], 1-n)...)
			packed = packed[2:]
		}
	}
	return out
}
