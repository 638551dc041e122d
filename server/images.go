package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sibyl/graph"
	"sibyl/persistence"
	"sibyl/server/transport"
)

// imageStore is what images are read from.
type imageStore interface {
	Input(ctx context.Context, id persistence.InputID) (*persistence.Input, error)
	OpenImage(ctx context.Context, id persistence.InputID, from int64) (io.ReadSeekCloser, error)
}

// images serves the stored bytes of inputs at /images/{id}. They never change, so nothing is sent
// twice to a client that keeps it.
type images struct {
	store  imageStore
	gate   *transport.Gate // bounds the bytes that are held for clients to read
	logger *slog.Logger
	// timeout bounds the time until the first bytes are there.
	timeout time.Duration
}

// ServeHTTP answers GET and HEAD.
func (h images) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, err := persistence.ParseInputID(r.PathValue("id"))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	late := time.AfterFunc(h.timeout, func() { cancel(context.DeadlineExceeded) })
	defer late.Stop()
	input, err := h.store.Input(ctx, id)
	if err == nil && input.StoredIn == persistence.StoredRemoved {
		err = persistence.ErrImageRemoved // also where no bytes are to be read
	}
	if err != nil {
		h.fail(w, r, or(context.Cause(ctx), err))
		return
	}
	etag := entityTag(input)
	wanted, kept := tags(r.Header, "If-Match"), tags(r.Header, "If-None-Match")
	switch { // in the order of RFC 9110, section 13.2.2
	case wanted != "" && !lists(wanted, etag):
		http.Error(w, "the image is another", http.StatusPreconditionFailed)
	case lists(kept, etag) || lists(kept, "W/"+etag): // the comparison is weak here, and strong above
		describeImage(w.Header(), input)
		w.WriteHeader(http.StatusNotModified)
	default:
		h.send(ctx, w, r, input, late)
	}
}

// send sends the image of an input. The bytes are read from storage only where they are sent, and while they are; late
// is stopped when the first are there.
func (h images) send(
	ctx context.Context, w http.ResponseWriter, r *http.Request, input *persistence.Input, late *time.Timer,
) {
	part := byteRange(r)
	content := io.ReadSeeker(io.NewSectionReader(nil, 0, int64(input.ByteSize))) // HEAD needs its size alone
	if r.Method == http.MethodGet {
		release, err := h.gate.Reserve(min(int64(input.ByteSize), persistence.ImagePiece))
		if err != nil {
			unavailable(w, err.Error())
			return
		}
		defer release()
		image, err := h.store.OpenImage(ctx, input.ID, rangeBegin(part.Header.Get("Range"), int64(input.ByteSize)))
		if err != nil {
			h.fail(w, r, or(context.Cause(ctx), err))
			return
		}
		defer func() { _ = image.Close() }()
		content = image
	}
	late.Stop()
	// Only now: an error must not be kept for a year.
	describeImage(w.Header(), input)
	seen := &failureSeen{ReadSeeker: content}
	http.ServeContent(w, part, "", time.Time{}, seen)
	if seen.err == nil {
		return
	}
	if r.Context().Err() == nil {
		h.logger.LogAttrs(ctx, slog.LevelError, "image broken off",
			slog.String("request_id", graph.RequestID(ctx)), slog.Any("error", seen.err))
	}
	// The answer is short of what its header says. HTTP/2 would end it in order all the same.
	panic(http.ErrAbortHandler)
}

// failureSeen keeps the error of a read, which http.ServeContent does not tell.
type failureSeen struct {
	io.ReadSeeker
	err error
}

// Read reads what follows.
func (s *failureSeen) Read(p []byte) (int, error) {
	n, err := s.ReadSeeker.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// or returns the first error that there is.
func or(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// byteRange is what http.ServeContent is to see of a request whose other conditions have been looked at: its Range as
// net/http reads it, without one of another unit than bytes, which is to be ignored, and with the unit in lower case, which
// it may not be (RFC 9110, sections 14.1 and 14.2). net/http refuses both. The last none of the bytes are ignored too:
// net/http answers them with a Content-Range that ends before it begins.
func byteRange(r *http.Request) *http.Request {
	part := &http.Request{Method: r.Method, Header: http.Header{}}
	unit, ranges, hasUnit := strings.Cut(r.Header.Get("Range"), "=")
	if hasUnit && strings.EqualFold(unit, "bytes") && strings.Trim(ranges, " \t,") != "-0" {
		part.Header.Set("Range", "bytes="+ranges)
		part.Header.Set("If-Range", r.Header.Get("If-Range"))
	}
	return part
}

// rangeBegin is where the bytes that a Range header asks for begin, as far as is seen at once: it saves reading others.
func rangeBegin(header string, size int64) int64 {
	begin, _, _ := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
	n, err := strconv.ParseInt(strings.TrimSpace(begin), 10, 64)
	if err != nil || n < 0 || n >= size {
		return 0
	}
	return n
}

// describeImage sets the headers of an image. Somebody sent it, so a browser must take it for nothing but an image:
// it is never sniffed, and runs nothing even where it is opened by itself.
func describeImage(h http.Header, input *persistence.Input) {
	h.Set("Content-Type", input.ContentType)
	h.Set("ETag", entityTag(input))
	// Private: images are of people, and no cache between here and them is asked whether they may see one.
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	h.Set("Content-Disposition", disposition(input))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// entityTag is the image's SHA-256: other bytes have another.
func entityTag(input *persistence.Input) string { return `"` + input.SHA256.String() + `"` }

// tags are the entity tags of a header, which may be there more than once.
func tags(h http.Header, name string) string { return strings.Join(h.Values(name), ",") }

// lists reports whether a list of entity tags has the one, or stands for all. A comma in another's quotes does no harm:
// the one has none.
func lists(tags, etag string) bool {
	for tag := range strings.SplitSeq(tags, ",") {
		if tag = strings.TrimSpace(tag); tag == etag || tag == "*" {
			return true
		}
	}
	return false
}

// fail answers what the store could not give, without its reasons.
func (h images) fail(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, persistence.ErrNotFound):
		http.NotFound(w, r)
	case errors.Is(err, context.Canceled):
		// The client has gone, or the server goes: to answer nothing would be an empty image.
		panic(http.ErrAbortHandler)
	default:
		message := "the image cannot be read now"
		if errors.Is(err, persistence.ErrImageDamaged) {
			message = "the image store has not the image that was stored"
		}
		h.logger.LogAttrs(r.Context(), slog.LevelError, "image not read",
			slog.String("request_id", graph.RequestID(r.Context())), slog.Any("error", err))
		unavailable(w, message)
	}
}

// unavailable answers 503: ask again soon.
func unavailable(w http.ResponseWriter, message string) {
	transport.Explain(w.Header(), http.StatusServiceUnavailable)
	http.Error(w, message, http.StatusServiceUnavailable)
}
