package inference

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sibyl/inference/picture"
)

// axes are where a shape has its dimensions; -1 where it lacks one. Where height and width are -1, the second dimension
// holds all values of a picture in a row.
type axes struct{ batch, channel, height, width int }

// isRow tells whether a picture's values are one dimension.
func (a axes) isRow() bool { return a.height == -1 }

// findImageInput is the index of the input that takes the picture.
func findImageInput(inputs []onnxValue, c *config) (int, error) {
	if c.input.name != "" {
		for i, input := range inputs {
			if input.name == c.input.name {
				return i, nil
			}
		}
		return 0, c.errorf("input.name", "the model has no input %q, it has %s", c.input.name, quoted(inputs))
	}
	var images []int
	var why error
	for i, input := range inputs {
		if _, err := locateAxes(input, c); err == nil {
			images = append(images, i)
		} else if why == nil {
			why = err
		}
	}
	switch {
	case len(inputs) == 0:
		return 0, errors.New("the model has no input")
	case len(images) == 0:
		return 0, c.errorf("input.name", "no input is an image by its shape: %w", why)
	case len(images) > 1:
		return 0, c.errorf("input.name", "several of the inputs %s are images by their shape: set it", quoted(inputs))
	case len(inputs) > 1:
		return 0, c.errorf("input.name", "the model also has other inputs than an image, of %s: set it, then those are zero",
			quoted(inputs))
	}
	return images[0], nil
}

// locateAxes tells a picture's axes by where the channels stand; the configuration's layout, where it is given, decides.
func locateAxes(v onnxValue, c *config) (axes, error) {
	switch v.datatype {
	case fp32, fp64, fp16, uint8Type:
	case "":
		return axes{}, fmt.Errorf("input %q is no tensor of numbers", v.name)
	default:
		return axes{}, fmt.Errorf("input %q is %s, but an image is FP32, FP16, FP64 or UINT8", v.name, v.datatype)
	}
	if v.shape == nil {
		return axes{}, fmt.Errorf("input %q declares no shape", v.name)
	}
	if len(v.shape) == 2 && c.input.size != nil {
		return locateFlat(v, c.input.size)
	}
	if len(v.shape) != 3 && len(v.shape) != 4 {
		return axes{}, fmt.Errorf("input %q has the shape %v, but an image has 3 or 4 dimensions, or 2 and input.size",
			v.name, v.shape)
	}
	batch, first := -1, 0 // first: of the picture's three axes
	if len(v.shape) == 4 {
		batch, first = 0, 1
	}
	layout := c.input.layout
	switch {
	case layout == picture.LayoutNCHW || layout == "" && isChannels(v.shape[first]):
		return axes{batch, first, first + 1, first + 2}, nil
	case layout == picture.LayoutNHWC || isChannels(v.shape[first+2]):
		return axes{batch, first + 2, first, first + 1}, nil
	case first == 0 && v.shape[0] == -1:
		return axes{0, -1, 1, 2}, nil // a batch of grey pictures
	case slices.Max(v.shape[first:]) == -1: // as Hugging Face exports them
		return axes{}, fmt.Errorf("input %q leaves channels, height and width open: "+
			"set input.layout, input.color and input.size", v.name)
	}
	return axes{}, fmt.Errorf("input %q has the shape %v without 1, 3 or 4 channels: set input.layout", v.name, v.shape)
}

// locateFlat tells the axes of two dimensions: of one grey picture, or of pictures whose values are in a row.
func locateFlat(v onnxValue, size []int) (axes, error) {
	pixels := size[0] * size[1]
	switch {
	case v.shape[0] == size[0] && v.shape[1] == size[1]:
		return axes{-1, -1, 0, 1}, nil
	case v.shape[1] > 0 && v.shape[1]%pixels == 0 && isChannels(v.shape[1]/pixels):
		return axes{0, -1, -1, -1}, nil
	}
	return axes{}, fmt.Errorf("input %q has the shape %v, but input.size is %v", v.name, v.shape, size)
}

// isChannels tells whether a dimension may be a picture's channels.
func isChannels(size int) bool { return size == 1 || size == 3 || size == 4 }

// quoted lists names of inputs or outputs for a message.
func quoted(values []onnxValue) string {
	names := make([]string, len(values))
	for i, value := range values {
		names[i] = fmt.Sprintf("%q", value.name)
	}
	return strings.Join(names, ", ")
}
