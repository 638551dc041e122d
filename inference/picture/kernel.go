package picture

import "math"

// kernel is the weighting of a resize filter.
type kernel struct {
	support float64
	weight  func(x float64) float64
}

// The filters of Pillow's Image.resize (its src/libImaging/Resample.c), nearest aside.
var kernels = map[Filter]kernel{
	FilterBicubic:  {2, bicubic},
	FilterBilinear: {1, triangle},
	FilterLanczos:  {3, lanczos3},
	FilterArea:     {0.5, box},
}

func box(x float64) float64 {
	if -0.5 < x && x <= 0.5 {
		return 1
	}
	return 0
}

func triangle(x float64) float64 { return max(0, 1-math.Abs(x)) }

// bicubic is Keys' with a = -0.5.
func bicubic(x float64) float64 {
	const a = -0.5
	x = math.Abs(x)
	switch {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return (((x-5)*x+8)*x - 4) * a
	}
	return 0
}

func lanczos3(x float64) float64 {
	if -3 <= x && x < 3 {
		return sinc(x) * sinc(x/3)
	}
	return 0
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}
