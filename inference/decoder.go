package inference

import (
	"context"
	"time"

	"sibyl/inference/picture"
)

// largeImage is the number of pixels from which an image is a photograph to the decoder.
const largeImage = 1 << 20

// decoder decodes as many photographs at the same time as there are cores, for a picture of 50 megapixels takes 200 MB;
// and as many small images beside them, which would else wait for seconds. It is safe for concurrent use.
type decoder struct {
	small, large *permits[struct{}]
	maxPixels    int
	// vips reads photographs, where it is not nil.
	vips *picture.Vips
}

func newDecoder(cores, maxPixels int) *decoder {
	return &decoder{
		small: newPermits(make([]struct{}, cores)), large: newPermits(make([]struct{}, cores)), maxPixels: maxPixels,
	}
}

// open reads an image's header and waits for a permit to decode it, which release gives back. It returns the errors of
// picture.Inspect and of permits.acquire.
func (d *decoder) open(ctx context.Context, data []byte) (image picture.Encoded, release func(), err error) {
	image, err = picture.Inspect(data, d.maxPixels, d.vips)
	if err != nil {
		return image, nil, err
	}
	lane := d.small
	if image.Pixels() >= largeImage {
		lane = d.large
	}
	permit, err := lane.acquire(ctx)
	return image, func() { lane.release(permit) }, err
}

// close refuses those who wait, and returns when all images have been decoded. It may be called once.
func (d *decoder) close() {
	d.small.close()
	d.large.close()
}

// decode makes the task's tensor of an image, and leaves the image's properties and times in the result. It returns the
// errors of open and of decoding.
func (d *decoder) decode(ctx context.Context, data []byte, input *imageInput, t *task, result *Result) error {
	start := time.Now()
	image, release, err := d.open(ctx, data)
	if err != nil {
		return err
	}
	defer release()
	begin := time.Now()
	t.memory.Reset()
	image.Memory = &t.memory
	pic, err := image.Decode(input.Enough(image.Size()))
	if err != nil {
		return err
	}
	t.input = input.AppendTensor(t.input[:0], pic)
	result.Image = image.Image()
	result.Timing = Timing{Decode: time.Since(begin), Queue: begin.Sub(start)}
	return nil
}
