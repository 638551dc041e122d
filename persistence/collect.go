package persistence

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"gocloud.dev/blob"
)

const (
	// collectPage is how many objects are listed, and asked for in the database, at a time.
	collectPage = 1000
	// collectors bound the objects that are deleted at a time: each holds a connection to the database meanwhile.
	collectors = 2
)

// CollectObjects deletes the objects that no input refers to and that were written longer ago than olderThan, which is
// CollectAge where it is less, and what writers that were killed have left of files. It tells how many it has deleted,
// also where it returns an error, after which it may be called again: ErrImagesUnavailable, ErrUnavailable, or
// ErrNoImageStore where the store was opened without one. It may run beside writers and other collectors. The bucket, or
// the prefix that the URL of the object store names, must be of this database alone.
func (s *Store) CollectObjects(ctx context.Context, olderThan time.Duration) (deleted int, err error) {
	if s.objects == nil {
		return 0, ErrNoImageStore
	}
	s = s.inBackground()
	before := time.Now().Add(-max(olderThan, CollectAge))
	for shard := range 256 {
		n, err := s.collectShard(ctx, fmt.Sprintf("%s%02x/", objectPrefix, shard), before)
		if deleted += n; err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

// collectShard collects among the objects whose keys begin alike, page by page.
func (s *Store) collectShard(ctx context.Context, prefix string, before time.Time) (deleted int, err error) {
	for token := blob.FirstPageToken; ; {
		var listed []*blob.ListObject
		listed, token, err = s.objects.list(ctx, prefix, token)
		if errors.Is(err, io.EOF) {
			return deleted, nil
		}
		if err != nil {
			return deleted, err
		}
		n, err := s.collectListed(ctx, listed, before)
		if deleted += n; err != nil {
			return deleted, err
		}
	}
}

// list lists a page of objects; io.EOF where there is none. A file that is renamed meanwhile fails a listing of files,
// which then is done again.
func (o *objects) list(
	ctx context.Context, prefix string, token []byte,
) (listed []*blob.ListObject, next []byte, err error) {
	for range 10 {
		listed, next, err = o.bucket.ListPage(ctx, token, collectPage, &blob.ListOptions{Prefix: prefix})
		if errors.Is(err, io.EOF) {
			return nil, nil, err
		}
		if !isMissing(err) {
			break
		}
	}
	return listed, next, objectError(ctx, err)
}

// collectListed collects among the objects of one page.
func (s *Store) collectListed(ctx context.Context, listed []*blob.ListObject, before time.Time) (int, error) {
	var old []Digest
	deleted := 0
	for _, object := range listed {
		if !object.ModTime.Before(before) {
			continue
		}
		digest, unfinished := parseObjectKey(object.Key)
		if unfinished {
			if err := s.objects.delete(ctx, object.Key); err != nil {
				return deleted, err
			}
			deleted++
		} else if digest != nil {
			old = append(old, digest)
		}
	}
	orphans, err := s.orphans(ctx, old)
	if err != nil {
		return deleted, err
	}
	n, err := s.collectOrphans(ctx, orphans, before)
	return deleted + n, err
}

// parseObjectKey returns the digest of an object's key; nil where it is none. unfinished says that it is of a file that
// its writer did not finish: a key with more behind it.
func parseObjectKey(key string) (digest Digest, unfinished bool) {
	const shard, rest = 2, 62
	name, found := strings.CutPrefix(key, objectPrefix)
	if !found || len(name) < shard+1+rest || name[shard] != '/' {
		return nil, false
	}
	name = name[:shard] + name[shard+1:]
	sum, err := hex.DecodeString(name[:shard+rest])
	more := name[shard+rest:]
	if err != nil || more != "" {
		return nil, err == nil && strings.HasPrefix(more, ".") && strings.HasSuffix(more, ".tmp")
	}
	return sum, false
}

// orphans returns those of the digests that no input refers to.
func (s *Store) orphans(ctx context.Context, digests []Digest) (orphans []Digest, err error) {
	const query = `
SELECT DISTINCT i.sha256
FROM inputs i
WHERE i.sha256 = ANY($1)
  AND i.stored_in = 'objects'`
	if len(digests) == 0 {
		return nil, nil
	}
	rows, err := s.pool.Query(ctx, query, digests)
	if err != nil {
		return nil, classify(err)
	}
	wanted := map[string]bool{}
	var digest Digest
	_, err = pgx.ForEachRow(rows, []any{&digest}, func() error {
		wanted[string(digest)] = true
		return nil
	})
	for _, digest := range digests {
		if !wanted[string(digest)] {
			orphans = append(orphans, digest)
		}
	}
	return orphans, classify(err)
}

// collectOrphans collects a few at a time, and returns the first error.
func (s *Store) collectOrphans(ctx context.Context, orphans []Digest, before time.Time) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	var next, deleted atomic.Int64
	for range min(collectors, len(orphans)) {
		running.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(orphans) {
					return
				}
				n, err := s.collect(ctx, orphans[i], before)
				if deleted.Add(int64(n)); err != nil {
					cancel(err)
				}
			}
		})
	}
	running.Wait()
	return int(deleted.Load()), context.Cause(ctx)
}

// collect deletes an object that is still old and without a row now that no writer can make it young: see objects.
func (s *Store) collect(ctx context.Context, digest Digest, before time.Time) (deleted int, err error) {
	const query = `
SELECT i.id
FROM inputs i
WHERE i.sha256 = $1
  AND i.stored_in = 'objects'
LIMIT 1`
	err = s.withObject(ctx, digest, lockExclusive, func(tx pgx.Tx) error {
		attributes, err := s.objects.bucket.Attributes(ctx, objectKey(digest))
		switch {
		case isMissing(err):
			return nil // another collector was here
		case err != nil:
			return objectError(ctx, err)
		case !attributes.ModTime.Before(before):
			return nil
		}
		var wantedBy InputID
		if err := tx.QueryRow(ctx, query, digest).Scan(&wantedBy); !errors.Is(err, pgx.ErrNoRows) {
			return classify(err)
		}
		deleted = 1
		return s.objects.delete(ctx, objectKey(digest))
	})
	if err != nil {
		deleted = 0
	}
	return deleted, err
}

// delete deletes an object, if it is there.
func (o *objects) delete(ctx context.Context, key string) error {
	if err := o.bucket.Delete(ctx, key); !isMissing(err) {
		return objectError(ctx, err)
	}
	return nil
}
