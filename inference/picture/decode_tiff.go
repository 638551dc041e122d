package picture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// TIFF 6.0 tags.
const (
	tagWidth        = 256
	tagHeight       = 257
	tagBits         = 258
	tagCompression  = 259
	tagPhotometric  = 262
	tagFillOrder    = 266
	tagStripOffsets = 273
	tagSamples      = 277
	tagRowsPerStrip = 278
	tagStripCounts  = 279
	tagPlanar       = 284
	tagFaxOptions   = 292
	tagPredictor    = 317
	tagColorMap     = 320
	tagTileWidth    = 322
	tagTileHeight   = 323
	tagTileOffsets  = 324
	tagTileCounts   = 325
	tagExtraSamples = 338
	tagSampleFormat = 339
)

// Compressions of TIFF that are read.
const (
	tiffNone       = 1
	tiffGroup3     = 3
	tiffGroup4     = 4
	tiffLZW        = 5
	tiffDeflate    = 8
	tiffOldDeflate = 32946
	tiffPackBits   = 32773
)

// Bounds on what a header may ask for.
const (
	maxTIFFBlocks   = 1 << 17
	maxTIFFSamples  = 8
	maxTileOverhang = 1 << 20 // pixels that a tile may have beyond the picture's
)

func tiffHeader(data []byte) (header, error) {
	d, err := readIFD(data)
	if err != nil {
		return header{}, err
	}
	return header{width: d.number(tagWidth, 0), height: d.number(tagHeight, 0), orientation: d.orientation()}, nil
}

// tiffFile is the first page of a TIFF. x/image/tiff reads fewer kinds: no CMYK, no planes, no 4 bits, no grey with
// alpha.
type tiffFile struct {
	*ifd
	width, height          int
	depth, samples         int // bits a sample, samples a pixel
	compression, predictor int
	planar                 bool
	// A block is a strip or a tile.
	blockWidth, blockHeight int
	across, down            int
	offsets, counts         []uint32
	// values has a byte a sample, whatever the depth: packed from the top, samples side by side.
	values []uint8
}

func decodeTIFF(data []byte) (*Picture, error) {
	d, err := readIFD(data)
	if err != nil {
		return nil, err
	}
	f := &tiffFile{ifd: d, width: d.number(tagWidth, 0), height: d.number(tagHeight, 0)}
	for _, read := range []func() error{f.readSamples, f.readBlocks, f.readPixels} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	return f.picture()
}

// readSamples finds out what a pixel consists of.
func (f *tiffFile) readSamples() error {
	depths := f.numbers(tagBits, maxTIFFSamples)
	f.depth, f.samples = 1, f.number(tagSamples, max(len(depths), 1))
	if len(depths) > 0 {
		f.depth = int(depths[0])
	}
	for _, d := range depths {
		if int(d) != f.depth {
			return unsupported("a mixture of bits a sample")
		}
	}
	if f.depth != 1 && f.depth != 2 && f.depth != 4 && f.depth != 8 && f.depth != 16 {
		return unsupported(fmt.Sprintf("a depth of %d bits", f.depth))
	}
	if f.samples < 1 || f.samples > maxTIFFSamples {
		return unsupported(fmt.Sprintf("a pixel of %d samples", f.samples))
	}
	if format := f.number(tagSampleFormat, 1); format != 1 && format != 4 {
		return unsupported("a number format other than unsigned integers")
	}
	f.compression, f.predictor = f.number(tagCompression, tiffNone), f.number(tagPredictor, 1)
	if f.predictor > 2 || (f.predictor == 2 && f.depth < 8) {
		return unsupported("this predictor")
	}
	f.planar = f.number(tagPlanar, 1) == 2 && f.samples > 1
	return nil
}

// readBlocks finds out where the strips or tiles are.
func (f *tiffFile) readBlocks() error {
	offsets, counts := uint16(tagStripOffsets), uint16(tagStripCounts)
	f.blockWidth, f.blockHeight = f.width, min(f.number(tagRowsPerStrip, math.MaxInt32), f.height)
	if _, tiled := f.entries[tagTileWidth]; tiled {
		offsets, counts = tagTileOffsets, tagTileCounts
		f.blockWidth, f.blockHeight = f.number(tagTileWidth, 0), f.number(tagTileHeight, 0)
	}
	if f.blockWidth < 1 || f.blockHeight < 1 ||
		int64(f.blockWidth)*int64(f.blockHeight) > int64(f.width)*int64(f.height)+maxTileOverhang {
		return errors.New("the strips or tiles have an impossible size")
	}
	f.across = (f.width + f.blockWidth - 1) / f.blockWidth
	f.down = (f.height + f.blockHeight - 1) / f.blockHeight
	blocks := f.across * f.down
	if f.planar {
		blocks *= f.samples
	}
	if blocks > maxTIFFBlocks {
		return errors.New("too many strips or tiles")
	}
	f.offsets, f.counts = f.numbers(offsets, maxTIFFBlocks), f.numbers(counts, maxTIFFBlocks)
	if len(f.offsets) < blocks {
		return errors.New("strips or tiles are missing")
	}
	return nil
}

// impossible tells that so little data cannot be so many pixels, before memory is taken for them. Fax compression has
// no limit.
func (f *tiffFile) impossible() bool {
	most := map[int]int64{tiffNone: 1, tiffPackBits: 64, tiffDeflate: 1032, tiffOldDeflate: 1032, tiffLZW: 4096}
	expansion, ok := most[f.compression]
	return ok && int64(f.width)*int64(f.height)*int64(f.samples*f.depth)/8 > expansion*int64(len(f.data))
}

// readPixels fills values.
func (f *tiffFile) readPixels() error {
	if f.impossible() {
		return errTruncated
	}
	f.values = make([]uint8, f.width*f.height*f.samples)
	planes, samples := 1, f.samples
	if f.planar {
		planes, samples = f.samples, 1
	}
	row := make([]byte, (f.blockWidth*samples*f.depth+7)/8)
	for plane := range planes {
		for i := range f.across * f.down {
			block, err := f.block(plane*f.across*f.down + i)
			if err != nil {
				return err
			}
			left, top := i%f.across*f.blockWidth, i/f.across*f.blockHeight
			for y := top; y < min(top+f.blockHeight, f.height); y++ {
				if _, err := io.ReadFull(block, row); err != nil {
					return err
				}
				f.takeRow(row, left, y, plane, samples)
			}
		}
	}
	return nil
}

// takeRow spreads a row of a block; each pixel has samples of its f.samples in it, from first on.
func (f *tiffFile) takeRow(row []byte, left, y, first, samples int) {
	f.undoPredictor(row, samples)
	width := min(f.blockWidth, f.width-left)
	dst := f.values[(y*f.width+left)*f.samples+first:]
	step := f.samples - samples + 1 // between the last sample of a pixel and the next pixel's first
	at := 0
	high := 0 // the high byte of 16 bits
	if f.order == binary.LittleEndian {
		high = 1
	}
	for i := range width * samples {
		switch f.depth {
		case 8:
			dst[at] = row[i]
		case 16:
			dst[at] = row[2*i+high]
		default:
			bit := i * f.depth
			dst[at] = row[bit/8] >> (8 - f.depth - bit%8) & (1<<f.depth - 1)
		}
		at++
		if (i+1)%samples == 0 {
			at += step - 1
		}
	}
}

// undoPredictor adds each sample to the one before it (TIFF 6.0, section 14).
func (f *tiffFile) undoPredictor(row []byte, samples int) {
	switch {
	case f.predictor != 2:
	case f.depth == 8:
		for i := samples; i < len(row); i++ {
			row[i] += row[i-samples]
		}
	default:
		for i := 2 * samples; i+1 < len(row); i += 2 {
			f.order.PutUint16(row[i:], f.order.Uint16(row[i:])+f.order.Uint16(row[i-2*samples:]))
		}
	}
}
