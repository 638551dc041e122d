package persistence

import (
	"bytes"
	"context"
	"errors"
	"io"
)

// ImagePiece is how much of an image in the database is held at a time while it is read in order.
const ImagePiece = 1 << 20

// maxOffset is beyond every image, and PostgreSQL can add to it.
const maxOffset = 1 << 30

// OpenImage reads the bytes of an input from anywhere in them, without holding them all. What is read first is from an
// offset on, so that it is known to be there when OpenImage returns: its errors are those of Image. Later reads fail
// where the input is deleted meanwhile. An object that is damaged is told at once where it is no larger than ImagePiece
// or has another size; else the last read of a whole image fails, and parts of one are given as they are. The caller must
// close it; ctx counts until then. It is not safe for concurrent use.
func (s *Store) OpenImage(ctx context.Context, id InputID, from int64) (io.ReadSeekCloser, error) {
	from = min(max(from, 0), maxOffset)
	at, err := s.imagePiece(ctx, id, from)
	if err != nil {
		return nil, err
	}
	r := &imageReader{size: int64(at.size), offset: min(from, int64(at.size))}
	if at.storedIn == StoredInDatabase {
		r.open = func(from int64) (io.ReadCloser, error) { return s.pieces(ctx, id, from), nil }
		rest := s.pieces(ctx, id, from+int64(len(at.piece)))
		rest.piece = at.piece
		r.current, r.at = rest, r.offset
		return r, nil
	}
	if err := s.reach(at); err != nil {
		return nil, err
	}
	r.open = func(from int64) (io.ReadCloser, error) { return s.objects.open(ctx, at.digest, from, r.size) }
	if at.size <= ImagePiece { // seen whole before any of it is sent, whatever part is wanted
		image, err := s.objects.get(ctx, at.digest, at.size)
		if err != nil {
			return nil, err
		}
		r.open = func(from int64) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(image[from:])), nil }
	}
	return r, r.seekTo(r.offset)
}

// imagePiece says where an image is, and reads a piece of it where that is the database.
func (s *Store) imagePiece(ctx context.Context, id InputID, from int64) (at place, err error) {
	const query = `
SELECT i.stored_in, i.sha256, i.byte_size, substr(i.image, $2, $3)
FROM inputs i
WHERE i.id = $1`
	err = s.pool.QueryRow(ctx, query, id, from+1, ImagePiece).Scan(&at.storedIn, &at.digest, &at.size, &at.piece)
	return at, classify(err)
}

// imageReader reads an image that is read in order from wherever it is opened.
type imageReader struct {
	// open reads from an offset on.
	open         func(from int64) (io.ReadCloser, error)
	size, offset int64
	// current is open, and gives what is at an offset next; nil where nothing is.
	current io.ReadCloser
	at      int64
}

// Read reads what follows.
func (r *imageReader) Read(p []byte) (int, error) {
	if r.offset >= r.size {
		return 0, io.EOF
	}
	if r.current == nil || r.at != r.offset {
		if err := r.seekTo(r.offset); err != nil {
			return 0, err
		}
	}
	n, err := r.current.Read(p[:min(int64(len(p)), r.size-r.offset)])
	r.offset += int64(n)
	r.at = r.offset
	if err == io.EOF && r.offset < r.size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// seekTo opens what is at an offset.
func (r *imageReader) seekTo(offset int64) (err error) {
	if err = r.Close(); err == nil && offset < r.size {
		r.current, err = r.open(offset)
	}
	r.at = offset
	return err
}

// Seek moves to where the next Read begins, and touches nothing.
func (r *imageReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("image: before its beginning")
	}
	r.offset = offset
	return offset, nil
}

// Close ends reading. It may be called twice.
func (r *imageReader) Close() error {
	if r.current == nil {
		return nil
	}
	current := r.current
	r.current = nil
	return current.Close()
}

// pieces reads an image in the database piece by piece. No connection is held between them.
type pieces struct {
	piece []byte // what is left of one
	// next reads another; none is left where it is empty.
	next func() ([]byte, error)
}

func (s *Store) pieces(ctx context.Context, id InputID, from int64) *pieces {
	return &pieces{next: func() ([]byte, error) {
		at, err := s.imagePiece(ctx, id, from)
		if err == nil && at.storedIn != StoredInDatabase {
			err = ErrImageRemoved // meanwhile
		}
		from += int64(len(at.piece))
		return at.piece, err
	}}
}

// Read reads what follows.
func (p *pieces) Read(b []byte) (n int, err error) {
	if len(p.piece) == 0 {
		if p.piece, err = p.next(); err != nil {
			return 0, err
		}
		if len(p.piece) == 0 {
			return 0, io.EOF
		}
	}
	n = copy(b, p.piece)
	p.piece = p.piece[n:]
	return n, nil
}

// Close does nothing.
func (*pieces) Close() error { return nil }
