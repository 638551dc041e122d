package compress

import (
	"bytes"
	"io"
	"net/http"
	"runtime"
	"strconv"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// least is the size from which on an answer is worth it: a smaller one goes in one packet either way, and takes 10 µs.
	least = 1400
	// most is the size up to which it is: larger ones are images in Base64 for the most part, of which little goes away,
	// and both forms are in memory.
	most = 4 << 20
	// window is how far back zstd looks for what it has seen. Rows of a list repeat one another within a kilobyte, and
	// with it an encoder takes 0.8 MB, as one of gzip does.
	window = 128 << 10
	// worthwhile is the part of its size that a file must lose.
	worthwhile = 8
)

// Answer returns the parts of an answer in the coding, or as they are where that is not worth it, and sets the headers
// that say so, with its length. Safe for concurrent use: as many are compressed at a time as there are cores, others
// wait for those.
func (c Coding) Answer(h http.Header, parts ...[]byte) [][]byte {
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	if c != Identity && size >= least && size <= most {
		p := pools[c]
		e := p.take()
		defer p.giveBack(e)
		encoded := encode(e, size/4, parts...)
		parts, size = [][]byte{encoded}, len(encoded)
		c.Describe(h)
	}
	h.Set("Content-Length", strconv.Itoa(size))
	return parts
}

// File returns the content of a file in the coding, as small as it gets; nil where that is not worth it.
func (c Coding) File(content []byte) []byte {
	var e encoder
	switch c {
	case Gzip:
		e, _ = gzip.NewWriterLevel(nil, gzip.BestCompression)
	case Zstd:
		e, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1))
	default:
		return nil
	}
	encoded := encode(e, len(content)/4, content)
	if len(encoded) > len(content)-len(content)/worthwhile {
		return nil
	}
	return encoded
}

// Stream returns what writes to w in the coding, in small pieces. What is written is whole when it has been closed,
// which does not close w; until then it may be left alone.
func (c Coding) Stream(w io.Writer) io.WriteCloser {
	if c == Identity {
		return plain{w}
	}
	e := newEncoder(c)
	e.Reset(w)
	return e
}

// plain is a stream without a coding.
type plain struct{ io.Writer }

// Close does nothing.
func (plain) Close() error { return nil }

// encoder is what the encoders of both codings have in common.
type encoder interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// newEncoder makes the fast one of a coding. It starts no goroutine.
func newEncoder(c Coding) encoder {
	// Both fail only where there is no such level or option.
	if c == Gzip {
		e, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
		return e
	}
	e, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
	return e
}

// encode returns the parts, one after the other, as the encoder has them; they may take about as much as guess says.
func encode(e encoder, guess int, parts ...[]byte) []byte {
	var encoded bytes.Buffer
	encoded.Grow(guess)
	e.Reset(&encoded)
	for _, part := range parts {
		_, _ = e.Write(part) // memory takes everything
	}
	_ = e.Close()
	e.Reset(nil)
	return encoded.Bytes()
}

// pool keeps the encoders for answers, of which there may be as many as cores: those that are not made yet are nil.
type pool struct {
	coding   Coding
	encoders chan encoder
}

// pools are those of the codings.
var pools = map[Coding]pool{Gzip: newPool(Gzip), Zstd: newPool(Zstd)}

func newPool(c Coding) pool {
	p := pool{c, make(chan encoder, runtime.GOMAXPROCS(0))}
	for range cap(p.encoders) {
		p.encoders <- nil
	}
	return p
}

func (p pool) take() encoder {
	if e := <-p.encoders; e != nil {
		return e
	}
	return newEncoder(p.coding)
}

func (p pool) giveBack(e encoder) { p.encoders <- e }
