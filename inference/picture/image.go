package picture

// Image is what decoding found out about an image.
type Image struct {
	// ContentType is the media type found in the bytes, for example `image/png`.
	ContentType string
	// Width and Height are pixels, after EXIF orientation.
	Width, Height int
}
