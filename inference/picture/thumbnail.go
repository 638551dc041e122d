package picture

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
)

// thumbnailQuality is JPEG's, of 100.
const thumbnailQuality = 85

// Thumbnail makes a small version of an image for people to look at, upright, its longer side at most longest pixels and
// never enlarged. It is a JPEG where the original is a photograph (JPEG, or lossy and without alpha), else a PNG, which
// keeps alpha; contentType says which. It returns the errors of Decode.
func (s Encoded) Thumbnail(longest int) (thumbnail []byte, contentType string, err error) {
	whole := s.Size()
	small := whole
	if longest = max(longest, 1); max(whole.width, whole.height) > longest {
		small.width, small.height = containedSize(areaOf(whole), longest, longest)
	}
	pic, err := s.Decode(small.times(reserves[FilterBicubic]))
	if err != nil {
		return nil, "", err
	}
	photograph := pic.Channels != 4 && s.isLossy()
	pic = resize(pic, small.width, small.height, wholeOf(pic), FilterBicubic)
	var out bytes.Buffer
	if photograph {
		err = jpeg.Encode(&out, pic.image(), &jpeg.Options{Quality: thumbnailQuality})
		return out.Bytes(), jpegCodec.contentType, err
	}
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	err = encoder.Encode(&out, pic.image())
	return out.Bytes(), pngCodec.contentType, err
}

// isLossy tells whether the image was compressed as photographs are.
func (s Encoded) isLossy() bool {
	switch s.codec {
	case jpegCodec, avifCodec, heicCodec:
		return true
	case webpCodec:
		f, err := readWebP(s.data)
		return err == nil && !f.lossless
	}
	return false
}

// image shares the pixels with the standard library's encoders.
func (p *Picture) image() image.Image {
	bounds := image.Rect(0, 0, p.Width, p.Height)
	if p.Channels == 1 {
		return &image.Gray{Pix: p.Pix, Stride: p.Width, Rect: bounds}
	}
	pix := p.withAlpha().Pix
	if p.Channels == 3 {
		return &image.RGBA{Pix: pix, Stride: 4 * p.Width, Rect: bounds}
	}
	return &image.NRGBA{Pix: pix, Stride: 4 * p.Width, Rect: bounds}
}
