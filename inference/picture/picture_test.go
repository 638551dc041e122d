package picture

import (
	"image"
	"image/color"
	"slices"
	"testing"
)

func TestOriented(t *testing.T) {
	// 1 2 3
	// 4 5 6
	cases := map[int]struct {
		width int
		want  []uint8
	}{
		0: {3, []uint8{1, 2, 3, 4, 5, 6}},
		1: {3, []uint8{1, 2, 3, 4, 5, 6}},
		2: {3, []uint8{3, 2, 1, 6, 5, 4}},
		3: {3, []uint8{6, 5, 4, 3, 2, 1}},
		4: {3, []uint8{4, 5, 6, 1, 2, 3}},
		5: {2, []uint8{1, 4, 2, 5, 3, 6}},
		6: {2, []uint8{4, 1, 5, 2, 6, 3}},
		7: {2, []uint8{6, 3, 5, 2, 4, 1}},
		8: {2, []uint8{3, 6, 2, 5, 1, 4}},
	}
	for orientation, c := range cases {
		for _, channels := range []int{1, 3, 4} {
			pic := newPicture(3, 2, channels)
			for i := range pic.Pix {
				pic.Pix[i] = uint8(i/channels + 1)
			}
			got := pic.oriented(orientation)
			if got.Width != c.width || got.Height != 6/c.width {
				t.Fatalf("orientation %d: %d × %d", orientation, got.Width, got.Height)
			}
			for i, v := range got.Pix {
				if v != c.want[i/channels] {
					t.Fatalf("orientation %d, %d channels: %v", orientation, channels, got.Pix)
				}
			}
		}
	}
}

// TestFromImage compares each kind of image with what At says, and counts the channels that are kept.
func TestFromImage(t *testing.T) {
	bounds := image.Rect(0, 0, 7, 5)
	soft := func(x, y int) color.Color {
		return color.NRGBA64{uint16(x * 9000), uint16(y * 13000), uint16(x * y * 1800), uint16(65535 - x*y*2000)}
	}
	solid := func(x, y int) color.Color {
		return color.RGBA64{uint16(x * 9000), uint16(y * 13000), uint16(x * y * 1800), 65535}
	}
	grey := func(x, y int) color.Color { return color.Gray16{uint16(x*9000 + y*200)} }
	palette := color.Palette{color.Black, color.White, color.NRGBA{200, 10, 10, 100}, color.RGBA{}}
	cases := []struct {
		name string
		img  interface {
			image.Image
			Set(x, y int, c color.Color)
		}
		fill     func(x, y int) color.Color
		channels int
	}{
		{"Gray", image.NewGray(bounds), grey, 1},
		{"Gray16", image.NewGray16(bounds), grey, 1},
		{"NRGBA", image.NewNRGBA(bounds), soft, 4},
		{"NRGBA, opaque", image.NewNRGBA(bounds), solid, 3},
		{"NRGBA, grey", image.NewNRGBA(bounds), grey, 1},
		{"NRGBA64", image.NewNRGBA64(bounds), soft, 4},
		{"RGBA, opaque", image.NewRGBA(bounds), solid, 3},
		{"RGBA64, opaque", image.NewRGBA64(bounds), solid, 3},
		{"Paletted", image.NewPaletted(bounds, palette), solid, 4},
		{"Paletted, grey", image.NewPaletted(bounds, palette[:2]), grey, 1},
		{"Alpha", image.NewAlpha(bounds), soft, 4},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for y := range 5 {
				for x := range 7 {
					c.img.Set(x, y, c.fill(x, y))
				}
			}
			want := make([]uint8, 0, 7*5*4)
			for y := range 5 {
				for x := range 7 {
					v := color.NRGBA64Model.Convert(c.img.At(x, y)).(color.NRGBA64)
					want = append(want, uint8(v.R>>8), uint8(v.G>>8), uint8(v.B>>8), uint8(v.A>>8))
				}
			}
			pic := fromImage(c.img)
			if pic.Channels != c.channels {
				t.Errorf("%d channels, want %d", pic.Channels, c.channels)
			}
			if got := pic.withAlpha().Pix; !slices.Equal(got, want) {
				t.Errorf("\n%v, want\n%v", got, want)
			}
		})
	}
}

func TestPasteClips(t *testing.T) {
	stamp := filledPicture(3, 3, []uint8{9})
	for _, at := range [][3]int{{-2, -2, 1}, {3, 3, 1}, {1, 1, 9}, {-3, 0, 0}, {4, 0, 0}, {0, 9, 0}, {2, -1, 4}} {
		page := newPicture(4, 4, 1)
		page.paste(stamp, at[0], at[1])
		sum := 0
		for _, v := range page.Pix {
			sum += int(v) / 9
		}
		if sum != at[2] {
			t.Errorf("at %d, %d: %d pixels, want %d", at[0], at[1], sum, at[2])
		}
	}
}

// filledPicture has one colour everywhere.
func filledPicture(width, height int, color []uint8) *Picture {
	return newPicture(width, height, len(color)).fill(color)
}
