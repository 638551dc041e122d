package persistence

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
)

const (
	// markKey is the object that says whose images a store has.
	markKey = ".sibyl"
	// markLength bounds what is read of it: it may be anybody's file.
	markLength = 100
)

// ClaimImages returns nil where the object store has this database's images, or is its first; that one is marked, with an
// object that has the database's ID. It returns ErrOtherImages where the store is another: a directory whose disk is not
// mounted would be taken for a store that has lost every image, and new ones would go to the wrong disk; and of a store
// that another database has, the collector would delete all. The database needs the schema of this binary. A store opened
// without an object store has nothing to claim.
//
// The mark goes along where the objects are copied elsewhere. A database whose objects are older than marks claims a store
// that has some of them.
func (s *Store) ClaimImages(ctx context.Context) error {
	// The lock has replicas that start together do this one after the other.
	const query = imageStoreQuery + `
FOR UPDATE`
	const setMarked = `
UPDATE image_stores
SET marked = true`
	if s.objects == nil {
		return nil
	}
	err := s.withImageStore(ctx, pgx.ReadWrite, query, func(ctx context.Context, tx pgx.Tx, id string, marked bool) error {
		found, err := s.compare(ctx, tx, id, marked)
		if err == nil && !found { // whoever is killed before the database knows finds the mark again
			err = s.objects.put(ctx, markKey, "text/plain", []byte(id+"\n"))
		}
		if err != nil || marked {
			return err
		}
		_, err = tx.Exec(ctx, setMarked)
		return classify(err)
	})
	if err == nil {
		s.objects.marked.Store(true)
	}
	return err
}

// CheckImages returns what ClaimImages would, and writes nothing: it is for those who only read, who may be allowed no more.
func (s *Store) CheckImages(ctx context.Context) error {
	if s.objects == nil {
		return nil
	}
	return s.withImageStore(ctx, pgx.ReadOnly, imageStoreQuery,
		func(ctx context.Context, tx pgx.Tx, id string, marked bool) error {
			_, err := s.compare(ctx, tx, id, marked)
			return err
		})
}

const imageStoreQuery = `
SELECT s.id::text, s.marked
FROM image_stores s`

// withImageStore calls f in a transaction with what the database knows of its image store, and returns f's error as it is,
// or ErrImagesUnavailable where all takes too long.
func (s *Store) withImageStore(
	ctx context.Context, mode pgx.TxAccessMode, query string,
	f func(ctx context.Context, tx pgx.Tx, id string, marked bool) error,
) error {
	bounded, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	var failed error
	err := pgx.BeginTxFunc(bounded, s.pool, pgx.TxOptions{AccessMode: mode}, func(tx pgx.Tx) error {
		var id string
		var marked bool
		if err := tx.QueryRow(bounded, query).Scan(&id, &marked); err != nil {
			return err
		}
		failed = f(bounded, tx, id, marked)
		return failed
	})
	switch {
	case err != nil && bounded.Err() != nil && ctx.Err() == nil:
		return fmt.Errorf("%w: %w", ErrImagesUnavailable, err)
	case failed != nil:
		return failed
	}
	return classify(err)
}

// compare reports whether the store has the mark of the database with that ID. Where it has none it must have the images of
// the database, which has marked none yet.
func (s *Store) compare(ctx context.Context, tx pgx.Tx, id string, marked bool) (found bool, err error) {
	mark, err := s.objects.readMark(ctx)
	switch {
	case err != nil || mark == id:
		return mark == id, err
	case mark != "":
		return false, s.objects.refuse(id, "is another database's, all of whose images would be deleted")
	case marked:
		return false, s.objects.refuse(id, "has no "+markKey+", as a directory whose disk is not mounted")
	}
	some, err := s.hasImages(ctx, tx)
	if err == nil && !some {
		err = s.objects.refuse(id, "has not the images of this database, as a directory whose disk is not mounted")
	}
	return false, err
}

// hasImages tells whether the object store has what the rows say: that one image is lost does not mean that all are.
func (s *Store) hasImages(ctx context.Context, tx pgx.Tx) (bool, error) {
	const query = `
SELECT i.sha256
FROM inputs i
WHERE i.stored_in = 'objects'
LIMIT 10`
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return false, classify(err)
	}
	digests, err := pgx.CollectRows(rows, pgx.RowTo[Digest])
	if err != nil {
		return false, classify(err)
	}
	for _, digest := range digests {
		if found, err := s.objects.bucket.Exists(ctx, objectKey(digest)); found || err != nil {
			return found, objectError(ctx, err)
		}
	}
	return len(digests) == 0, nil
}

// readMark returns what the store is marked with; "" where it is not.
func (o *objects) readMark(ctx context.Context) (string, error) {
	r, err := o.bucket.NewReader(ctx, markKey, nil)
	if isMissing(err) {
		return "", nil
	}
	if err != nil {
		return "", objectError(ctx, err)
	}
	defer func() { _ = r.Close() }()
	text, err := io.ReadAll(io.LimitReader(r, markLength))
	return strings.TrimSpace(string(text)), objectError(ctx, err)
}

// refuse is the error of a store that is not the database's of that ID.
func (o *objects) refuse(id, what string) error {
	return fmt.Errorf("%w: %s %s (to use it all the same, give it a %s with the text %s)",
		ErrOtherImages, o.name, what, markKey, id)
}
