package compress_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"sibyl/server/compress"
)

func TestNegotiate(t *testing.T) {
	for accept, want := range map[string]compress.Coding{
		"":                                  compress.Identity,
		"gzip":                              compress.Gzip,
		"zstd":                              compress.Zstd,
		"gzip, deflate, br, zstd":           compress.Zstd,
		"GZIP":                              compress.Gzip,
		"x-gzip":                            compress.Gzip,
		"deflate, br":                       compress.Identity,
		"*":                                 compress.Identity,
		"gzip;q=0":                          compress.Identity,
		"gzip;q=0.000, zstd;q=0":            compress.Identity,
		"zstd;q=0, gzip":                    compress.Gzip,
		"zstd;q=0.5, gzip;q=0.8":            compress.Gzip,
		"zstd ; q=0.8 , gzip;q=0.5":         compress.Zstd,
		"zstd;Q=0.4,gzip;q=0.4":             compress.Zstd,
		"identity, gzip;q=0.5":              compress.Identity,
		"identity;q=0.5, gzip;q=0.5":        compress.Gzip,
		"identity;q=0, gzip;q=0.001":        compress.Gzip,
		"identity;q=0":                      compress.Identity,
		"gzip;q=2":                          compress.Identity,
		"gzip;q=NaN":                        compress.Identity,
		"gzip;q=-1":                         compress.Identity,
		"gzip;level=9":                      compress.Identity,
		"gzip;":                             compress.Gzip,
		";q=1,,gzip;q=":                     compress.Identity,
		strings.Repeat("br,", 100) + "gzip": compress.Gzip,
	} {
		answer := http.Header{"Vary": {"Accept"}}
		if got := compress.Negotiate(http.Header{"Accept-Encoding": {accept}}, answer); got != want {
			t.Errorf("%s: %q, want %q", accept, got, want)
		}
		if vary := strings.Join(answer.Values("Vary"), ", "); vary != "Accept, Accept-Encoding" {
			t.Errorf("%s: Vary %s", accept, vary)
		}
	}
	several := http.Header{"Accept-Encoding": {"br", "gzip"}}
	if got := compress.Negotiate(several, http.Header{}); got != compress.Gzip {
		t.Errorf("several headers: %q", got)
	}
	if got := compress.Negotiate(http.Header{}, http.Header{}); got != compress.Identity {
		t.Errorf("no header: %q", got)
	}
}

// decode reads what is in a coding.
func decode(t *testing.T, coding string, encoded []byte) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(encoded)
	var err error
	switch coding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r, zstd.WithDecoderMaxWindow(8<<20)) // as much as RFC 9659 lets clients bound it to
	}
	if err != nil {
		t.Error(err)
		return nil
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return content
}

// text is one in which something repeats, and something does not.
func text(size int) []byte {
	var b bytes.Buffer
	for random := rand.New(rand.NewPCG(1, 2)); b.Len() < size; {
		fmt.Fprintf(&b, `{"id":"prediction_%x","className":"7"},`, random.Uint64())
	}
	return b.Bytes()[:size]
}

// TestAnswer compresses answers of all sizes at the same time, of which those in the middle become smaller.
func TestAnswer(t *testing.T) {
	var all sync.WaitGroup
	longest := text(4<<20 + 1)
	for _, coding := range []compress.Coding{compress.Identity, compress.Gzip, compress.Zstd} {
		for _, size := range []int{0, 1, 1399, 1400, 10_000, 300_000, 4 << 20, 4<<20 + 1} {
			all.Go(func() {
				want, h := longest[:size], http.Header{}
				parts := coding.Answer(h, want[:size/3], nil, want[size/3:])
				got := bytes.Join(parts, nil)
				small := coding != compress.Identity && size >= 1400 && size <= 4<<20
				if smaller := len(got) < size/2; smaller != small && size > 1 {
					t.Errorf("%s: %d of %d bytes", coding, len(got), size)
				}
				said := h.Get("Content-Encoding")
				if h.Get("Content-Length") != fmt.Sprint(len(got)) {
					t.Errorf("%s: %s bytes of %d", coding, h.Get("Content-Length"), len(got))
				}
				if (said == string(coding)) != (small || coding == "") || !bytes.Equal(decode(t, said, got), want) {
					t.Errorf("%s, %d bytes: it is said to be %q, or another text", coding, size, said)
				}
			})
		}
	}
	all.Wait()
}

func TestFile(t *testing.T) {
	random := make([]byte, 50_000)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	for _, coding := range []compress.Coding{compress.Gzip, compress.Zstd} {
		want := text(200_000)
		got := coding.File(want)
		if len(got) == 0 || len(got) > len(want)/2 || !bytes.Equal(decode(t, string(coding), got), want) {
			t.Errorf("%s: %d of %d bytes, or another text", coding, len(got), len(want))
		}
		for name, content := range map[string][]byte{"random": random, "empty": nil, "short": []byte("abc")} {
			if got := coding.File(content); got != nil {
				t.Errorf("%s: %d bytes of what is %s", coding, len(got), name)
			}
		}
	}
	if got := compress.Identity.File(text(10_000)); got != nil {
		t.Errorf("no coding: %d bytes", len(got))
	}
}

func TestStream(t *testing.T) {
	want := text(400_000)
	for _, coding := range []compress.Coding{compress.Identity, compress.Gzip, compress.Zstd} {
		var out bytes.Buffer
		w := coding.Stream(&out)
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 64<<10)
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		before := out.Len()
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if before == 0 || !bytes.Equal(decode(t, string(coding), out.Bytes()), want) {
			t.Errorf("%s: nothing came before the end, or another text", coding)
		}
	}
}

// BenchmarkAnswer compresses answers of one packet, of a list of 20, and of one of 1,000.
func BenchmarkAnswer(b *testing.B) {
	for _, size := range []int{1400, 5 << 10, 256 << 10} {
		parts := [][]byte{text(size)}
		for _, coding := range []compress.Coding{"identity", compress.Gzip, compress.Zstd} {
			b.Run(fmt.Sprintf("%s/%d", coding, size), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				request, answer := http.Header{"Accept-Encoding": {string(coding)}}, http.Header{}
				for b.Loop() {
					clear(answer)
					compress.Negotiate(request, answer).Answer(answer, parts...)
				}
				if got := answer.Get("Content-Encoding"); got != strings.TrimPrefix(string(coding), "identity") {
					b.Errorf("it was compressed with %q", got)
				}
			})
		}
	}
}
