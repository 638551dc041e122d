package transport

import (
	"io"
	"net/http"
	"slices"
	"strings"
)

const (
	// grant is how many bytes of the gate's budget a body takes at a time, so that it does not ask for each that it reads.
	grant = 64 << 10

	// firstBuffer and largestFirstBuffer bound what is allocated on the word of a header, before any byte has come; then
	// as many times what has come as growFirst says.
	firstBuffer        = 512
	largestFirstBuffer = 64 << 10
	growFirst          = 16

	// identity is the coding that a body may have, which is none.
	identity = "identity"
)

// body is a request's body, bounded by a limit and by the gate's budget.
type body struct {
	r       io.Reader // gives an error beyond the limit
	limit   int64
	share   *share
	granted int64 // of the budget and not yet used
}

// body opens the request's body. It is refused before a byte is read where its declared length is over the limit or
// over what the gate has left.
func (x *exchange) body(limit int64, tooLong *refusal) (b body, err error) {
	if coding := first(x.r.Header, "Content-Encoding"); coding != "" && !strings.EqualFold(coding, identity) {
		x.w.Header().Set("Accept-Encoding", identity) // RFC 9110, 15.5.16
		return b, unsupportedMediaType("A body must come without Content-Encoding.")
	}
	if x.r.ContentLength > limit {
		return b, tooLong
	}
	if !x.options.Gate.hasRoom(x.r.ContentLength) {
		return b, errTooManyBytes
	}
	return body{r: http.MaxBytesReader(x.w, x.r.Body, limit), limit: limit, share: &x.permit.share}, nil
}

// Read reads the body; its error is a refusal where the gate has no budget left.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.granted -= int64(n); b.granted < 0 {
		more, enough := b.share.take(-b.granted, grant)
		if !enough {
			return 0, errTooManyBytes
		}
		b.granted += more
	}
	return n, err
}

// takeRoom takes what is missing of the gate's budget for n bytes more. They count when there is memory for them, not
// when they come: many clients may announce what they do not send.
func (b *body) takeRoom(n int64) bool {
	missing := n - b.granted
	if missing <= 0 {
		return true
	}
	more, enough := b.share.take(missing, missing)
	b.granted += more
	return enough
}

// readAll reads the body to its end into one buffer, which grows until it has room for hint bytes, and then doubles.
func (b *body) readAll(hint int64) (data []byte, err error) {
	// One byte more than is wanted, so that the end is seen before the buffer has to grow.
	first := min(max(hint, firstBuffer), largestFirstBuffer, b.limit) + 1
	if !b.takeRoom(first) {
		return nil, errTooManyBytes
	}
	data = make([]byte, 0, first)
	for {
		if len(data) == cap(data) {
			more := growth(int64(len(data)), hint)
			if !b.takeRoom(more) {
				return nil, errTooManyBytes
			}
			data = slices.Grow(data, int(more))
		}
		n, err := b.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case err == io.EOF:
			return data, nil
		case err != nil:
			return nil, err
		}
	}
}

// growth is how much larger a full buffer becomes: many times as large, but no larger than is expected, and beyond that
// twice as large.
func growth(full, expected int64) int64 {
	if full <= expected {
		return min(full*(growFirst-1), expected+1-full)
	}
	return full
}
