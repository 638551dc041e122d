package picture

import (
	"math"
	"slices"
	"testing"
)

// mnistLike is the pre-processing of the embedded model's kind.
func mnistLike() *Preprocessor {
	return &Preprocessor{
		Width: 28, Height: 28, Layout: LayoutNCHW, Color: ColorGray, Resize: ResizeStretch, Filter: FilterBicubic,
		Scale: 1.0 / 255, Mean: []float64{0}, Std: []float64{1}, Invert: InvertAuto, Trim: true, Margin: 4,
	}
}

// plain keeps a picture's size and values.
func plain(width, height int, color Color, layout Layout) *Preprocessor {
	return &Preprocessor{
		Width: width, Height: height, Layout: layout, Color: color, Resize: ResizeStretch, Filter: FilterBicubic,
		Scale: 1, Mean: []float64{0}, Std: []float64{1}, Invert: InvertNever,
	}
}

func twoPixels() *Picture {
	return &Picture{Image: Image{Width: 2, Height: 1}, Pix: []uint8{10, 20, 30, 40, 50, 60}, Channels: 3}
}

func TestLayoutAndColor(t *testing.T) {
	grey := &Picture{Image: Image{Width: 2, Height: 1}, Pix: []uint8{7, 9}, Channels: 1}
	fading := &Picture{Image: Image{Width: 2, Height: 1}, Pix: []uint8{10, 20, 30, 0, 40, 50, 60, 255}, Channels: 4}
	cases := []struct {
		name   string
		pic    *Picture
		color  Color
		layout Layout
		want   []float32
	}{
		{"planes", twoPixels(), ColorRGB, LayoutNCHW, []float32{10, 40, 20, 50, 30, 60}},
		{"pixels", twoPixels(), ColorRGB, LayoutNHWC, []float32{10, 20, 30, 40, 50, 60}},
		{"blue first", twoPixels(), ColorBGR, LayoutNHWC, []float32{30, 20, 10, 60, 50, 40}},
		{"blue first in planes", twoPixels(), ColorBGR, LayoutNCHW, []float32{30, 60, 20, 50, 10, 40}},
		{"luma", twoPixels(), ColorGray, LayoutNCHW, []float32{18, 48}},
		{"alpha is full", twoPixels(), ColorRGBA, LayoutNHWC, []float32{10, 20, 30, 255, 40, 50, 60, 255}},
		{"alpha kept", fading, ColorRGBA, LayoutNCHW, []float32{10, 40, 20, 50, 30, 60, 0, 255}},
		{"over white", fading, ColorRGB, LayoutNHWC, []float32{255, 255, 255, 40, 50, 60}},
		{"grey in colour", grey, ColorRGB, LayoutNHWC, []float32{7, 7, 7, 9, 9, 9}},
		{"grey", grey, ColorGray, LayoutNHWC, []float32{7, 9}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := plain(2, 1, c.color, c.layout).AppendTensor(nil, c.pic)
			if !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestScale(t *testing.T) {
	p := plain(2, 1, ColorRGB, LayoutNHWC)
	p.Scale, p.Mean, p.Std = 1.0/255, []float64{0.485, 0.456, 0.406}, []float64{0.229, 0.224, 0.225}
	for i, got := range p.AppendTensor(nil, twoPixels()) {
		v := float64(twoPixels().Pix[i]) / 255
		if want := (v - p.Mean[i%3]) / p.Std[i%3]; math.Abs(float64(got)-want) > 1e-6 {
			t.Errorf("value %d is %v, want %v", i, got, want)
		}
	}
	p = plain(2, 1, ColorRGB, LayoutNHWC)
	p.Scale, p.Mean, p.Std = 1.0/255, []float64{0.5}, []float64{0.5}
	if got := p.AppendTensor(nil, twoPixels()); math.Abs(float64(got[5])-(60.0/255-0.5)/0.5) > 1e-6 {
		t.Errorf("one mean for all channels: %v", got)
	}
}

func TestAppendTensorAppends(t *testing.T) {
	p := plain(2, 1, ColorGray, LayoutNCHW)
	got := p.AppendTensor(p.AppendTensor([]float32{-1}, twoPixels()), twoPixels())
	if want := []float32{-1, 18, 48, 18, 48}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestAppendTensorLeavesPicture(t *testing.T) {
	for name, data := range goldenImages(t) {
		pic, err := decode(data, testPixels)
		if err != nil {
			t.Fatal(err)
		}
		before, channels := slices.Clone(pic.Pix), pic.Channels
		for _, color := range []Color{ColorGray, ColorRGB, ColorRGBA} {
			p := mnistLike()
			p.Color, p.Resize = color, ResizeCover
			p.AppendTensor(nil, pic)
		}
		if !slices.Equal(before, pic.Pix) || channels != pic.Channels {
			t.Errorf("%s was changed", name)
		}
	}
}

func TestInvert(t *testing.T) {
	cases := []struct {
		invert Invert
		border uint8
		want   float32
	}{
		{InvertNever, 200, 200},
		{InvertAlways, 200, 55},
		{InvertAlways, 0, 255},
		{InvertAuto, 127, 127},
		{InvertAuto, 128, 127},
	}
	for _, c := range cases {
		p := plain(1, 1, ColorGray, LayoutNCHW)
		p.Invert = c.invert
		pic := &Picture{Image: Image{Width: 1, Height: 1}, Pix: []uint8{c.border}, Channels: 1}
		if got := p.AppendTensor(nil, pic); got[0] != c.want {
			t.Errorf("%s of %d: %v, want %v", c.invert, c.border, got[0], c.want)
		}
	}
	p := plain(1, 1, ColorRGBA, LayoutNCHW)
	p.Invert = InvertAlways
	pic := &Picture{Image: Image{Width: 1, Height: 1}, Pix: []uint8{1, 2, 3, 4}, Channels: 4}
	if got, want := p.AppendTensor(nil, pic), []float32{254, 253, 252, 4}; !slices.Equal(got, want) {
		t.Errorf("alpha must stay: %v, want %v", got, want)
	}
}

func TestTrim(t *testing.T) {
	cases := []struct {
		name          string
		ink           map[[2]int]uint8 // on a page of 10 × 6, all 100
		width, height int
	}{
		{"nothing there", nil, 10, 6},
		{"too faint", map[[2]int]uint8{{4, 3}: 132}, 10, 6},
		{"just dark enough", map[[2]int]uint8{{4, 3}: 67}, 1, 1},
		{"wide", map[[2]int]uint8{{1, 3}: 0, {8, 3}: 0}, 8, 8},
		{"in a corner", map[[2]int]uint8{{0, 0}: 255, {0, 4}: 255}, 5, 5},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			page := filledPicture(10, 6, []uint8{100})
			for at, v := range c.ink {
				page.row(at[1])[at[0]] = v
			}
			got := page.trimmed(page.borderLuma(), page.borderColor(page.borderLuma()))
			if got.Width != c.width || got.Height != c.height {
				t.Fatalf("%d × %d, want %d × %d", got.Width, got.Height, c.width, c.height)
			}
			ink := 0
			for _, v := range got.Pix {
				if v != 100 {
					ink++
				}
			}
			if ink != len(c.ink) {
				t.Errorf("%d pixels of ink, want %d", ink, len(c.ink))
			}
		})
	}
}

func TestBorder(t *testing.T) {
	cases := []struct {
		name          string
		width, height int
		pix           []uint8
		want          uint8
	}{
		{"one pixel", 1, 1, []uint8{9}, 9},
		{"a row", 4, 1, []uint8{4, 1, 3, 2}, 2},
		{"a column", 1, 3, []uint8{5, 9, 7}, 7},
		{"the middle does not count", 3, 3, []uint8{1, 1, 1, 1, 255, 2, 2, 2, 2}, 1},
		{"two rows", 3, 2, []uint8{1, 2, 3, 4, 5, 6}, 3},
	}
	for _, c := range cases {
		pic := &Picture{Image: Image{Width: c.width, Height: c.height}, Pix: c.pix, Channels: 1}
		if got := pic.borderLuma(); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestTrimLongLine holds that a line is not made a square of its length squared.
func TestTrimLongLine(t *testing.T) {
	line := filledPicture(maxSide, 3, []uint8{255, 255, 255})
	middle := line.row(1)
	clear(middle[3 : len(middle)-3])
	size := allocated(func() {
		values := mnistLike().AppendTensor(nil, line)
		if row := values[14*28 : 15*28]; row[14] <= 0 || row[0] != 0 || values[5*28+14] != 0 {
			t.Errorf("no line in the middle: %v", row)
		}
	})
	if size > 256<<20 {
		t.Errorf("%d MB allocated", size>>20)
	}
}
