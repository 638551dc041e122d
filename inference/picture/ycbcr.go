package picture

import "image"

// colorSpace says how a codec's luma and chroma become RGB, and how its missing chroma is made up. image/color's own
// conversion fits neither libjpeg's rounding nor WebP's range of values, and repeats chroma instead of blending it.
type colorSpace struct {
	// convert turns a row of luma and chroma into RGB.
	convert func(rgb, luma, cb, cr []uint8)
	// widen doubles a row of chroma; near holds the row's own samples, far those of the row next to it, which counts
	// where rows are doubled too (both).
	widen func(dst, near, far []uint8, both bool)
	// neutralIsGrey says that without colour R=G=B is the luma.
	neutralIsGrey bool
}

var (
	jpegColors = colorSpace{convert: convertJPEG, widen: widenJPEG, neutralIsGrey: true}
	webpColors = colorSpace{convert: convertWebP, widen: widenWebP}
)

// fromYCbCr converts to RGB as libjpeg or libwebp do, chroma smoothed between samples ("fancy upsampling").
func fromYCbCr(img *image.YCbCr, space colorSpace) *Picture {
	if space.neutralIsGrey && neutral(img.Cb) && neutral(img.Cr) {
		return fromGray(&image.Gray{Pix: img.Y, Stride: img.YStride, Rect: img.Rect})
	}
	p := newPicture(img.Rect.Dx(), img.Rect.Dy(), 3)
	cb, cr := newChroma(img, img.Cb, space), newChroma(img, img.Cr, space)
	for y := range p.Height {
		luma := img.Y[y*img.YStride:][:p.Width]
		space.convert(p.row(y), luma, cb.row(y), cr.row(y))
	}
	return p
}

func neutral(chroma []uint8) bool {
	for _, v := range chroma {
		if v != 128 {
			return false
		}
	}
	return true
}

// chroma gives the full rows of one subsampled plane.
type chroma struct {
	plane         []uint8
	stride        int
	width, height int // of the plane
	full          int // the width of a full row
	across, down  int // luma pixels a sample
	space         colorSpace
	buffer, blend []uint8
}

func newChroma(img *image.YCbCr, plane []uint8, space colorSpace) *chroma {
	across, down := subsampling(img.SubsampleRatio)
	c := &chroma{
		plane: plane, stride: img.CStride, full: img.Rect.Dx(), across: across, down: down, space: space,
		width: (img.Rect.Dx() + across - 1) / across, height: (img.Rect.Dy() + down - 1) / down,
	}
	if across > 1 {
		c.buffer = make([]uint8, c.width*across)
	} else if down == 2 {
		c.blend = make([]uint8, c.width)
	}
	return c
}

func subsampling(ratio image.YCbCrSubsampleRatio) (across, down int) {
	switch ratio {
	case image.YCbCrSubsampleRatio422:
		return 2, 1
	case image.YCbCrSubsampleRatio420:
		return 2, 2
	case image.YCbCrSubsampleRatio440:
		return 1, 2
	case image.YCbCrSubsampleRatio411:
		return 4, 1
	case image.YCbCrSubsampleRatio410:
		return 4, 2
	}
	return 1, 1
}

// row gives the y-th full row; it is valid until the next call.
func (c *chroma) row(y int) []uint8 {
	near, far := c.samples(y/c.down), c.samples(y/c.down)
	if c.down == 2 {
		far = c.samples(y/2 - 1 + y%2*2)
	}
	switch {
	case c.across == 1 && c.down == 1:
		return near
	case c.across == 1:
		blendRows(c.blend, near, far, y%2 == 1)
		return c.blend
	case c.across == 2:
		c.space.widen(c.buffer, near, far, c.down == 2)
	default:
		for x := range c.buffer {
			c.buffer[x] = near[x/c.across]
		}
	}
	return c.buffer[:c.full]
}

// samples is a row of the plane, the outermost one repeated beyond the edge.
func (c *chroma) samples(y int) []uint8 {
	y = min(max(y, 0), c.height-1)
	return c.plane[y*c.stride:][:c.width]
}

// blendRows is libjpeg's h1v2_fancy_upsample.
func blendRows(dst, near, far []uint8, lower bool) {
	bias := uint32(1)
	if lower {
		bias = 2
	}
	for i := range dst {
		dst[i] = uint8((uint32(near[i])*3 + uint32(far[i]) + bias) >> 2)
	}
}

// widenJPEG is libjpeg's triangle filter: three quarters of the near sample, one of the far one, in one direction
// (h2v1_fancy_upsample) or in both (h2v2_fancy_upsample).
func widenJPEG(dst, near, far []uint8, both bool) {
	n := len(near)
	switch {
	case n <= 2:
		for i := range n {
			dst[2*i], dst[2*i+1] = near[i], near[i]
		}
	case both:
		this := uint32(near[0])*3 + uint32(far[0])
		last := this
		for i := range n {
			next := this
			if i+1 < n {
				next = uint32(near[i+1])*3 + uint32(far[i+1])
			}
			dst[2*i], dst[2*i+1] = uint8((this*3+last+8)>>4), uint8((this*3+next+7)>>4)
			last, this = this, next
		}
	default:
		for i := range n {
			this := uint32(near[i]) * 3
			dst[2*i] = uint8((this + uint32(near[max(i-1, 0)]) + 1) >> 2)
			dst[2*i+1] = uint8((this + uint32(near[min(i+1, n-1)]) + 2) >> 2)
		}
	}
}

// widenWebP is libwebp's fancy upsampling: weights 9, 3, 3, 1.
func widenWebP(dst, near, far []uint8, _ bool) {
	n := len(near)
	edge := func(i int) uint8 { return uint8((3*uint32(near[i]) + uint32(far[i]) + 2) >> 2) }
	dst[0], dst[2*n-1] = edge(0), edge(n-1)
	for i := range n - 1 {
		a, b, c, d := uint32(near[i]), uint32(near[i+1]), uint32(far[i]), uint32(far[i+1])
		sum := a + b + c + d + 8
		dst[2*i+1] = uint8(((sum+2*(b+c))>>3 + a) >> 1)
		dst[2*i+2] = uint8(((sum+2*(a+d))>>3 + b) >> 1)
	}
}

// convertJPEG is libjpeg's conversion of JFIF's full-range BT.601, in its 16-bit fixed point.
func convertJPEG(rgb, luma, cb, cr []uint8) {
	const half = 1 << 15
	cb, cr = cb[:len(luma)], cr[:len(luma)]
	for i, y := range luma {
		b, r := int32(cb[i])-128, int32(cr[i])-128
		px := rgb[3*i : 3*i+3 : 3*i+3]
		px[0] = clamp(int32(y) + (91881*r+half)>>16)
		px[1] = clamp(int32(y) + (half-22554*b-46802*r)>>16)
		px[2] = clamp(int32(y) + (116130*b+half)>>16)
	}
}

// convertWebP is libwebp's conversion of the limited range of VP8, in its 6-bit fixed point.
func convertWebP(rgb, luma, cb, cr []uint8) {
	cb, cr = cb[:len(luma)], cr[:len(luma)]
	for i, v := range luma {
		y, b, r := int32(v)*19077>>8, int32(cb[i]), int32(cr[i])
		px := rgb[3*i : 3*i+3 : 3*i+3]
		px[0] = clamp((y + r*26149>>8 - 14234) >> 6)
		px[1] = clamp((y - b*6419>>8 - r*13320>>8 + 8708) >> 6)
		px[2] = clamp((y + b*33050>>8 - 17685) >> 6)
	}
}

// clamp limits to 8 bits.
func clamp(v int32) uint8 {
	if uint32(v) <= 255 {
		return uint8(v)
	}
	if v < 0 {
		return 0
	}
	return 255
}
