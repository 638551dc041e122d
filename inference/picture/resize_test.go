package picture

import (
	"math/rand/v2"
	"testing"
)

// TestWeights holds that each result is an average: its weights add up to one.
func TestWeights(t *testing.T) {
	for filter := range kernels {
		for _, size := range [][2]int{{1, 1}, {1, 9}, {9, 1}, {28, 28}, {280, 20}, {17, 640}, {100_000, 3}} {
			columns := newTaps(pass{size[0], 0, float32(size[0]), size[1], filter})
			for i := range size[1] {
				s := columns.spans[i]
				start, weights := s.start, columns.weights[s.first:s.first+s.count]
				sum := 0
				for _, w := range weights {
					sum += int(w)
				}
				if len(weights) == 0 || start < 0 || start+len(weights) > size[0] {
					t.Fatalf("%s %v: result %d takes %d values from %d", filter, size, i, len(weights), start)
				}
				if off := sum - 1<<weightBits; off > len(weights) || off < -len(weights) {
					t.Errorf("%s %v: result %d is off by %d", filter, size, i, off)
				}
			}
		}
	}
}

// TestFlatStaysFlat resizes one colour: nothing may bleed in.
func TestFlatStaysFlat(t *testing.T) {
	for _, filter := range []Filter{FilterBicubic, FilterBilinear, FilterLanczos, FilterArea, FilterNearest} {
		for _, color := range [][]uint8{{0}, {255}, {77}, {255, 1, 128}, {255, 255, 255, 255}, {0, 0, 0, 0}} {
			for _, size := range [][2]int{{1, 1}, {3, 50}, {50, 3}, {200, 200}, {12, 13}} {
				got := resize(filledPicture(12, 13, color), size[0], size[1], area{1.25, 0, 11.5, 13}, filter)
				for i, v := range got.Pix {
					if v != color[i%len(color)] {
						t.Fatalf("%s %v %v: value %d is %d", filter, color, size, i, v)
					}
				}
			}
		}
	}
}

// TestTransparentColorStaysOut holds that what cannot be seen does not colour its neighbours.
func TestTransparentColorStaysOut(t *testing.T) {
	pic := &Picture{Image: Image{Width: 2, Height: 1}, Pix: []uint8{200, 0, 0, 255, 0, 255, 0, 0}, Channels: 4}
	got := resize(pic, 1, 1, wholeOf(pic), FilterArea)
	if px := got.Pix; px[0] < 198 || px[1] != 0 || px[3] != 128 {
		t.Errorf("%v, want red at half alpha", px)
	}
}

func TestContainedSize(t *testing.T) {
	cases := []struct{ width, height, toWidth, toHeight, wantWidth, wantHeight int }{
		{100, 50, 28, 28, 28, 14},
		{50, 100, 28, 28, 14, 28},
		{28, 28, 28, 28, 28, 28},
		{10_000, 1, 28, 28, 28, 1},
		{1, 10_000, 28, 28, 1, 28},
		{3, 2, 10, 10, 10, 7},
	}
	for _, c := range cases {
		pic := &Picture{Image: Image{Width: c.width, Height: c.height}}
		if w, h := containedSize(wholeOf(pic), c.toWidth, c.toHeight); w != c.wantWidth || h != c.wantHeight {
			t.Errorf("%d × %d in %d × %d: %d × %d", c.width, c.height, c.toWidth, c.toHeight, w, h)
		}
	}
}

// TestPasses holds both passes to plain sums, at sizes that leave rests of rows and of columns, with all values at the
// ends of their range, where sharp filters clip.
func TestPasses(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	for _, channels := range []int{1, 3, 4} {
		for _, size := range []Size{{1, 1}, {2, 3}, {9, 5}, {31, 32}, {57, 43}, {200, 7}} {
			pic := newPicture(size.width, size.height, channels)
			for i := range pic.Pix {
				pic.Pix[i] = uint8(255 * random.IntN(2))
			}
			for _, out := range []int{1, 7, 33, 64} {
				across := tapsOf(pass{size.width, 0, float32(size.width), out, FilterLanczos})
				got := pic.squeezed(across)
				for i, v := range got.Pix {
					x, y := i/channels%out, i/channels/out
					if want := across.sum(x, pic.row(y)[i%channels:], channels); v != want {
						t.Fatalf("%v to %d columns of %d: %d at %d, %d, want %d", size, out, channels, v, x, y, want)
					}
				}
				down := tapsOf(pass{size.height, 0, float32(size.height), out, FilterLanczos})
				for i, v := range pic.stacked(down, 0).Pix {
					row := size.width * channels
					if want := down.sum(i/row, pic.Pix[i%row:], row); v != want {
						t.Fatalf("%v to %d rows of %d: %d at %d, want %d", size, out, channels, v, i, want)
					}
				}
			}
		}
	}
}

// sum is the i-th result from values that lie step apart.
func (t *taps) sum(i int, values []uint8, step int) uint8 {
	s := t.spans[i]
	sum := int32(1 << (weightBits - 1))
	for k, w := range t.weights[s.first : s.first+s.count] {
		sum += int32(values[(s.start+k)*step]) * w
	}
	return clamp(sum >> weightBits)
}
