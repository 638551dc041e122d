package picture

import (
	"bytes"
	"errors"
	"image"
	"testing"
)

// thumbnailOf inspects an image and makes its thumbnail at once.
func thumbnailOf(data []byte, size, maxPixels int) (thumbnail []byte, contentType string, err error) {
	s, err := Inspect(data, maxPixels, nil)
	if err != nil {
		return nil, "", err
	}
	return s.Thumbnail(size)
}

func TestThumbnail(t *testing.T) {
	images := goldenImages(t)
	cases := []struct {
		name          string
		size          int
		contentType   string
		width, height int
	}{
		{"digit-280.png", 64, "image/png", 64, 64},
		{"scene.png", 30, "image/png", 30, 22},
		{"scene.png", 500, "image/png", 60, 43},
		{"fading.png", 20, "image/png", 20, 13},
		{"444.jpg", 32, "image/jpeg", 32, 23},
		{"grey.jpg", 32, "image/jpeg", 32, 23},
		{"exif-6.jpg", 15, "image/jpeg", 8, 15},
		{"lossy.webp", 20, "image/jpeg", 20, 14},
		{"lossy-alpha.webp", 20, "image/png", 20, 14},
		{"lossless.webp", 20, "image/png", 20, 14},
		{"thin-1x50.png", 10, "image/png", 1, 10},
		{"thin-3x200.png", 0, "image/png", 1, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			data, contentType, err := thumbnailOf(images[c.name], c.size, testPixels)
			if err != nil {
				t.Fatal(err)
			}
			if contentType != c.contentType {
				t.Errorf("content type %s, want %s", contentType, c.contentType)
			}
			config, _, err := image.DecodeConfig(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if config.Width != c.width || config.Height != c.height {
				t.Errorf("%d × %d, want %d × %d", config.Width, config.Height, c.width, c.height)
			}
			if pic, err := decode(data, testPixels); err != nil || pic.ContentType != contentType {
				t.Errorf("the thumbnail is not what it says: %v", err)
			}
		})
	}
}

func TestThumbnailErrors(t *testing.T) {
	scene := goldenImages(t)["scene.png"]
	for want, args := range map[error]struct {
		data   []byte
		pixels int
	}{
		ErrUnsupportedMediaType: {[]byte("text"), testPixels},
		ErrInvalidImage:         {scene[:100], testPixels},
		ErrImageTooLarge:        {scene, 100},
	} {
		if _, _, err := thumbnailOf(args.data, 64, args.pixels); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}
