package picture

import "image"

// decodeRuns reads run-length encoding with 8 or 4 bits a pixel. Pixels that are skipped have the palette's first
// colour.
func (f *bmpFile) decodeRuns() (*Picture, error) {
	img := image.NewPaletted(image.Rect(0, 0, f.width, f.height), f.palette)
	r := bmpRuns{bmpFile: f, img: img, src: f.pixels}
	for !r.done {
		if err := r.step(); err != nil {
			return nil, err
		}
	}
	return fromPaletted(img), nil
}

// bmpRuns is the state of decoding runs.
type bmpRuns struct {
	*bmpFile
	img  *image.Paletted
	src  []byte
	x, y int // y counts from the bottom
	done bool
}

// step takes one run or escape.
func (r *bmpRuns) step() error {
	if len(r.src) < 2 {
		if r.y >= r.height || (r.y == r.height-1 && r.x >= r.width) { // all there but the end mark
			r.done = true
			return nil
		}
		return errTruncated
	}
	count, code := int(r.src[0]), r.src[1]
	r.src = r.src[2:]
	switch {
	case count > 0:
		for i := range count {
			r.put(r.index([]byte{code, code}, i&1))
		}
	case code == 0:
		r.x, r.y = 0, r.y+1
	case code == 1:
		r.done = true
	case code == 2:
		if len(r.src) < 2 {
			return errTruncated
		}
		r.x, r.y = r.x+int(r.src[0]), r.y+int(r.src[1])
		r.src = r.src[2:]
	default:
		return r.literal(int(code))
	}
	return nil
}

// literal takes count pixels as they are, padded to two bytes.
func (r *bmpRuns) literal(count int) error {
	size := count * r.depth / 8
	if count*r.depth%8 != 0 {
		size++
	}
	if size > len(r.src) {
		return errTruncated
	}
	for i := range count {
		r.put(r.index(r.src, i))
	}
	r.src = r.src[min(size+size&1, len(r.src)):]
	return nil
}

// index is the i-th pixel of packed bytes. A run of 4-bit pixels alternates between the halves of its byte.
func (r *bmpRuns) index(packed []byte, i int) uint8 {
	if r.depth == 8 {
		return packed[i]
	}
	return packed[i/2] >> (4 - i%2*4) & 15
}

func (r *bmpRuns) put(index uint8) {
	if r.x < r.width && r.y < r.height {
		r.img.Pix[(r.height-1-r.y)*r.img.Stride+r.x] = index
	}
	r.x++
}
