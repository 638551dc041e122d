package picture

import (
	"bytes"
	"image/png"
	"slices"
	"testing"
)

// PNGOf is a picture of ModelSide × ModelSide pixels with the RGB values.
func PNGOf(t *testing.T, rgb []byte) []byte {
	t.Helper()
	pic := newPicture(ModelSide, ModelSide, 3)
	pic.Pix = slices.Clone(rgb)
	var file bytes.Buffer
	if err := png.Encode(&file, pic.image()); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}
