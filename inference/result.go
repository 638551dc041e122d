package inference

import (
	"time"

	"sibyl/inference/picture"
)

// Image is what decoding found out about an image.
type Image = picture.Image

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
