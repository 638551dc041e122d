package persistence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/gcsblob" // gs://
	_ "gocloud.dev/blob/s3blob"  // s3://
	"gocloud.dev/gcerrors"
)

// The ages of objects, by which writers and the collector agree without asking each other: see objects.
const (
	// refreshAge is that from which an object is written again before a row relies on it.
	refreshAge = 20 * time.Minute
	// relyTimeout bounds the time from looking at an object to handing over the row that relies on it.
	relyTimeout = 10 * time.Minute
	// CollectAge is the least age of an object that is collected.
	CollectAge = time.Hour
)

const (
	// transfers bound the images that are on their way to the object store at a time, or on their way from it.
	transfers = 64
	// refreshes bound those that are written again: each holds a connection to the database meanwhile.
	refreshes = 2
	// reachTimeout bounds the first look at an object store.
	reachTimeout = 15 * time.Second
)

// objects are image bytes in object storage: each image once, under its digest, written before a row that refers to it
// commits, so that a row always has its bytes.
//
// Nothing counts the rows of an object, and whoever writes one may be on another replica than the collector, which
// deletes those that no row refers to. Three things keep it from deleting what a row that is about to commit relies on:
//
//   - An object younger than refreshAge is relied on as it is. Its row is there within relyTimeout and a few seconds;
//     until CollectAge the collector leaves the object alone, and from then on it sees the row. What lies between, some
//     29 minutes, is for clocks that differ.
//   - An older one is written again, which makes it young, under a shared lock on its digest in the database. The
//     collector asks for the object's age and for its rows once more, and deletes it, under the exclusive lock: it
//     finds that the object is young, or the object is written after it was deleted.
//   - One that is not there is written without a lock: what has been deleted is not deleted again.
//
// What is left is a deletion that the store carries out late, after it was asked twice because an answer got lost.
type objects struct {
	bucket *blob.Bucket
	// name is that of the bucket, for the log.
	name string
	// directory is the bucket's on this machine; empty where it is elsewhere.
	directory string
	// marked: the bucket is known to have a mark.
	marked               atomic.Bool
	puts, gets, renewals lanes
	// probes bound the looks at the directory that are not for an image: each holds a thread where its disk hangs.
	probes lanes
}

// imageSchemes are those of the URLs of object stores.
var imageSchemes = []string{"s3", "gs", "azblob", "file"}

// CheckImagesURL returns an error where a URL cannot be that of an object store. It does not show the URL.
func CheckImagesURL(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("not a URL")
	}
	switch u.Scheme {
	case "s3", "gs", "azblob":
		if u.Host == "" {
			return fmt.Errorf("%s:// names no bucket", u.Scheme)
		}
	case "file":
		if u.Path == "" || u.Path == "/" {
			return errors.New("file:// names no directory: write file:///directory")
		}
	default:
		return fmt.Errorf("scheme %q is none of %s", u.Scheme, strings.Join(imageSchemes, ", "))
	}
	return nil
}

// openObjects opens the object store at a URL and looks whether it can be listed. Its errors are ErrImagesUnavailable.
func openObjects(ctx context.Context, text string) (*objects, error) {
	if err := CheckImagesURL(text); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrImagesUnavailable, err)
	}
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	o := &objects{
		name: bucketName(text), directory: directoryOf(text),
		puts: newLanes(transfers), gets: newLanes(transfers), renewals: newLanes(refreshes),
		probes: newLanes(1),
	}
	var err error
	if o.bucket, err = openBucket(ctx, text); err != nil {
		// The error may have the URL in it, and that a secret.
		return nil, fmt.Errorf("%w: %s", ErrImagesUnavailable, strings.ReplaceAll(err.Error(), text, "the URL"))
	}
	if _, _, err = o.bucket.ListPage(ctx, blob.FirstPageToken, 1, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrImagesUnavailable, err), o.bucket.Close())
	}
	return o, nil
}

// directoryOf is the directory that the URL of an object store names, as fileblob reads it; empty where it names none.
func directoryOf(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != fileblob.Scheme:
		return ""
	case u.Host == ".":
		return strings.TrimPrefix(u.Path, "/")
	}
	return u.Path
}

// bucketName is what the URL of an object store says of where it is, without its options, which may be secret.
func bucketName(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "the store"
	}
	name := directoryOf(text)
	if name == "" {
		name = u.Scheme + "://" + u.Host
	}
	if prefix := u.Query().Get("prefix"); prefix != "" {
		name += "/" + prefix
	}
	return name
}

func openBucket(ctx context.Context, text string) (*blob.Bucket, error) {
	if directoryOf(text) == "" {
		return blob.OpenBucket(ctx, text)
	}
	// Files beside their final names can be renamed to them whatever is mounted where, and have no files of attributes.
	var mux blob.URLMux
	mux.RegisterBucket(fileblob.Scheme, &fileblob.URLOpener{Options: fileblob.Options{
		NoTempDir: true, Metadata: fileblob.MetadataDontWrite, DirFileMode: 0o700,
	}})
	return mux.OpenBucket(ctx, text)
}

// objectPrefix begins the keys of all objects.
const objectPrefix = "sha256/"

// objectKey is where the image of a digest is: sha256/ab/cdef…. Listing a part of the bucket costs that part alone.
func objectKey(digest Digest) string {
	hex := digest.String()
	return objectPrefix + hex[:2] + "/" + hex[2:]
}

// reachable returns ErrImagesUnavailable where the object store does not answer.
func (o *objects) reachable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	err := o.directoryThere(ctx)
	if err == nil {
		_, _, err = o.list(ctx, objectPrefix+"00/", blob.FirstPageToken)
	}
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrImagesUnavailable, err)
}

// directoryThere returns an error where the bucket is a directory that has gone, or one whose disk has: it would be
// listed as empty, and new images would go to whatever is there instead.
func (o *objects) directoryThere(ctx context.Context) error {
	if o.directory == "" {
		return nil
	}
	if _, err := os.Stat(o.directory); err != nil || !o.marked.Load() {
		return err
	}
	found, err := o.bucket.Exists(ctx, markKey)
	if err == nil && !found {
		err = fmt.Errorf("%s has no %s any more", o.name, markKey)
	}
	return err
}

// get reads a whole image of so many bytes; the caller owns them. It returns ErrImageDamaged where they are others.
func (o *objects) get(ctx context.Context, digest Digest, size int) ([]byte, error) {
	if err := o.gets.enter(ctx); err != nil {
		return nil, err
	}
	defer o.gets.leave()
	r, err := o.open(ctx, digest, 0, int64(size))
	if err != nil {
		return nil, err
	}
	image := make([]byte, size)
	_, err = io.ReadFull(r, image)
	_ = r.Close()
	if errors.Is(err, ErrImageDamaged) {
		return nil, err
	}
	if err != nil {
		return nil, objectError(ctx, err)
	}
	return image, nil
}

// open reads an image of so many bytes from an offset on, which must be less. The caller must close it. It returns
// ErrImageDamaged where the object is gone or has another size; so does reading, where all is read and is not what was written.
//
// Of a part no more than the size is known to be right: the digest is that of the whole, and reading all of it for each
// part would cost more than what it finds. The stores have checksums of their own; of file:// that is the file system's.
func (o *objects) open(ctx context.Context, digest Digest, from, size int64) (io.ReadCloser, error) {
	r, err := o.bucket.NewRangeReader(ctx, objectKey(digest), from, -1, nil)
	switch {
	case isMissing(err):
		return nil, o.whyMissing(ctx, digest, err)
	case err != nil && from > 0:
		return nil, o.whyNoPart(ctx, digest, size, err)
	case err != nil:
		return nil, objectError(ctx, err)
	case r.Size() != size:
		return nil, errors.Join(otherSize(digest, r.Size(), size), r.Close())
	case from > 0:
		return r, nil
	}
	return &checkedReader{ReadCloser: r, digest: digest, sum: sha256.New(), left: size}, nil
}

// whyMissing is the error of an object that is not there: a store that still has its mark has lost it, another one is away.
func (o *objects) whyMissing(ctx context.Context, digest Digest, err error) error {
	if mark, markErr := o.readMark(ctx); markErr == nil && mark != "" {
		return fmt.Errorf("%w: there is no %s", ErrImageDamaged, objectKey(digest))
	}
	return objectError(ctx, err)
}

// whyNoPart is the error of a part that was not given: S3 refuses those that begin where a shortened object has ended.
func (o *objects) whyNoPart(ctx context.Context, digest Digest, size int64, err error) error {
	if attributes, attributesErr := o.bucket.Attributes(ctx, objectKey(digest)); attributesErr == nil &&
		attributes.Size != size {
		return otherSize(digest, attributes.Size, size)
	}
	return objectError(ctx, err)
}

// checkedReader reads an object from its beginning, and keeps its last bytes back where all are not what was written: who
// reads it never has the whole of it then.
type checkedReader struct {
	io.ReadCloser
	digest Digest
	sum    hash.Hash
	left   int64
}

// Read reads what follows.
func (r *checkedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	_, _ = r.sum.Write(p[:n]) // a hash never fails
	if r.left -= int64(n); r.left == 0 && n > 0 && !bytes.Equal(r.sum.Sum(nil), r.digest) {
		return 0, damaged(r.digest, "other bytes than were written")
	}
	return n, err
}

func otherSize(digest Digest, size, written int64) error {
	return damaged(digest, fmt.Sprintf("%d bytes instead of %d", size, written))
}

// damaged tells what is wrong with an object.
func damaged(digest Digest, what string) error {
	return fmt.Errorf("%w: %s has %s", ErrImageDamaged, objectKey(digest), what)
}

// put writes an object, or writes it again. It is durable when put returns.
func (o *objects) put(ctx context.Context, key, contentType string, content []byte) error {
	// Cancelling is what keeps a half written object from being finished.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options := blob.WriterOptions{ContentType: contentType, MaxConcurrency: 1}
	if o.directory == "" {
		return objectError(ctx, o.bucket.Upload(ctx, key, bytes.NewReader(content), &options))
	}
	if err := o.directoryThere(ctx); err != nil {
		return objectError(ctx, err)
	}
	var file *os.File
	options.BeforeWrite = func(as func(any) bool) error { as(&file); return nil }
	w, err := o.bucket.NewWriter(ctx, key, &options)
	if err != nil {
		return objectError(ctx, err)
	}
	if _, err = w.Write(content); err == nil {
		err = file.Sync()
	}
	if err != nil {
		cancel()
		_ = w.Close()
		return objectError(ctx, err)
	}
	if err = w.Close(); err == nil {
		err = syncDirectories(file.Name(), key)
	}
	return objectError(ctx, err)
}

// objectError puts what an object store says under ErrImagesUnavailable, unless it is the context's. Its text can name
// hosts and paths, so that it is for the log alone.
func objectError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", ErrImagesUnavailable, err)
}

func isMissing(err error) bool { return gcerrors.Code(err) == gcerrors.NotFound }
