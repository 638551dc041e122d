package persistence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
)

// StoredIn says where the bytes of an input are.
type StoredIn string

// The places of bytes.
const (
	// StoredInDatabase: in the row.
	StoredInDatabase StoredIn = "database"
	// StoredInObjects: in object storage, under their SHA-256.
	StoredInObjects StoredIn = "objects"
	// StoredRemoved: retention has removed them.
	StoredRemoved StoredIn = "removed"
)

// Digest is the SHA-256 of an image's bytes, written in hexadecimal.
type Digest []byte

// DigestOf returns the digest of the bytes.
func DigestOf(image []byte) Digest {
	sum := sha256.Sum256(image)
	return sum[:]
}

// String returns the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d) }

// ErrImageRemoved is returned when retention has removed the bytes.
var ErrImageRemoved = fmt.Errorf("image: %w", ErrNotFound)

// Image returns the bytes of an input, exactly as they were sent; the caller owns them. It returns ErrNotFound, or the
// errors of ImageBytes.
func (s *Store) Image(ctx context.Context, id InputID) ([]byte, error) {
	images, err := s.ImagesByID(ctx, []InputID{id})
	if err != nil {
		return nil, err
	}
	image, ok := images[id]
	if !ok {
		return nil, ErrNotFound
	}
	return image.Bytes, image.Err
}

// ImageBytes are those of an input, or why they cannot be had: ErrImageRemoved, ErrNoImageStore, ErrImagesUnavailable or
// ErrImageDamaged. Others of the same answer may be there.
type ImageBytes struct {
	Bytes []byte
	Err   error
}

// ImagesByID returns the bytes of the inputs of ids that exist, wherever they are stored: those in the database in one
// statement, and those in object storage several at a time. The caller owns them. All are held in memory at once: see to
// it that they are few.
func (s *Store) ImagesByID(ctx context.Context, ids []InputID) (map[InputID]*ImageBytes, error) {
	const query = `
SELECT i.id, i.stored_in, i.sha256, i.byte_size, i.image
FROM inputs i
WHERE i.id = ANY($1)`
	rows, err := s.pool.Query(ctx, query, ids)
	if err != nil {
		return nil, classify(err)
	}
	images := make(map[InputID]*ImageBytes, len(ids))
	var reads []func() // of object storage, once the connection is free again
	var id InputID
	var at place
	_, err = pgx.ForEachRow(rows, []any{&id, &at.storedIn, &at.digest, &at.size, &at.piece}, func() error {
		image, from := &ImageBytes{Bytes: at.piece}, at
		if from.storedIn != StoredInDatabase {
			reads = append(reads, func() { image.Bytes, image.Err = s.elsewhere(ctx, from) })
		}
		images[id] = image
		at = place{} // else the next row would be read into the same bytes
		return nil
	})
	var running sync.WaitGroup
	for _, read := range reads {
		running.Go(read)
	}
	running.Wait()
	return images, classify(err)
}

// place says where an image is.
type place struct {
	storedIn StoredIn
	digest   Digest
	size     int
	// piece is what the database has of the bytes.
	piece []byte
}

// elsewhere reads an image that is not in the database.
func (s *Store) elsewhere(ctx context.Context, at place) ([]byte, error) {
	if err := s.reach(at); err != nil {
		return nil, err
	}
	return s.objects.get(ctx, at.digest, at.size)
}

// ImagesReady returns nil where every image can be asked for: no input has one in an object store, or this store has been
// opened with one, and that answers. Else it returns ErrNoImageStore or ErrImagesUnavailable.
func (s *Store) ImagesReady(ctx context.Context) error {
	if s.objects != nil {
		return s.objects.reachable(ctx)
	}
	const query = `
SELECT i.id
FROM inputs i
WHERE i.stored_in = 'objects'
LIMIT 1`
	var elsewhere InputID
	switch err := s.pool.QueryRow(ctx, query).Scan(&elsewhere); {
	case err == nil:
		return ErrNoImageStore
	case !errors.Is(err, pgx.ErrNoRows):
		return classify(err)
	}
	return nil
}

// ImagesInPlace returns ErrImagesUnavailable where new images go to a directory of this machine that is not there, or has
// not the mark any more that ClaimImages has found: that is this replica's own trouble. A store elsewhere is not asked:
// where it is away it is so for every replica, each of which can answer all that needs no image.
func (s *Store) ImagesInPlace(ctx context.Context) error {
	if s.objects == nil {
		return nil
	}
	if err := s.objects.probes.enter(ctx); err != nil {
		return err
	}
	defer s.objects.probes.leave()
	return objectError(ctx, s.objects.directoryThere(ctx))
}

// reach returns an error where an image that is not in the database cannot be asked for.
func (s *Store) reach(at place) error {
	switch {
	case at.storedIn == StoredRemoved:
		return ErrImageRemoved
	case s.objects == nil:
		return ErrNoImageStore
	}
	return nil
}
