// Package picture makes tensors of encoded images. It knows no models, and starts nothing of its own; how many images
// are decoded at the same time is for its callers to say.
//
//	bytes
//	   │ Inspect            sniff the type, read the header and no more     ErrUnsupportedMediaType, ErrImageTooLarge
//	   ▼
//	Encoded
//	   │ Decode             libvips where that is quicker, else Go; upright                         ErrInvalidImage
//	   ▼
//	Picture                 8 bits a channel: grey, RGB or RGBA
//	   │ AppendTensor       over white, trim, resize, colour, invert, scale, as Pillow would, to the last bit or nearly
//	   ▼
//	[]float32
//
// A header is checked before anything is allocated on its word, and a decoder that panics has found a broken image.
// Large images are decoded by libvips where it is there, and no larger than the model needs (Preprocessor.Enough); vips.go
// alone knows it. Go's decoders read the small ones, and judge what libvips refuses. Small PNGs, as digits are, have a
// reader of their own (decode_png_fast.go), which leaves what is odd to the standard library's.
package picture
