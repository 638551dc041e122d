package graph

import (
	"context"
	"errors"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"sibyl/persistence"
)

// thumbnailChunk bounds the bytes of images that are held at once to make thumbnails of; one larger image goes alone.
const thumbnailChunk = 8 << 20

// thumbnails makes those for which the answer has room, unless they were made before. One that fails fails alone.
func (r *Resolver) thumbnails(
	ctx context.Context, inputs []*persistence.Input, size int,
) (map[persistence.InputID]*shown, error) {
	all := make(map[persistence.InputID]*shown, len(inputs))
	var unmade []*persistence.Input
	for _, in := range inputs {
		if t, found := r.made.get(keyOfThumbnail(in, size)); found {
			all[in.ID] = loadersOf(ctx).paidThumbnail(ctx, t)
		} else {
			unmade = append(unmade, in)
		}
	}
	for len(unmade) > 0 {
		n, bytes := 1, unmade[0].ByteSize
		for n < len(unmade) && bytes+unmade[n].ByteSize <= thumbnailChunk {
			bytes += unmade[n].ByteSize
			n++
		}
		images, err := r.store.ImagesByID(ctx, ids(unmade[:n]))
		if err != nil {
			return nil, err
		}
		for _, in := range unmade[:n] {
			if image, found := images[in.ID]; found {
				all[in.ID] = r.thumbnail(ctx, in, image, size)
			}
		}
		unmade = unmade[n:]
	}
	return all, nil
}

// maxPixels bounds what one operation has decoded for thumbnails: about as much as its time allows.
const maxPixels = 1_000_000_000

func (r *Resolver) thumbnail(
	ctx context.Context, in *persistence.Input, image *persistence.ImageBytes, size int,
) *shown {
	switch {
	case errors.Is(image.Err, persistence.ErrImageRemoved):
		return new(shown)
	case image.Err != nil:
		return &shown{err: image.Err}
	}
	loaders := loadersOf(ctx)
	t, err := r.made.make(ctx, keyOfThumbnail(in, size), func() (*thumbnail, error) {
		// Nothing more is decoded once the answer is full.
		if loaders.answerBytes.Load() <= 0 || loaders.pixels.Add(-int64(in.Width)*int64(in.Height)) < 0 {
			return nil, &Error{Code: CodeResponseTooLarge, Message: "the answer holds too many thumbnails: ask for fewer"}
		}
		bytes, contentType, err := r.engine.Thumbnail(ctx, image.Bytes, size)
		return &thumbnail{contentType, bytes}, err
	})
	if err != nil {
		return &shown{err: err}
	}
	return loaders.paidThumbnail(ctx, t)
}

// paidThumbnail is a thumbnail on its way into the answer, if that has room for it.
func (l *loaders) paidThumbnail(ctx context.Context, t *thumbnail) *shown {
	small := new(shown)
	if l.pay(ctx, small, len(t.bytes)); small.err == nil {
		small.url = &DataURL{ContentType: t.contentType, Bytes: t.bytes}
	}
	return small
}

// thumbnail is a small picture of an image. It must not be changed.
type thumbnail struct {
	contentType string
	bytes       []byte
}

// thumbnailKey tells thumbnails apart: equal images share them.
type thumbnailKey struct {
	digest [32]byte
	size   int
}

func keyOfThumbnail(in *persistence.Input, size int) thumbnailKey {
	return thumbnailKey{[32]byte(in.SHA256), size}
}

const (
	// maxThumbnailBytes bounds the thumbnails that are kept.
	maxThumbnailBytes = 64 << 20
	// thumbnailOverhead is about what the cache takes for each beside its bytes.
	thumbnailOverhead = 256
)

// thumbnailCache keeps the thumbnails that were used last, within a bound of bytes, and has each made once at a time.
// It is safe for concurrent use.
type thumbnailCache struct {
	mu       sync.Mutex
	kept     *simplelru.LRU[thumbnailKey, *thumbnail] // guarded by mu
	bytes    int                                      // of those kept; guarded by mu
	maxBytes int
	making   map[thumbnailKey]*making // guarded by mu
}

// making is a thumbnail that somebody makes. The others may be read once done is closed.
type making struct {
	done      chan struct{}
	thumbnail *thumbnail
	err       error
}

func newThumbnailCache(maxBytes int) *thumbnailCache {
	c := &thumbnailCache{maxBytes: maxBytes, making: map[thumbnailKey]*making{}}
	// There are no more than fit if each were empty; the error is of a bound below 1.
	c.kept, _ = simplelru.NewLRU(maxBytes/thumbnailOverhead+1, func(_ thumbnailKey, t *thumbnail) {
		c.bytes -= len(t.bytes) + thumbnailOverhead
	})
	return c
}

func (c *thumbnailCache) get(key thumbnailKey) (*thumbnail, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept.Get(key)
}

// make returns the thumbnail that is kept or that somebody makes now, or else what create makes. An error goes to all
// who wait, except that of a maker whose own answer was full or whose time was up: then the next one makes it.
func (c *thumbnailCache) make(
	ctx context.Context, key thumbnailKey, create func() (*thumbnail, error),
) (*thumbnail, error) {
	for {
		c.mu.Lock()
		if t, found := c.kept.Get(key); found {
			c.mu.Unlock()
			return t, nil
		}
		other, found := c.making[key]
		if !found {
			own := &making{done: make(chan struct{}), err: errors.New("the maker of a thumbnail panicked")}
			c.making[key] = own
			c.mu.Unlock()
			return c.create(key, own, create)
		}
		c.mu.Unlock()
		select {
		case <-other.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if other.err == nil || !ofOneOperation(other.err) {
			return other.thumbnail, other.err
		}
	}
}

// ofOneOperation tells an error that another operation may not have.
func ofOneOperation(err error) bool {
	var full *Error
	return errors.As(err, &full) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// create makes a thumbnail, keeps it, and tells those who wait.
func (c *thumbnailCache) create(
	key thumbnailKey, own *making, create func() (*thumbnail, error),
) (*thumbnail, error) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.making, key)
		if own.err == nil {
			c.keep(key, own.thumbnail)
		}
		close(own.done)
	}()
	own.thumbnail, own.err = create()
	return own.thumbnail, own.err
}

// keep adds a thumbnail and drops those that were not used for longest; c.mu must be held.
func (c *thumbnailCache) keep(key thumbnailKey, t *thumbnail) {
	c.kept.Add(key, t)
	for c.bytes += len(t.bytes) + thumbnailOverhead; c.bytes > c.maxBytes; {
		c.kept.RemoveOldest()
	}
}
