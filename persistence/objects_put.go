package persistence

import (
	"context"
	"encoding/binary"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// relying bounds the time from looking at an object to handing over the row that relies on it; where there is no object
// store there is nothing to bound.
func (s *Store) relying(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.objects == nil {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, relyTimeout)
}

// putImages writes the images of new inputs to the object store, where there is one, and says in the inputs where they
// are. It returns the records as they go to the database. All images are written or, after an error, none counts: those
// that were are left to the collector. ctx must end within relyTimeout.
func (s *Store) putImages(ctx context.Context, records []*Record) ([]*Record, error) {
	if s.objects == nil {
		for _, r := range records {
			if r.Input != nil {
				r.Input.StoredIn = StoredInDatabase
			}
		}
		return records, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	put := make([]*Record, len(records))
	var puts sync.WaitGroup
	for i, r := range records {
		if put[i] = r; r.Input == nil {
			continue
		}
		puts.Go(func() {
			if err := s.putImage(ctx, r.Input, r.Image); err != nil {
				cancel(err)
				return
			}
			r.Input.StoredIn = StoredInObjects
			row := *r
			row.Image = nil
			put[i] = &row
		})
	}
	puts.Wait()
	return put, context.Cause(ctx)
}

// putImage sees to it that an image is in the object store, and stays there until a row relies on it: see objects.
func (s *Store) putImage(ctx context.Context, in *Input, image []byte) error {
	o := s.objects
	if err := o.puts.enter(ctx); err != nil {
		return err
	}
	defer o.puts.leave()
	write := func() error { return o.put(ctx, objectKey(in.SHA256), in.ContentType, image) }
	switch found, err := o.look(ctx, in.SHA256, len(image)); {
	case err != nil:
		return err
	case found == objectMissing:
		return write()
	case found == objectYoung:
		return nil
	}
	if err := o.renewals.enter(ctx); err != nil {
		return err
	}
	defer o.renewals.leave()
	return s.withObject(ctx, in.SHA256, lockShared, func(pgx.Tx) error {
		if found, err := o.look(ctx, in.SHA256, len(image)); err != nil || found == objectYoung {
			return err // another has written it again meanwhile
		}
		return write()
	})
}

// objectState is what a writer needs to know of an object.
type objectState int

const (
	objectMissing objectState = iota
	// objectYoung: whole, and young enough to be relied on.
	objectYoung
	// objectOld: to be written again.
	objectOld
)

// look tells the state of an object that should have so many bytes.
func (o *objects) look(ctx context.Context, digest Digest, size int) (objectState, error) {
	attributes, err := o.bucket.Attributes(ctx, objectKey(digest))
	switch {
	case isMissing(err):
		return objectMissing, nil
	case err != nil:
		return 0, objectError(ctx, err)
	case attributes.Size == int64(size) && time.Since(attributes.ModTime) < refreshAge:
		return objectYoung, nil
	}
	return objectOld, nil
}

// How an object is locked by its digest, until the transaction ends.
const (
	lockShared    = `SELECT pg_advisory_xact_lock_shared($1)`
	lockExclusive = `SELECT pg_advisory_xact_lock($1)`
)

// withObject calls f while a transaction holds the lock on an object, and returns f's error as it is.
func (s *Store) withObject(ctx context.Context, digest Digest, lock string, f func(pgx.Tx) error) error {
	var failed error
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lock, int64(binary.BigEndian.Uint64(digest))); err != nil {
			return err
		}
		failed = f(tx)
		return failed
	})
	if failed != nil {
		return failed
	}
	return classify(err)
}

// syncDirectories makes the name of a new object's file durable, and those of the directories in its key, which may be new
// too.
func syncDirectories(file, key string) error {
	directory := file
	for range strings.Count(key, "/") + 1 {
		directory = filepath.Dir(directory)
		if err := syncDirectory(directory); err != nil {
			return err
		}
	}
	return nil
}
