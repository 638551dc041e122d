package picture

// Picture is a decoded image: 8 bits a channel, not premultiplied, after EXIF orientation. Its owner may change Pix.
type Picture struct {
	Image
	// Pix holds the rows from the top, tightly packed, the channels of a pixel side by side.
	Pix []uint8
	// Channels is 1 (grey), 3 (RGB) or 4 (RGBA). Four channels mean that some pixel is not opaque.
	Channels int
	// shrunk is the image's area, where it was decoded in a smaller size: of the last column and row only a part may
	// belong to it, or a part be missing. The zero value is all of the picture.
	shrunk area
	// memory is where pictures that are made of this one come from; nil: the heap.
	memory *Arena
}

func newPicture(width, height, channels int) *Picture {
	return &Picture{
		Image:    Image{Width: width, Height: height},
		Pix:      make([]uint8, width*height*channels),
		Channels: channels,
	}
}

// another is a picture whose pixels are anything, to be made of this one.
func (p *Picture) another(width, height, channels int) *Picture {
	if p.memory == nil {
		return newPicture(width, height, channels)
	}
	return p.memory.picture(width, height, channels)
}

// fill gives every pixel one colour, a value a channel.
func (p *Picture) fill(color []uint8) *Picture {
	if len(p.Pix) == 0 {
		return p
	}
	for n := copy(p.Pix, color); n < len(p.Pix); n *= 2 {
		copy(p.Pix[n:], p.Pix[:n])
	}
	return p
}

// row is the y-th row's bytes.
func (p *Picture) row(y int) []uint8 {
	stride := p.Width * p.Channels
	return p.Pix[y*stride : (y+1)*stride : (y+1)*stride]
}

// paste copies what of src lies inside p, src's top left corner at (left, top), which may be negative. Both have the
// same channels.
func (p *Picture) paste(src *Picture, left, top int) {
	x0, x1 := max(left, 0), min(left+src.Width, p.Width)
	if x0 >= x1 {
		return
	}
	c := p.Channels
	for y := max(top, 0); y < min(top+src.Height, p.Height); y++ {
		copy(p.row(y)[x0*c:x1*c], src.row(y - top)[(x0-left)*c:])
	}
}

// oriented is the picture that an EXIF orientation (1 to 8) asks to show; any other value changes nothing.
// The names of the values are in the EXIF 2.32 standard, section 4.6.4, tag 274.
func (p *Picture) oriented(orientation int) *Picture {
	w, h := p.Width, p.Height
	var start, right, down int // the source pixel of the first one, and the steps to the next column and row
	switch orientation {
	case 2: // mirrored
		start, right, down = w-1, -1, w
	case 3: // upside down
		start, right, down = w*h-1, -1, -w
	case 4: // mirrored upside down
		start, right, down = w*(h-1), 1, -w
	case 5: // transposed
		start, right, down = 0, w, 1
	case 6: // lying on its left side
		start, right, down = w*(h-1), -w, 1
	case 7: // transposed along the other diagonal
		start, right, down = w*h-1, -w, -1
	case 8: // lying on its right side
		start, right, down = w-1, w, -1
	default:
		return p
	}
	if orientation >= 5 {
		w, h = h, w
	}
	turned := newPicture(w, h, p.Channels)
	turned.ContentType = p.ContentType
	turned.shrunk = p.turnedArea(orientation)
	for y := range h {
		copyStepped(turned.row(y), p.Pix, start+y*down, right, p.Channels)
	}
	return turned
}

// turnedArea is the image's area in the pixels of oriented.
func (p *Picture) turnedArea(orientation int) area {
	a := p.shrunk
	if a == (area{}) {
		return a
	}
	switch orientation {
	case 2, 3, 7, 8:
		a.left, a.right = float32(p.Width)-a.right, float32(p.Width)-a.left
	}
	switch orientation {
	case 3, 4, 6, 7:
		a.top, a.bottom = float32(p.Height)-a.bottom, float32(p.Height)-a.top
	}
	if orientation >= 5 {
		return area{a.top, a.left, a.bottom, a.right}
	}
	return a
}

// copyStepped fills dst with pixels of src: the one with the given index, then each one step further.
func copyStepped(dst, src []uint8, index, step, channels int) {
	if channels == 1 {
		for i := range dst {
			dst[i] = src[index]
			index += step
		}
		return
	}
	for i := 0; i < len(dst); i += channels {
		copy(dst[i:i+channels], src[index*channels:])
		index += step
	}
}

// opaque is the picture over white: grey or RGB. It is p itself where p has no alpha.
func (p *Picture) opaque() *Picture {
	if p.Channels != 4 {
		return p
	}
	rgb := p.another(p.Width, p.Height, 3)
	grey := true
	for i, j := 0, 0; i < len(p.Pix); i, j = i+4, j+3 {
		src, dst := p.Pix[i:i+4:i+4], rgb.Pix[j:j+3:j+3]
		a := uint32(src[3])
		dst[0], dst[1], dst[2] = overWhite(src[0], a), overWhite(src[1], a), overWhite(src[2], a)
		grey = grey && dst[0] == dst[1] && dst[1] == dst[2]
	}
	if grey {
		rgb.dropToGrey()
	}
	return rgb
}

// overWhite blends a value over 255 with Pillow's alpha_composite rounding.
func overWhite(v uint8, alpha uint32) uint8 {
	const bits = 7
	sum := (uint32(v)*alpha+255*(255-alpha))<<bits + 0x80<<bits
	return uint8((sum>>8 + sum) >> 8 >> bits)
}

// dropToGrey keeps the first channel of a picture whose colour channels are equal: everything later is then cheaper,
// and the same, since the luma of R=G=B is that value.
func (p *Picture) dropToGrey() {
	n := p.Width * p.Height
	for i, j := 0, 0; i < n; i, j = i+1, j+p.Channels {
		p.Pix[i] = p.Pix[j]
	}
	p.Pix, p.Channels = p.Pix[:n], 1
}

// luma is ITU-R 601's brightness, rounded as Pillow's mode "L".
func luma(r, g, b uint8) uint8 {
	return uint8((uint32(r)*19595 + uint32(g)*38470 + uint32(b)*7471 + 0x8000) >> 16)
}
