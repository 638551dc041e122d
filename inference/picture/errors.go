package picture

import "errors"

var (
	// ErrUnsupportedMediaType is returned when bytes are not of an image type that is read.
	ErrUnsupportedMediaType = errors.New("not an image of a supported type")
	// ErrInvalidImage is returned when bytes are of an image type, but broken or truncated.
	ErrInvalidImage = errors.New("broken image")
	// ErrImageTooLarge is returned when an image's header declares more than it may.
	ErrImageTooLarge = errors.New("image too large")
)
