package picture

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
)

// pngReaders keep what inflating needs, some 45 kB, which image/png takes anew for every image: for a digit of 28 × 28
// that is two thirds of the time, and nearly all of the garbage.
var pngReaders = sync.Pool{New: func() any { return new(pngReader) }}

// pngReader reads PNGs of 8 bits a sample that are not interlaced and have no colour key. It has no errors of its own.
type pngReader struct {
	width, height, channels int // channels as in the file
	palette, alpha          []byte
	data                    chunkReader
	inflater                io.ReadCloser
	// rows is the row above and those that are inflated together.
	rows []byte
}

// Colour types of PNG.
const (
	pngGrey      = 0
	pngRGB       = 2
	pngPalette   = 3
	pngGreyAlpha = 4
	pngRGBA      = 6
)

// pngChannels are a pixel's samples by colour type; 0 for what is none.
var pngChannels = [...]int{pngGrey: 1, pngRGB: 3, pngPalette: 1, pngGreyAlpha: 2, pngRGBA: 4}

// decode gives nil where the file is unusual or broken in any way.
func (r *pngReader) decode(data []byte) *Picture {
	r.width, r.height = int(binary.BigEndian.Uint32(data[16:])), int(binary.BigEndian.Uint32(data[20:]))
	depth, kind, rest := data[24], data[25], string(data[26:pngHead])
	if int(kind) >= len(pngChannels) || pngChannels[kind] == 0 || depth != 8 || rest != "\x00\x00\x00" {
		return nil
	}
	r.channels = pngChannels[kind]
	if !r.scan(data, kind) || r.impossible(data) {
		return nil
	}
	kept := r.channels
	if kind == pngPalette || kind == pngGreyAlpha {
		kept = 4
	}
	pic := newPicture(r.width, r.height, kept)
	if !r.open() || !r.readRows(pic, kind) {
		return nil
	}
	switch kept {
	case 3:
		pic.dropColor()
	case 4:
		return fromRGBA(pic.Pix, 4*r.width, r.width, r.height)
	}
	return pic
}

// scan collects the chunks; it is false where they are not as they usually are.
func (r *pngReader) scan(data []byte, kind byte) bool {
	good, seen, ended, gap := true, false, false, false
	eachPNGChunk(data, func(name, body, checked []byte, sum uint32) bool {
		switch string(name) {
		case "IDAT":
			good = good && !gap
			r.data.chunks = append(r.data.chunks, body)
		case "PLTE":
			good = good && r.palette == nil && len(r.data.chunks) == 0 && len(body)%3 == 0 && len(body) <= 3*256
			r.palette = body
		case "tRNS":
			good = good && kind == pngPalette && r.palette != nil && len(r.data.chunks) == 0 && len(body) <= 256
			r.alpha = body
		case "IEND":
			ended = len(body) == 0
		case "IHDR":
			good = good && len(body) == pngHead-16 && !seen
			seen = true
		default:
			good = good && name[0]&0x20 != 0 // not critical
		}
		gap = gap || (len(r.data.chunks) > 0 && string(name) != "IDAT")
		good = good && crc32.ChecksumIEEE(checked) == sum
		return good && !ended
	})
	return good && ended && len(r.data.chunks) > 0 && (kind == pngPalette) == (r.palette != nil)
}

// impossible tells that so little data cannot inflate to so many pixels, before memory is taken for them. Deflate makes
// at most 1032 bytes of one.
func (r *pngReader) impossible(data []byte) bool {
	const most = 1032
	bits := int64(r.width) * int64(data[24]) // at least a sample a pixel
	return (bits+7)/8*int64(r.height) > most*int64(len(data))
}

func (r *pngReader) open() bool {
	if r.inflater == nil {
		inflater, err := zlib.NewReader(&r.data)
		r.inflater = inflater
		return err == nil
	}
	return r.inflater.(zlib.Resetter).Reset(&r.data, nil) == nil
}

// readRows fills the picture; nothing may be left over. It inflates as many rows at once as fit in its memory.
func (r *pngReader) readRows(pic *Picture, kind byte) bool {
	const most = 1 << 15
	size := r.width*r.channels + 1
	rows := min(max(most/size, 1), r.height)
	if cap(r.rows) < size*(rows+1) {
		r.rows = make([]byte, size*(rows+1))
	}
	r.rows = r.rows[:size*(rows+1)]
	above := r.rows[:size]
	clear(above)
	for y := 0; y < r.height; y += rows {
		rows = min(rows, r.height-y)
		block := r.rows[size : size*(rows+1)]
		copy(r.rows, above)
		above = r.rows[:size]
		if _, err := io.ReadFull(r.inflater, block); err != nil {
			return false
		}
		for i := range rows {
			row := block[i*size : (i+1)*size]
			if !unfilter(row, above, r.channels) || !r.keepRow(pic.row(y+i), row[1:], kind) {
				return false
			}
			above = row
		}
	}
	var more [1]byte
	n, err := r.inflater.Read(more[:])
	return n == 0 && err == io.EOF
}

// keepRow writes a row's samples to the picture.
func (r *pngReader) keepRow(dst, row []byte, kind byte) bool {
	switch kind {
	case pngPalette:
		return r.lookUp(dst, row)
	case pngGreyAlpha:
		spreadGreyAlpha(dst, row)
	default:
		copy(dst, row)
	}
	return true
}

// lookUp takes a row's colours from the palette.
func (r *pngReader) lookUp(dst, row []uint8) bool {
	for x, index := range row {
		i := int(index)
		if 3*i >= len(r.palette) {
			return false
		}
		px := dst[4*x : 4*x+4 : 4*x+4]
		px[0], px[1], px[2], px[3] = r.palette[3*i], r.palette[3*i+1], r.palette[3*i+2], 255
		if i < len(r.alpha) {
			px[3] = r.alpha[i]
		}
	}
	return true
}

func spreadGreyAlpha(dst, src []uint8) {
	for i, j := 0, 0; j+1 < len(src); i, j = i+4, j+2 {
		px := dst[i : i+4 : i+4]
		px[0], px[1], px[2], px[3] = src[j], src[j], src[j], src[j+1]
	}
}

// forget drops what belongs to the image, and row buffers that are large.
func (r *pngReader) forget() {
	const keep = 1 << 16
	clear(r.data.chunks)
	r.data = chunkReader{chunks: r.data.chunks[:0]}
	r.palette, r.alpha = nil, nil
	if cap(r.rows) > keep {
		r.rows = nil
	}
}

// chunkReader reads pieces one after another.
type chunkReader struct {
	chunks [][]byte
	next   int
	rest   []byte
}

func (c *chunkReader) more() bool {
	for len(c.rest) == 0 {
		if c.next == len(c.chunks) {
			return false
		}
		c.rest = c.chunks[c.next]
		c.next++
	}
	return true
}

func (c *chunkReader) Read(p []byte) (int, error) {
	if !c.more() {
		return 0, io.EOF
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// ReadByte makes buffering needless for inflating.
func (c *chunkReader) ReadByte() (byte, error) {
	if !c.more() {
		return 0, io.EOF
	}
	b := c.rest[0]
	c.rest = c.rest[1:]
	return b, nil
}
