package inference

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"sibyl/inference/picture"
)

// imageInput is how a version takes a picture: which input, of what datatype and shape, prepared in what way.
type imageInput struct {
	picture.Preprocessor
	// index of the input among the model's.
	index    int
	datatype string
	// shape of the smallest run; every dimension is fixed.
	shape []int
	// batched tells that the first dimension counts pictures, and open that the model leaves it to each run.
	batched, open bool
	// limit is how many pictures may share a run.
	limit int
	// whole tells of each output that it has no axis for the batch, as the warm-up found; nil before.
	whole []bool
}

// newImageInput finds the model's image input and reads from its shape what the configuration does not say. The
// error names the key that is missing or contradicts the model.
func newImageInput(inputs []onnxValue, c *config) (*imageInput, error) {
	index, err := findImageInput(inputs, c)
	if err != nil {
		return nil, err
	}
	value := inputs[index]
	where, err := locateAxes(value, c)
	if err != nil {
		return nil, err
	}
	in := &imageInput{index: index, datatype: value.datatype, batched: where.batch >= 0}
	for _, step := range []func(*config, []int, axes) error{
		in.setColor, in.setSize, in.setShape, in.setLimit, in.setValues,
	} {
		if err := step(c, value.shape, where); err != nil {
			return nil, err
		}
	}
	return in, nil
}

func (in *imageInput) setColor(c *config, shape []int, where axes) error {
	in.Layout, in.Color = picture.LayoutNCHW, c.input.color
	channels := 1
	switch {
	case where.isRow():
		in.Layout = cmp.Or(c.input.layout, picture.LayoutNCHW)
		channels = shape[1] / (c.input.size[0] * c.input.size[1])
	case where.channel >= 0:
		channels = shape[where.channel]
		if where.channel > where.height {
			in.Layout = picture.LayoutNHWC
		}
	}
	switch {
	case channels == -1 && in.Color == "":
		return c.errorf("input.color", "the model leaves its channels open: set it")
	case channels == -1:
		return nil
	case channels != 1 && channels != 3 && channels != 4:
		return fmt.Errorf("the model takes %d channels, but a picture has GRAY (1), RGB or BGR (3), or RGBA (4)", channels)
	case in.Color == "":
		in.Color = map[int]picture.Color{1: picture.ColorGray, 3: picture.ColorRGB, 4: picture.ColorRGBA}[channels]
	}
	if in.Channels() != channels {
		return c.errorf("input.color", "%s has %d channels, the model takes %d", in.Color, in.Channels(), channels)
	}
	return nil
}

func (in *imageInput) setSize(c *config, shape []int, where axes) error {
	size := c.input.size
	if where.isRow() {
		in.Height, in.Width = size[0], size[1]
	} else {
		in.Height, in.Width = shape[where.height], shape[where.width]
	}
	switch {
	case size == nil && (in.Height == -1 || in.Width == -1):
		return c.errorf("input.size", "the model leaves height and width open: set it")
	case size == nil:
	case in.Height != -1 && in.Height != size[0], in.Width != -1 && in.Width != size[1]:
		return c.errorf("input.size", "%v differs from the model's %v", size, []int{in.Height, in.Width})
	default:
		in.Height, in.Width = size[0], size[1]
	}
	in.Resize, in.Filter, in.Trim, in.Margin = c.input.resize, c.input.filter, c.input.trim, c.input.margin
	if 2*in.Margin >= min(in.Height, in.Width) {
		return c.errorf("input.margin", "%d leaves nothing of %dx%d", in.Margin, in.Height, in.Width)
	}
	return nil
}

func (in *imageInput) setShape(_ *config, shape []int, where axes) error {
	in.shape = slices.Clone(shape)
	if !where.isRow() {
		in.shape[where.height], in.shape[where.width] = in.Height, in.Width
	}
	if where.channel >= 0 {
		in.shape[where.channel] = in.Channels()
	}
	if where.batch >= 0 {
		in.shape[where.batch] = shape[where.batch]
		if in.open = shape[where.batch] == -1; in.open {
			in.shape[where.batch] = 1
		}
	}
	if volume(in.shape) <= 0 {
		return fmt.Errorf("the image input's shape %v is empty or too large", in.shape)
	}
	return nil
}

// setLimit finds out how many pictures may share a run.
func (in *imageInput) setLimit(c *config, _ []int, _ axes) error {
	const byDefault = 32
	most, given := 1, c.batching.maxBatchSize
	switch {
	case in.open:
		most = max(given, byDefault)
	case in.batched:
		most = in.shape[0]
	}
	switch {
	case given > most:
		return c.errorf("max_batch_size", "%d, but the model takes %d in a run", given, most)
	case c.batching.dynamic && most == 1:
		return c.errorf("dynamic_batching", "the model takes one image in a run")
	case given > 0:
		in.limit = given
	case in.open:
		in.limit = byDefault
	default:
		in.limit = most
	}
	return nil
}

func (in *imageInput) setValues(c *config, _ []int, _ axes) error {
	in.Scale, in.Mean, in.Std, in.Invert = 1.0/255, []float64{0}, []float64{1}, c.input.invert
	if in.datatype == uint8Type {
		in.Scale = 1
	}
	if c.input.scale != nil {
		in.Scale = *c.input.scale
	}
	for _, given := range []struct {
		key    string
		values []float64
		target *[]float64
	}{{"input.mean", c.input.mean, &in.Mean}, {"input.std", c.input.std, &in.Std}} {
		if given.values == nil {
			continue
		}
		if n := len(given.values); n != 1 && n != in.Channels() {
			return c.errorf(given.key, "%d values for %d channels", n, in.Channels())
		}
		*given.target = given.values
	}
	return nil
}

// smallest is the least number of pictures that a run can take.
func (in *imageInput) smallest() int {
	if !in.batched {
		return 1
	}
	return in.shape[0]
}

// put writes a picture's values in the input's datatype to the place of item in dst, the memory of the whole batch.
// UINT8 is rounded and clamped to 0…255.
func (in *imageInput) put(dst []byte, item int, values []float32) {
	size := len(values) * elementSize(in.datatype)
	dst = dst[item*size : (item+1)*size]
	native := binary.NativeEndian
	switch in.datatype {
	case fp32:
		copy(dst, unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), size))
	case fp64:
		for i, v := range values {
			native.PutUint64(dst[8*i:], math.Float64bits(float64(v)))
		}
	case fp16:
		for i, v := range values {
			native.PutUint16(dst[2*i:], float32ToFloat16(v))
		}
	case uint8Type:
		for i, v := range values {
			dst[i] = uint8(min(max(v+0.5, 0), 255))
		}
	}
}
