package picture

import (
	"image"
	"image/color"
	"image/draw"
)

// fromImage takes over what a decoder of the standard library gave. It reads rows of bytes, never pixels by At.
func fromImage(img image.Image) *Picture {
	width, height := img.Bounds().Dx(), img.Bounds().Dy()
	switch img := img.(type) {
	case *image.Gray:
		return fromGray(img)
	case *image.Gray16:
		p := newPicture(width, height, 1)
		for y := range height {
			highBytes(p.row(y), img.Pix[y*img.Stride:])
		}
		return p
	case *image.Paletted:
		return fromPaletted(img)
	case *image.NRGBA:
		return fromRGBA(img.Pix, img.Stride, width, height)
	case *image.RGBA:
		unmultiply(img.Pix)
		return fromRGBA(img.Pix, img.Stride, width, height)
	case *image.NRGBA64:
		highBytes(img.Pix[:len(img.Pix)/2], img.Pix)
		return fromRGBA(img.Pix, img.Stride/2, width, height)
	case *image.RGBA64:
		highBytes(img.Pix[:len(img.Pix)/2], img.Pix)
		unmultiply(img.Pix[:len(img.Pix)/2])
		return fromRGBA(img.Pix, img.Stride/2, width, height)
	case *image.CMYK:
		return fromCMYK(img)
	}
	any8 := image.NewNRGBA(image.Rect(0, 0, width, height))
	draw.Draw(any8, any8.Rect, img, img.Bounds().Min, draw.Src)
	return fromRGBA(any8.Pix, any8.Stride, width, height)
}

func fromGray(img *image.Gray) *Picture {
	width, height := img.Rect.Dx(), img.Rect.Dy()
	if img.Stride == width {
		return &Picture{Image: Image{Width: width, Height: height}, Pix: img.Pix[:width*height], Channels: 1}
	}
	p := newPicture(width, height, 1)
	for y := range height {
		copy(p.row(y), img.Pix[y*img.Stride:])
	}
	return p
}

// highBytes takes the upper half of big-endian 16-bit values. dst and src may begin at the same place.
func highBytes(dst, src []uint8) {
	for i := range dst {
		dst[i] = src[2*i]
	}
}

// unmultiply undoes premultiplied alpha in place, as Pillow does.
func unmultiply(rgba []uint8) {
	for i := 0; i+4 <= len(rgba); i += 4 {
		a := uint32(rgba[i+3])
		if a == 0 || a == 255 {
			continue
		}
		for c := i; c < i+3; c++ {
			rgba[c] = uint8(min(255*uint32(rgba[c])/a, 255))
		}
	}
}

// fromRGBA keeps as many channels as the pixels need: one where all are opaque and grey, three where all are opaque.
func fromRGBA(rgba []uint8, stride, width, height int) *Picture {
	tight := rgba
	if stride != 4*width {
		tight = make([]uint8, 0, 4*width*height)
		for y := range height {
			tight = append(tight, rgba[y*stride:][:4*width]...)
		}
	}
	p := &Picture{Image: Image{Width: width, Height: height}, Pix: tight[:4*width*height], Channels: 4}
	isOpaque, isGrey := classify(p.Pix)
	switch {
	case isOpaque && isGrey:
		p.dropToGrey()
	case isOpaque:
		p.dropAlpha()
	}
	return p
}

// classify tells whether all pixels are opaque, and whether all are grey. It stops as soon as one is not opaque.
func classify(rgba []uint8) (isOpaque, isGrey bool) {
	isGrey = true
	i := 0
	for ; isGrey && i+4 <= len(rgba); i += 4 {
		px := rgba[i : i+4 : i+4]
		if px[3] != 255 {
			return false, false
		}
		isGrey = px[0] == px[1] && px[1] == px[2]
	}
	for ; i+4 <= len(rgba); i += 4 {
		if rgba[i+3] != 255 {
			return false, false
		}
	}
	return true, isGrey
}

// dropAlpha packs RGBA to RGB in place.
func (p *Picture) dropAlpha() {
	n := p.Width * p.Height
	for i := range n {
		src, dst := p.Pix[4*i:4*i+3:4*i+3], p.Pix[3*i:3*i+3:3*i+3]
		dst[0], dst[1], dst[2] = src[0], src[1], src[2]
	}
	p.Pix, p.Channels = p.Pix[:3*n], 3
}

// dropColor keeps one channel of an RGB picture that is grey.
func (p *Picture) dropColor() {
	for i := 0; i+3 <= len(p.Pix); i += 3 {
		if px := p.Pix[i : i+3 : i+3]; px[0] != px[1] || px[1] != px[2] {
			return
		}
	}
	p.dropToGrey()
}

// withAlpha is the picture in RGBA.
func (p *Picture) withAlpha() *Picture {
	if p.Channels == 4 {
		return p
	}
	rgba := newPicture(p.Width, p.Height, 4)
	c := p.Channels
	for i, j := 0, 0; i < len(rgba.Pix); i, j = i+4, j+c {
		dst := rgba.Pix[i : i+4 : i+4]
		dst[0], dst[1], dst[2], dst[3] = p.Pix[j], p.Pix[j+c/2], p.Pix[j+c-1], 255
	}
	return rgba
}

// setAlpha takes the fourth channel from a plane.
func (p *Picture) setAlpha(alpha []uint8, stride int) {
	for y := range p.Height {
		row, from := p.row(y), alpha[y*stride:]
		for x := range p.Width {
			row[4*x+3] = from[x]
		}
	}
}

// fromPaletted looks each pixel up; the palette decides on the channels.
func fromPaletted(img *image.Paletted) *Picture {
	var table [256][4]uint8 // beyond the palette: transparent, which cannot happen
	colors := make([]uint8, 0, 4*256)
	for i, c := range img.Palette[:min(len(img.Palette), 256)] {
		table[i] = straight(c)
		colors = append(colors, table[i][:]...)
	}
	channels := 4
	if isOpaque, isGrey := classify(colors); isOpaque && isGrey {
		channels = 1
	} else if isOpaque {
		channels = 3
	}
	p := newPicture(img.Rect.Dx(), img.Rect.Dy(), channels)
	for y := range p.Height {
		dst := p.row(y)
		for x, index := range img.Pix[y*img.Stride:][:p.Width] {
			copy(dst[x*channels:(x+1)*channels], table[index][:])
		}
	}
	return p
}

// straight is a palette's colour with 8 bits a channel, not premultiplied.
func straight(c color.Color) [4]uint8 {
	switch c := c.(type) {
	case color.NRGBA:
		return [4]uint8{c.R, c.G, c.B, c.A}
	case color.RGBA: // opaque, or all zero
		return [4]uint8{c.R, c.G, c.B, c.A}
	}
	r, g, b, a := c.RGBA()
	return [4]uint8{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), uint8(a >> 8)}
}

// fromCMYK mixes inks plainly, with Pillow's rounding.
func fromCMYK(img *image.CMYK) *Picture {
	p := newPicture(img.Rect.Dx(), img.Rect.Dy(), 3)
	for y := range p.Height {
		dst, src := p.row(y), img.Pix[y*img.Stride:]
		for x := range p.Width {
			light := 255 - uint32(src[4*x+3])
			for c := range 3 {
				v := uint32(src[4*x+c])*light + 128
				dst[3*x+c] = uint8(max(int32(light)-int32((v>>8+v)>>8), 0))
			}
		}
	}
	return p
}
