package graph

import (
	"context"
	"encoding/base64"
	"errors"
	"sync/atomic"

	"sibyl/persistence"
)

// Image is the image of an input. Its bytes are read only by DataURL and Thumbnail.
type Image struct {
	input    *persistence.Input
	resolver *Resolver
}

// ContentType is the media type found in the bytes.
func (i *Image) ContentType() string { return i.input.ContentType }

// Width is in pixels, after EXIF orientation.
func (i *Image) Width() int { return i.input.Width }

// Height is in pixels, after EXIF orientation.
func (i *Image) Height() int { return i.input.Height }

// ByteSize is the number of bytes.
func (i *Image) ByteSize() int { return i.input.ByteSize }

// Sha256 is of the bytes, in hexadecimal.
func (i *Image) Sha256() string { return i.input.SHA256.String() }

// URL is the path of the bytes on this server, or nil where retention has removed them.
func (i *Image) URL() *string {
	if i.removed() {
		return nil
	}
	path := "/images/" + i.input.ID.String()
	return &path
}

// DataURL reads the bytes; nil where retention has removed them. It returns RESPONSE_TOO_LARGE where the answer would
// grow over its bound.
func (i *Image) DataURL(ctx context.Context) (*DataURL, error) {
	if i.removed() {
		return nil, nil
	}
	type bytesQuestion struct{}
	together := loadersOf(ctx).pageOf(i.input)
	images, err := remember(&together.memo, bytesQuestion{},
		func() (map[persistence.InputID]*shown, error) { return i.resolver.images(ctx, together.inputs) })
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).show(ctx, images[i.input.ID])
}

// Thumbnail returns a small picture that fits a square of size pixels; nil where retention has removed the bytes.
func (i *Image) Thumbnail(ctx context.Context, size int32) (*DataURL, error) {
	const smallest, largest = 16, 512
	if size < smallest || size > largest {
		return nil, badUserInput("size is %d: it must be from %d to %d", size, smallest, largest)
	}
	if i.removed() {
		return nil, nil
	}
	type thumbnailQuestion struct{ size int32 }
	together := loadersOf(ctx).pageOf(i.input)
	thumbnails, err := remember(&together.memo, thumbnailQuestion{size}, func() (map[persistence.InputID]*shown, error) {
		return i.resolver.thumbnails(ctx, together.inputs, int(size))
	})
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).show(ctx, thumbnails[i.input.ID])
}

func (i *Image) removed() bool { return i.input.StoredIn == persistence.StoredRemoved }

// shown is an image on its way into the answer.
type shown struct {
	url *DataURL // nil where retention has removed the bytes
	err error
	// paid says that room in the answer has been taken for one use, which has not come yet.
	paid atomic.Bool
}

// show uses an image in the answer; nil is one that was deleted meanwhile.
func (l *loaders) show(ctx context.Context, s *shown) (*DataURL, error) {
	switch {
	case s == nil:
		return nil, persistence.ErrNotFound
	case s.err != nil || s.url == nil:
		return nil, s.err
	case s.paid.CompareAndSwap(true, false):
		return s.url, nil
	}
	return s.url, l.spend(ctx, len(s.url.Bytes))
}

// pay takes room for one use of an image of so many bytes.
func (l *loaders) pay(ctx context.Context, s *shown, bytes int) {
	s.err = l.spend(ctx, bytes)
	s.paid.Store(s.err == nil)
}

// spend takes the bytes, in Base64, from what the answer may still hold, and the memory for them.
func (l *loaders) spend(ctx context.Context, bytes int) error {
	length := int64(base64.StdEncoding.EncodedLen(bytes))
	for {
		left := l.answerBytes.Load()
		if left < length {
			return &Error{
				Code: CodeResponseTooLarge, Message: "the answer holds too many image bytes: ask for fewer, or use `url`",
			}
		}
		if l.answerBytes.CompareAndSwap(left, left-length) {
			break
		}
	}
	if take := l.resolver.options.TakeMemory; take != nil && !take(ctx, length) {
		l.answerBytes.Add(length)
		return &Error{Code: CodeOverloaded, Message: "too many image bytes are in flight: ask again soon"}
	}
	return nil
}

// images reads the images for which the answer has room, the first before the others.
func (r *Resolver) images(
	ctx context.Context, inputs []*persistence.Input,
) (map[persistence.InputID]*shown, error) {
	all := make(map[persistence.InputID]*shown, len(inputs))
	var room []*persistence.Input
	for _, in := range inputs {
		image := new(shown)
		if loadersOf(ctx).pay(ctx, image, in.ByteSize); image.err == nil {
			room = append(room, in)
		}
		all[in.ID] = image
	}
	read, err := r.store.ImagesByID(ctx, ids(room))
	if err != nil {
		return nil, err
	}
	for _, in := range room {
		image, found := read[in.ID]
		switch {
		case !found:
			delete(all, in.ID) // since the input was read
		case errors.Is(image.Err, persistence.ErrImageRemoved):
		case image.Err != nil:
			all[in.ID].err = image.Err
		default:
			all[in.ID].url = &DataURL{ContentType: in.ContentType, Bytes: image.Bytes}
		}
	}
	return all, nil
}
