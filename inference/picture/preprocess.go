package picture

import (
	"math"
	"sync"
)

// Layout is the order of a tensor's dimensions.
type Layout string

// The layouts: channel planes, or the channels of a pixel side by side.
const (
	LayoutNCHW Layout = "NCHW"
	LayoutNHWC Layout = "NHWC"
)

// Color is the meaning of a tensor's channels.
type Color string

// The colours. ColorGray is ITU-R 601 luma.
const (
	ColorGray Color = "GRAY"
	ColorRGB  Color = "RGB"
	ColorBGR  Color = "BGR"
	ColorRGBA Color = "RGBA"
)

// Resize is the way a picture gets the model's size.
type Resize string

// The ways of resizing: to the size whatever the ratio; padded, as Pillow's ImageOps.pad; cut around the centre, as
// ImageOps.fit.
const (
	ResizeStretch Resize = "stretch"
	ResizeContain Resize = "contain"
	ResizeCover   Resize = "cover"
)

// Filter is what pixels are weighted by in resizing; all but FilterNearest are antialiased.
type Filter string

// The filters, as Pillow has them; FilterArea is its BOX.
const (
	FilterBicubic  Filter = "bicubic"
	FilterBilinear Filter = "bilinear"
	FilterLanczos  Filter = "lanczos"
	FilterNearest  Filter = "nearest"
	FilterArea     Filter = "area"
)

// Invert says when 255 - v takes the place of v.
type Invert string

// InvertAuto inverts where the picture's border is brighter than the middle grey.
const (
	InvertNever  Invert = "never"
	InvertAlways Invert = "always"
	InvertAuto   Invert = "auto"
)

// Preprocessor turns pictures into a model's input. Its fields are those of `input` in config.yaml, all set.
type Preprocessor struct {
	// Width and Height are the model's, in pixels, margins included.
	Width, Height int
	Layout        Layout
	Color         Color
	Resize        Resize
	Filter        Filter
	// Scale, Mean and Std give a tensor value (v * Scale - Mean) / Std of v in 0 … 255. Mean and Std have one value, or
	// one a channel.
	Scale     float64
	Mean, Std []float64
	Invert    Invert
	// Trim cuts to the square around what differs from the border.
	Trim bool
	// Margin pixels stay free on each side.
	Margin int

	// tables hold, for each channel and whether it is inverted, the tensor's value of each of 256; made with tabulate.
	tabulate sync.Once
	tables   [4][2][256]float32
}

// Channels is the number that Color has.
func (p *Preprocessor) Channels() int {
	switch p.Color {
	case ColorGray:
		return 1
	case ColorRGBA:
		return 4
	}
	return 3
}

// AppendTensor appends the picture as Height × Width × channels FP32 values in the preprocessor's layout, without the
// batch dimension. Up to the scaling all values have 8 bits; inference/training/preprocess.py does the same.
// Safe for concurrent use; pic is not changed, and the fields must not change after the first call.
func (p *Preprocessor) AppendTensor(dst []float32, pic *Picture) []float32 {
	if p.Color != ColorRGBA {
		pic = pic.opaque()
	}
	border := uint8(0)
	if p.Trim || p.Invert == InvertAuto {
		border = pic.borderLuma()
	}
	pic = p.fitted(pic, border)
	inverted := p.Invert == InvertAlways || (p.Invert == InvertAuto && border > 127)
	return p.appendScaled(dst, pic, inverted)
}

// fitted trims and resizes to the model's size.
func (p *Preprocessor) fitted(pic *Picture, border uint8) *Picture {
	background := black(pic.Channels)
	if p.Trim {
		background = pic.borderColor(border)
		pic = pic.trimmed(border, background)
	}
	width, height := p.Width-2*p.Margin, p.Height-2*p.Margin
	switch p.Resize {
	case ResizeContain:
		w, h := containedSize(wholeOf(pic), width, height)
		pic = resize(pic, w, h, wholeOf(pic), p.Filter)
	case ResizeCover:
		pic = resize(pic, width, height, coveredArea(wholeOf(pic), width, height), p.Filter)
	default:
		pic = resize(pic, width, height, wholeOf(pic), p.Filter)
	}
	if pic.Width == p.Width && pic.Height == p.Height {
		return pic
	}
	canvas := pic.another(p.Width, p.Height, pic.Channels).fill(background)
	canvas.paste(pic, p.Margin+centered(width-pic.Width), p.Margin+centered(height-pic.Height))
	return canvas
}

var opaqueBlack = [...]uint8{0, 0, 0, 255}

// black is the colour, opaque where there is alpha; not to be changed.
func black(channels int) []uint8 { return opaqueBlack[:channels] }

// reserves are how many times larger than the model's size a picture must be decoded at least, lest the difference be
// seen. FilterArea shows most; FilterNearest takes single pixels of the whole picture.
var reserves = map[Filter]float64{FilterBicubic: 1.5, FilterBilinear: 1.5, FilterLanczos: 1.5, FilterArea: 4}

// Enough is the size from which on a picture of the given size may be decoded smaller than it is: the whole size where
// single pixels count.
func (p *Preprocessor) Enough(full Size) Size {
	reserve, ok := reserves[p.Filter]
	if !ok || p.Trim || p.Invert == InvertAuto {
		return full
	}
	whole := areaOf(full)
	need := Size{p.Width - 2*p.Margin, p.Height - 2*p.Margin}
	switch p.Resize {
	case ResizeContain:
		need.width, need.height = containedSize(whole, need.width, need.height)
	case ResizeCover: // what is cut off would be as large in proportion
		width, height := coveredArea(whole, need.width, need.height).size()
		need.width = int(math.Ceil(float64(need.width) * float64(full.width) / width))
		need.height = int(math.Ceil(float64(need.height) * float64(full.height) / height))
	}
	return need.times(reserve)
}

// containedSize is the largest size of the picture's ratio within width × height, as ImageOps.contain rounds it, but
// no side vanishes.
func containedSize(whole area, width, height int) (int, int) {
	w, h := whole.size()
	switch have, want := w*float64(height), float64(width)*h; {
	case have > want:
		height = rounded(h / w * float64(width))
	case have < want:
		width = rounded(w / h * float64(height))
	}
	return max(width, 1), max(height, 1)
}

// coveredArea is the middle of the picture in the ratio of width and height, as ImageOps.fit cuts it.
func coveredArea(whole area, width, height int) area {
	fullWidth, fullHeight := whole.size()
	w, h := fullWidth, fullHeight
	have, want := w/h, float64(width)/float64(height)
	switch {
	case have > want:
		w = want * h
	case have < want:
		h = w / want
	}
	left, top := float64(whole.left)+(fullWidth-w)*0.5, float64(whole.top)+(fullHeight-h)*0.5
	return area{float32(left), float32(top), float32(left + w), float32(top + h)}
}

// centered is half of what is free, rounded as Python does.
func centered(free int) int { return rounded(float64(free) * 0.5) }

func rounded(v float64) int { return int(math.RoundToEven(v)) }
