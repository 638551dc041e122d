package picture

import "image"

// What a TIFF's samples mean.
const (
	tiffWhiteIsZero = 0
	tiffBlackIsZero = 1
	tiffRGB         = 2
	tiffPalette     = 3
	tiffCMYK        = 5
)

// Kinds of an extra sample that are alpha.
const (
	tiffPremultiplied = 1
	tiffStraight      = 2
)

// picture gives the samples their meaning.
func (f *tiffFile) picture() (*Picture, error) {
	meaning := f.number(tagPhotometric, tiffBlackIsZero)
	switch {
	case meaning == tiffPalette && f.depth <= 8:
		return f.lookUp()
	case meaning == tiffWhiteIsZero || meaning == tiffBlackIsZero:
		f.spread(meaning == tiffWhiteIsZero)
		return f.rgba(1), nil
	case meaning == tiffRGB && f.samples >= 3 && f.depth >= 8:
		return f.rgba(3), nil
	case meaning == tiffCMYK && f.samples >= 4 && f.depth >= 8:
		inks := image.NewCMYK(image.Rect(0, 0, f.width, f.height))
		for i, j := 0, 0; i < len(inks.Pix); i, j = i+4, j+f.samples {
			copy(inks.Pix[i:i+4], f.values[j:])
		}
		return fromCMYK(inks), nil
	}
	return nil, unsupported("this kind of colour")
}

// spread takes values of few bits to 0 … 255. Alpha, which comes after grey, is only spread.
func (f *tiffFile) spread(invert bool) {
	factor := uint8(1)
	if f.depth < 8 {
		factor = uint8(255 / (1<<f.depth - 1))
	}
	for i, v := range f.values {
		v *= factor
		if invert && i%f.samples == 0 {
			v = 255 - v
		}
		f.values[i] = v
	}
}

// rgba takes the colours, 1 or 3, and the alpha that may follow them.
func (f *tiffFile) rgba(colors int) *Picture {
	if f.samples == colors {
		p := &Picture{Image: Image{Width: f.width, Height: f.height}, Pix: f.values, Channels: colors}
		if colors == 3 {
			p.dropColor()
		}
		return p
	}
	kind := 0
	if f.samples > colors {
		kind = f.number(tagExtraSamples, 0)
	}
	pix := make([]uint8, 4*f.width*f.height)
	for i, j := 0, 0; i < len(pix); i, j = i+4, j+f.samples {
		px, from := pix[i:i+4:i+4], f.values[j:j+f.samples]
		px[0], px[1], px[2], px[3] = from[0], from[colors/2], from[colors-1], 255
		if kind == tiffPremultiplied || kind == tiffStraight {
			px[3] = from[colors]
		}
	}
	if kind == tiffPremultiplied {
		unmultiply(pix)
	}
	return fromRGBA(pix, 4*f.width, f.width, f.height)
}

// lookUp takes colours from the map, which holds 16 bits: all reds, all greens, all blues.
func (f *tiffFile) lookUp() (*Picture, error) {
	colors := f.numbers(tagColorMap, 3<<8)
	size := len(colors) / 3
	pix := make([]uint8, 4*f.width*f.height)
	for i := range f.width * f.height {
		index := int(f.values[i*f.samples])
		if index >= size {
			return nil, errNotInPalette
		}
		px := pix[4*i : 4*i+4 : 4*i+4]
		px[0], px[1], px[2] = uint8(colors[index]>>8), uint8(colors[size+index]>>8), uint8(colors[2*size+index]>>8)
		px[3] = 255
	}
	return fromRGBA(pix, 4*f.width, f.width, f.height), nil
}
