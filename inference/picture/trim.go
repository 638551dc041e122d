package picture

// maxSquare is the longest side that trimming makes a square of as it is. An ordinary picture of 50 megapixels stays
// below; a line of a million pixels would be a square of a million millions.
const maxSquare = 1 << 13

// trimmed cuts the picture to the square around its ink: the pixels whose luma is far from the border's. What of the
// square lies outside the picture is filled. A picture without ink stays whole.
func (p *Picture) trimmed(border uint8, fill []uint8) *Picture {
	x0, y0, x1, y1 := p.ink(border)
	if x0 >= x1 {
		return p
	}
	w, h := x1-x0, y1-y0
	side := max(w, h)
	if side > maxSquare {
		return p.reducedSquare(area{float32(x0), float32(y0), float32(x1), float32(y1)}, w, h, fill)
	}
	left, top := x0-(side-w)/2, y0-(side-h)/2
	square := p.another(side, side, p.Channels).fill(fill)
	square.paste(p, -left, -top)
	return square
}

// reducedSquare is trimmed for very long ink, first averaged down to half of maxSquare at most.
func (p *Picture) reducedSquare(ink area, w, h int, fill []uint8) *Picture {
	factor := (max(w, h)-1)/(maxSquare/2) + 1
	w, h = (w-1)/factor+1, (h-1)/factor+1
	side := max(w, h)
	square := p.another(side, side, p.Channels).fill(fill)
	square.paste(resize(p, w, h, ink, FilterArea), (side-w)/2, (side-h)/2)
	return square
}

// ink is the box [x0, x1) × [y0, y1) around all ink; x0 is not less than x1 where there is none.
func (p *Picture) ink(border uint8) (x0, y0, x1, y1 int) {
	x0, y0 = p.Width, p.Height
	paper := newPaper(border)
	var grey []uint8
	if p.Channels > 1 {
		grey = p.another(p.Width, 1, 1).Pix
	}
	for y := range p.Height {
		row := p.lumaRow(grey, y)
		first := paper.firstInk(row)
		if first == len(row) {
			continue
		}
		x0, x1 = min(x0, first), max(x1, paper.lastInk(row)+1)
		y0, y1 = min(y0, y), y+1
	}
	return x0, y0, x1, y1
}

// paper is the range of luma that is background: least up to least + span.
type paper struct{ least, span uint8 }

// newPaper is what differs from the border by at most 32 of 255.
func newPaper(border uint8) paper {
	const distance = 32
	least := max(int(border)-distance, 0)
	return paper{uint8(least), uint8(min(int(border)+distance, 255) - least)}
}

// isInk wraps below least, so that one comparison is enough.
func (p paper) isInk(v uint8) bool { return v-p.least > p.span }

func (p paper) firstInk(row []uint8) int {
	for x, v := range row {
		if p.isInk(v) {
			return x
		}
	}
	return len(row)
}

func (p paper) lastInk(row []uint8) int {
	for x := len(row) - 1; x >= 0; x-- {
		if p.isInk(row[x]) {
			return x
		}
	}
	return -1
}

// lumaRow is the y-th row's luma, over white where there is alpha; in buffer unless the picture is grey.
func (p *Picture) lumaRow(buffer []uint8, y int) []uint8 {
	row := p.row(y)
	switch p.Channels {
	case 1:
		return row
	case 3:
		for x := range buffer {
			px := row[3*x : 3*x+3 : 3*x+3]
			buffer[x] = luma(px[0], px[1], px[2])
		}
	default:
		for x := range buffer {
			px := row[4*x : 4*x+4 : 4*x+4]
			a := uint32(px[3])
			buffer[x] = luma(overWhite(px[0], a), overWhite(px[1], a), overWhite(px[2], a))
		}
	}
	return buffer
}

// borderLuma is the lower median of the luma of the outermost pixels.
func (p *Picture) borderLuma() uint8 { return lowerMedian(p.ring().grey().Pix, 1) }

// borderColor is the lower median of the outermost pixels, channel by channel. luma is their borderLuma.
func (p *Picture) borderColor(luma uint8) []uint8 {
	color := p.another(1, 1, p.Channels).Pix
	if p.Channels == 1 {
		color[0] = luma
		return color
	}
	ring := p.ring()
	for c := range color {
		color[c] = lowerMedian(ring.Pix[c:], p.Channels)
	}
	return color
}

// ring is the outermost pixels in a line, each once.
func (p *Picture) ring() *Picture {
	w, h, c := p.Width, p.Height, p.Channels
	if min(w, h) <= 2 {
		line := *p
		line.Width, line.Height = w*h, 1
		return &line
	}
	ring := p.another(2*(w+h)-4, 1, c)
	dst := append(ring.Pix[:0], p.row(0)...)
	for y := 1; y < h-1; y++ {
		row := p.row(y)
		dst = append(append(dst, row[:c]...), row[(w-1)*c:]...)
	}
	_ = append(dst, p.row(h-1)...)
	return ring
}

// lowerMedian is that of every step-th value; there is one at least.
func lowerMedian(values []uint8, step int) uint8 {
	var counts [256]int32
	for i := 0; i < len(values); i += step {
		counts[values[i]]++
	}
	rest := int32((len(values)-1)/step) / 2
	for v, n := range counts {
		if rest < n {
			return uint8(v)
		}
		rest -= n
	}
	return 0
}
