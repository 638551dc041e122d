package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"math"
)

var (
	errTruncated    = errors.New("the file ends too early")
	errNotTIFF      = errors.New("no TIFF structure")
	errNotInPalette = errors.New("a pixel's colour is not in the palette")
)

// unsupported is a feature of a known image type that is not read.
type unsupported string

func (u unsupported) Error() string { return string(u) + " is not read" }

// maxSide bounds width and height on their own: resizing needs memory in proportion to them. No camera comes near it.
const maxSide = 1 << 20

// header is what an image says of itself before its pixels.
type header struct {
	width, height int
	// orientation is EXIF's: 1 to 8.
	orientation int
}

// Size is a width and a height in pixels, as Encoded.Size tells them and Preprocessor.Enough bounds them.
type Size struct{ width, height int }

// times is rounded up.
func (s Size) times(factor float64) Size {
	return Size{int(math.Ceil(float64(s.width) * factor)), int(math.Ceil(float64(s.height) * factor))}
}

// codec reads one image type.
type codec struct {
	name, contentType string
	// header reads what decode is about to believe, and allocates little.
	header func(data []byte) (header, error)
	// decode reads the first picture, as it lies. It may panic.
	decode func(data []byte) (*Picture, error)
	// native is how libvips reads the type; nil where it is no faster.
	native *nativeCodec
}

// Encoded is an image whose header has been read and found to be within bounds, and nothing else of it.
type Encoded struct {
	codec  *codec
	header header
	data   []byte
	vips   *Vips
	// Memory is where pictures come from; nil: the heap.
	Memory *Arena
}

// Inspect reads the header of an image of a type found by its first bytes: PNG, JPEG, GIF, WebP, BMP or TIFF, and with
// libvips AVIF or HEIC. It costs little. It returns ErrUnsupportedMediaType, ErrImageTooLarge (more than maxPixels) or
// ErrInvalidImage, wrapped with what to tell the sender. Safe for concurrent use; the data are kept.
func Inspect(data []byte, maxPixels int, v *Vips) (Encoded, error) {
	c, err := sniff(data, v)
	if err != nil {
		return Encoded{}, err
	}
	h, err := c.safeHeader(data)
	if err != nil {
		return Encoded{}, c.explain(err)
	}
	return Encoded{c, h, data, v, nil}, h.check(maxPixels)
}

// Pixels is what the header declares.
func (s Encoded) Pixels() int { return s.header.width * s.header.height }

// Image is what the header tells of the image, upright.
func (s Encoded) Image() Image {
	i := Image{ContentType: s.codec.contentType, Width: s.header.width, Height: s.header.height}
	if s.header.orientation >= 5 {
		i.Width, i.Height = i.Height, i.Width
	}
	return i
}

// Size is that of the whole picture, upright.
func (s Encoded) Size() Size {
	i := s.Image()
	return Size{i.Width, i.Height}
}

// Decode reads the picture, of several the first, upright; where it is quicker in a smaller size, which is at least the
// one that is enough. It returns ErrUnsupportedMediaType or ErrInvalidImage, as Inspect does.
func (s Encoded) Decode(enough Size) (*Picture, error) {
	pic := s.decodeNative(enough)
	if pic == nil {
		var err error
		if pic, err = s.codec.safeDecode(s.data); err != nil {
			return nil, s.codec.explain(err)
		}
		if pic.Width != s.header.width || pic.Height != s.header.height {
			return nil, fmt.Errorf("%w: the %s header says %d × %d pixels, the picture has %d × %d",
				ErrInvalidImage, s.codec.name, s.header.width, s.header.height, pic.Width, pic.Height)
		}
	}
	pic = pic.oriented(s.header.orientation)
	pic.ContentType, pic.memory = s.codec.contentType, s.Memory
	return pic, nil
}

func (h header) check(maxPixels int) error {
	switch {
	case h.width <= 0 || h.height <= 0:
		return fmt.Errorf("%w: %d × %d pixels", ErrInvalidImage, h.width, h.height)
	case h.width > maxPixels/h.height: // their product may overflow
		return fmt.Errorf("%w: %d × %d pixels are more than %d", ErrImageTooLarge, h.width, h.height, maxPixels)
	case max(h.width, h.height) > maxSide:
		return fmt.Errorf("%w: %d × %d pixels, and no side may be longer than %d",
			ErrImageTooLarge, h.width, h.height, maxSide)
	}
	return nil
}

func (c *codec) safeHeader(data []byte) (h header, err error) {
	defer recoverInto(&err)
	return c.header(data)
}

func (c *codec) safeDecode(data []byte) (pic *Picture, err error) {
	defer recoverInto(&err)
	return c.decode(data)
}

// recoverInto turns a panic into an error: decoders index by what hostile bytes say.
func recoverInto(err *error) {
	if r := recover(); r != nil {
		*err = errors.New("its structure is broken")
	}
}

// explain wraps a decoder's error in the sentinel that fits it.
func (c *codec) explain(err error) error {
	var feature unsupported
	var inJPEG jpeg.UnsupportedError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("%w: %s: %w", ErrInvalidImage, c.name, errTruncated)
	case errors.As(err, &feature):
		return fmt.Errorf("%w: %s: %w", ErrUnsupportedMediaType, c.name, err)
	case errors.As(err, &inJPEG):
		return fmt.Errorf("%w: %w", ErrUnsupportedMediaType, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrInvalidImage, c.name, err)
}

// hasPrefix tells whether data begins with any of the strings.
func hasPrefix(data []byte, prefixes ...string) bool {
	for _, p := range prefixes {
		if bytes.HasPrefix(data, []byte(p)) {
			return true
		}
	}
	return false
}
