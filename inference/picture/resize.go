package picture

// area is a part of a picture in pixels, as Pillow's `box`: single precision, as there.
type area struct{ left, top, right, bottom float32 }

func areaOf(s Size) area { return area{0, 0, float32(s.width), float32(s.height)} }

// size is exact for pictures within bounds, and for those decoded a power of two smaller.
func (a area) size() (width, height float64) {
	return float64(a.right) - float64(a.left), float64(a.bottom) - float64(a.top)
}

// wholeOf is the area that the image takes of its pixels.
func wholeOf(p *Picture) area {
	if p.shrunk != (area{}) {
		return p.shrunk
	}
	return areaOf(Size{p.Width, p.Height})
}

// resize gives the picture's area in another size with antialiasing, equal to Pillow's Image.resize: two passes, each
// rounded to 8 bits. Colour is weighted by alpha. The result may be p itself.
func resize(p *Picture, width, height int, from area, filter Filter) *Picture {
	if p.Width == width && p.Height == height && from == areaOf(Size{width, height}) {
		return p
	}
	if filter == FilterNearest {
		return nearest(p, width, height, from)
	}
	if _, ok := kernels[filter]; !ok {
		filter = FilterBicubic
	}
	if p.Channels != 4 {
		return p.resample(width, height, from, filter)
	}
	out := premultiplied(p).resample(width, height, from, filter)
	unmultiply(out.Pix)
	return out
}

// resample makes the passes that change something, the horizontal one first unless the height shrinks by more than
// twice what the width does. The order is seen where a pass clips: it is that of Pillow 13 (older ones know only
// horizontal first).
func (p *Picture) resample(width, height int, from area, filter Filter) *Picture {
	across := p.Width != width || from.left != 0 || from.right != float32(width)
	down := p.Height != height || from.top != 0 || from.bottom != float32(height)
	var columns, rows *taps
	if across {
		columns = tapsOf(pass{p.Width, from.left, from.right, width, filter})
	}
	if down {
		rows = tapsOf(pass{p.Height, from.top, from.bottom, height, filter})
	}
	switch less := p.Height - height; {
	case !across:
		return p.stacked(rows, 0)
	case !down:
		return p.squeezed(columns)
	case less > 0 && less > 2*(p.Width-width):
		return p.stacked(rows, 0).squeezed(columns)
	}
	first, last := rows.span()
	return p.squeezedRows(first, last, columns).stacked(rows, first)
}

// nearest takes the pixel under the middle of each new one.
func nearest(p *Picture, width, height int, from area) *Picture {
	out := p.another(width, height, p.Channels)
	columns := middles(width, p.Width, from.left, from.right)
	rows := middles(height, p.Height, from.top, from.bottom)
	c := p.Channels
	for y := range height {
		dst, src := out.row(y), p.row(rows[y])
		for x, column := range columns {
			copy(dst[x*c:(x+1)*c], src[column*c:])
		}
	}
	return out
}

// middles adds up step by step, as Pillow's ImagingScaleAffine does, so as to round alike.
func middles(out, length int, from, to float32) []int {
	step := float64(to-from) / float64(out)
	at := float64(from) + step*0.5
	indexes := make([]int, out)
	for i := range indexes {
		indexes[i] = min(max(int(at), 0), length-1)
		at += step
	}
	return indexes
}

// premultiplied weights colours by their alpha, with Pillow's rounding.
func premultiplied(p *Picture) *Picture {
	out := p.another(p.Width, p.Height, 4)
	for i := 0; i < len(p.Pix); i += 4 {
		src, dst := p.Pix[i:i+4:i+4], out.Pix[i:i+4:i+4]
		a := uint32(src[3])
		for c := range 3 {
			v := uint32(src[c])*a + 128
			dst[c] = uint8((v>>8 + v) >> 8)
		}
		dst[3] = src[3]
	}
	return out
}
