package inference

import "time"

// Image is what decoding found out about an image.
type Image struct {
	// ContentType is the media type found in the bytes, for example `image/png`.
	ContentType string
	// Width and Height are pixels, after EXIF orientation.
	Width, Height int
}

// Result is the outcome of one run on one image. The caller owns it, but for Model and the tensors' shapes.
type Result struct {
	// Model is the version that ran.
	Model *ModelVersion
	Image Image
	// Outputs are all outputs of the model for this image.
	Outputs []Tensor
	Timing  Timing
}

// Timing tells how long each stage of a run took: decoding and pre-processing; waiting, for either; running.
type Timing struct {
	Decode, Queue, Inference time.Duration
}
