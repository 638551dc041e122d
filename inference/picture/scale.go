package picture

import "slices"

// appendScaled appends the values of a picture of the model's size: colour, inversion and scale in one table a channel.
func (p *Preprocessor) appendScaled(dst []float32, pic *Picture, inverted bool) []float32 {
	if p.Color == ColorGray {
		pic = pic.grey()
	}
	channels, pixels := p.Channels(), pic.Width*pic.Height
	start := len(dst)
	dst = slices.Grow(dst, channels*pixels)[:start+channels*pixels]
	out := dst[start:]
	step, plane := 1, pixels
	if p.Layout == LayoutNHWC {
		step, plane = channels, 1
	}
	p.tabulate.Do(p.fill)
	for c := range channels {
		table := &p.tables[c][0]
		if inverted {
			table = &p.tables[c][1]
		}
		from := out[c*plane:]
		source, ok := p.source(c, pic.Channels)
		if !ok { // no alpha: opaque
			for i := range pixels {
				from[i*step] = table[255]
			}
			continue
		}
		put(from, step, pic.Pix[source:], pic.Channels, table)
	}
	return dst
}

func put(dst []float32, dstStep int, src []uint8, srcStep int, table *[256]float32) {
	if dstStep == 1 && srcStep == 1 {
		dst = dst[:len(src)]
		for i, v := range src {
			dst[i] = table[v]
		}
		return
	}
	for i, j := 0, 0; j < len(src); i, j = i+dstStep, j+srcStep {
		dst[i] = table[src[j]]
	}
}

// fill computes the tables. Alpha is never inverted.
func (p *Preprocessor) fill() {
	for c := range p.Channels() {
		mean, std := p.Mean[0], p.Std[0]
		if c < len(p.Mean) {
			mean = p.Mean[c]
		}
		if c < len(p.Std) {
			std = p.Std[c]
		}
		flip := 255
		if c == 3 {
			flip = 0
		}
		for v := range 256 {
			value := float32((float64(v)*p.Scale - mean) / std)
			p.tables[c][0][v], p.tables[c][1][v^flip] = value, value // v ^ 255 is 255 - v
		}
	}
}

// source is the channel of a picture that a channel of the tensor shows.
func (p *Preprocessor) source(channel, available int) (int, bool) {
	switch {
	case channel == 3:
		return 3, available == 4
	case available == 1:
		return 0, true
	case p.Color == ColorBGR:
		return 2 - channel, true
	}
	return channel, true
}

// grey is the picture's luma; p itself where it is grey.
func (p *Picture) grey() *Picture {
	if p.Channels == 1 {
		return p
	}
	out := p.another(p.Width, p.Height, 1)
	for y := range p.Height {
		p.lumaRow(out.row(y), y)
	}
	return out
}
