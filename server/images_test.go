package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sibyl/persistence"
	"sibyl/server/transport"
)

// fakeImages is a store of one image.
type fakeImages struct {
	input    *persistence.Input
	image    []byte
	err      error
	imageErr error  // of the bytes alone
	reads    int    // of the bytes
	from     int64  // is where the last one began
	reading  func() // is called while the bytes are read; may be nil
	gate     *transport.Gate
}

func (f *fakeImages) Input(_ context.Context, id persistence.InputID) (*persistence.Input, error) {
	if f.err != nil {
		return nil, f.err
	}
	if id != f.input.ID {
		return nil, persistence.ErrNotFound
	}
	return f.input, nil
}

func (f *fakeImages) OpenImage(_ context.Context, _ persistence.InputID, from int64) (io.ReadSeekCloser, error) {
	f.reads++
	f.from = from
	if f.reading != nil {
		f.reading()
	}
	return struct {
		*bytes.Reader
		io.Closer
	}{bytes.NewReader(f.image), io.NopCloser(nil)}, f.imageErr
}

func newFakeImages() *fakeImages {
	image := []byte("0123456789")
	return &fakeImages{image: image, gate: transport.NewGate(1, 1000), input: &persistence.Input{
		ID: persistence.NewInputID(), ContentType: "image/png", ByteSize: len(image), SHA256: persistence.DigestOf(image),
	}}
}

func (f *fakeImages) get(method, id string, header http.Header) *http.Response {
	mux := http.NewServeMux()
	mux.Handle("GET /images/{id}", images{f, f.gate, slog.New(slog.DiscardHandler), time.Minute})
	r := httptest.NewRequest(method, "/images/"+id, nil)
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w.Result()
}

func TestImage(t *testing.T) {
	etag := `"` + newFakeImages().input.SHA256.String() + `"`
	for name, row := range map[string]struct {
		method, header, value string
		status, reads, length int
	}{
		"whole":               {"GET", "", "", 200, 1, 10},
		"head":                {"HEAD", "", "", 200, 0, 10},
		"range":               {"GET", "Range", "bytes=2-4", 206, 1, 3},
		"range to the end":    {"GET", "Range", "bytes=2-", 206, 1, 8},
		"range from the end":  {"GET", "Range", "bytes=-3", 206, 1, 3},
		"several ranges":      {"GET", "Range", "bytes=0-1,4-5", 206, 1, -1},
		"range in capitals":   {"GET", "Range", "Bytes=2-4", 206, 1, 3},
		"odd range":           {"GET", "Range", "bytes=x", 416, 1, -1}, // as nginx and Caddy answer it
		"range of pages":      {"GET", "Range", "pages=2-4", 200, 1, 10},
		"head, of pages":      {"HEAD", "Range", "pages=2-4", 200, 0, 10},
		"range of no unit":    {"GET", "Range", "2-4", 200, 1, 10},
		"range of nothing":    {"GET", "Range", "bytes", 200, 1, 10},
		"range of no bytes":   {"GET", "Range", "bytes=-0", 200, 1, 10},
		"range beyond":        {"GET", "Range", "bytes=20-", 416, 1, -1},
		"same":                {"GET", "If-None-Match", etag, 304, 0, -1},
		"same, weak, in list": {"GET", "If-None-Match", `"x", W/` + etag, 304, 0, -1},
		"any":                 {"GET", "If-None-Match", "*", 304, 0, -1},
		"other":               {"GET", "If-None-Match", `"x"`, 200, 1, 10},
		"odd":                 {"GET", "If-None-Match", "x", 200, 1, 10},
		"head, same":          {"HEAD", "If-None-Match", etag, 304, 0, -1},
		"wanted":              {"GET", "If-Match", `"x,y", ` + etag, 200, 1, 10},
		"any wanted":          {"HEAD", "If-Match", "*", 200, 0, 10},
		"wanted of nothing":   {"GET", "If-Match", "", 200, 1, 10},
		"other wanted":        {"GET", "If-Match", `"x"`, 412, 0, -1},
		"weak wanted":         {"HEAD", "If-Match", "W/" + etag, 412, 0, -1},
		"POST":                {"POST", "", "", 405, 0, -1},
	} {
		f := newFakeImages()
		resp := f.get(row.method, f.input.ID.String(), http.Header{row.header: {row.value}})
		if resp.StatusCode != row.status || f.reads != row.reads ||
			row.length >= 0 && resp.ContentLength != int64(row.length) {
			t.Errorf("%s: %d, %d reads, %d bytes", name, resp.StatusCode, f.reads, resp.ContentLength)
		}
		if row.status < 400 && resp.Header.Get("ETag") != etag {
			t.Errorf("%s: ETag %s", name, resp.Header.Get("ETag"))
		}
		if strings.HasPrefix(strings.ToLower(row.value), "bytes=2") && f.from != 2 && row.status == 206 {
			t.Errorf("%s: read from %d on", name, f.from)
		}
	}
}

func TestImageHeaders(t *testing.T) {
	f := newFakeImages()
	h := f.get("GET", f.input.ID.String(), nil).Header
	for name, want := range map[string]string{
		"Content-Type": "image/png", "Cache-Control": "private, max-age=31536000, immutable",
		"Content-Security-Policy": "default-src 'none'; sandbox", "Accept-Ranges": "bytes",
		"Content-Disposition": `inline; filename="` + f.input.ID.String() + `.png"`,
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestImageThatIsNotThere(t *testing.T) {
	for _, id := range []string{
		"x", "input_", "%2e%2e%2fetc", persistence.NewInputID().String(), persistence.NewPredictionID().String(),
		strings.Repeat("x", 10_000), "input_zzzzzzzzzzzzzzzzzzzzzzzzzz",
	} {
		if resp := newFakeImages().get("GET", id, nil); resp.StatusCode != 404 {
			t.Errorf("%s: %d", id, resp.StatusCode)
		}
	}
	f := newFakeImages()
	f.err = errors.New("secret")
	resp := f.get("GET", f.input.ID.String(), nil)
	body := make([]byte, 100)
	n, _ := resp.Body.Read(body)
	if resp.StatusCode != 503 || strings.Contains(string(body[:n]), "secret") {
		t.Errorf("%d %s", resp.StatusCode, body[:n])
	}
}

// TestImageConditions that come together: If-Match is looked at first, and each header may be there twice.
func TestImageConditions(t *testing.T) {
	etag := entityTag(newFakeImages().input)
	for name, row := range map[string]struct {
		wanted, kept []string
		status       int
	}{
		"another is wanted than is kept": {[]string{`"x"`}, []string{etag}, 412},
		"the one wanted is kept":         {[]string{etag}, []string{etag}, 304},
		"in the second header":           {[]string{`"x"`, etag}, []string{`"y"`}, 200},
		"kept by the second header":      {nil, []string{`"y"`, etag}, 304},
	} {
		f := newFakeImages()
		resp := f.get("GET", f.input.ID.String(), http.Header{"If-Match": row.wanted, "If-None-Match": row.kept})
		if resp.StatusCode != row.status {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
		if kept := resp.Header.Get("ETag") + resp.Header.Get("Cache-Control"); row.status == 412 && kept != "" {
			t.Errorf("%s: the error may be kept: %v", name, resp.Header)
		}
		if kind := resp.Header.Get("Content-Type"); row.status == 412 && kind != "text/plain; charset=utf-8" {
			t.Errorf("%s: %s", name, kind)
		}
	}
}

// TestRemovedImage: of an image whose bytes retention has removed nothing is confirmed that they would be needed for.
func TestRemovedImage(t *testing.T) {
	f := newFakeImages()
	f.input.StoredIn = persistence.StoredRemoved
	for _, method := range []string{"GET", "HEAD"} {
		for name, value := range map[string]string{"Accept": "*/*", "Range": "bytes=2-4", "If-None-Match": entityTag(f.input)} {
			resp := f.get(method, f.input.ID.String(), http.Header{name: {value}})
			if resp.StatusCode != 404 || f.reads != 0 || resp.Header.Get("ETag")+resp.Header.Get("Cache-Control") != "" {
				t.Errorf("%s, %s: %d, %d reads, %v", method, name, resp.StatusCode, f.reads, resp.Header)
			}
		}
	}
}

// TestImageErrorIsNotKept: an image is cached for a year, the answer that there is none now must not be.
func TestImageErrorIsNotKept(t *testing.T) {
	for err, status := range map[error]int{errors.New("secret"): 503, persistence.ErrNotFound: 404} {
		f := newFakeImages()
		f.imageErr = err
		resp := f.get("GET", f.input.ID.String(), nil)
		if resp.StatusCode != status {
			t.Errorf("%v: %d", err, resp.StatusCode)
		}
		for _, name := range []string{"Cache-Control", "ETag", "Content-Disposition"} {
			if got := resp.Header.Get(name); got != "" {
				t.Errorf("%v: %s: %s", err, name, got)
			}
		}
	}
}

// TestImageGivenUpIsNotEmpty: an answer without a body would be an image of no bytes.
func TestImageGivenUpIsNotEmpty(t *testing.T) {
	f := newFakeImages()
	f.imageErr = context.Canceled
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("recovered %v", v)
		}
	}()
	t.Errorf("answered %d", f.get("GET", f.input.ID.String(), nil).StatusCode)
}

// TestImageThatComesLate is no image, and no reason to wait for ever.
func TestImageThatComesLate(t *testing.T) {
	f := newFakeImages()
	h := images{lateImages{f}, f.gate, slog.New(slog.DiscardHandler), time.Millisecond}
	mux := http.NewServeMux()
	mux.Handle("GET /images/{id}", h)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/images/"+f.input.ID.String(), nil))
	if w.Code != 503 || w.Header().Get("Cache-Control") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// lateImages has images whose bytes never come.
type lateImages struct{ *fakeImages }

func (lateImages) OpenImage(ctx context.Context, _ persistence.InputID, _ int64) (io.ReadSeekCloser, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestDisposition(t *testing.T) {
	in := newFakeImages().input
	id := in.ID.String()
	for name, want := range map[string]string{
		"":                         "",
		"digit.png":                "digit.png",
		"Ziffer ä.PNG":             "Ziffer%20%C3%A4.PNG",
		`C:\\temp\\digit.png`:      "digit.png",
		"../../etc/passwd":         "passwd.png",
		"a/b/":                     "",
		"....":                     "",
		".htaccess":                "htaccess.png",
		"evil.exe":                 "evil.exe.png",
		"evil\u202egnp.exe":        "evilgnp.exe.png",
		"a\r\nX-Evil: 1\".png":     "aX-Evil%201.png",
		"it's (1); a=b,c@d*.png":   "it%27s%20%281%29%3B%20a%3Db%2Cc%40d.png",
		"a\x00\xff.png":            "a.png",
		"seven .png":               "seven.png",
		strings.Repeat("ä", 10000): strings.Repeat("%C3%A4", 100) + ".png",
	} {
		in.Filename = &name
		header := `inline; filename="` + id + `.png"`
		if want != "" {
			header += "; filename*=UTF-8''" + want
		}
		if got := disposition(in); got != header {
			t.Errorf("%.20q: %s, want %s", name, got, header)
		}
		kind, parameters, err := mime.ParseMediaType(disposition(in))
		if err != nil || kind != "inline" || parameters["filename"] == "" {
			t.Errorf("%.20q: %v, %v", name, parameters, err)
		}
	}
}

func FuzzSafeFilename(f *testing.F) {
	f.Add("digit.png")
	f.Add("../\u202e")
	f.Fuzz(func(t *testing.T, name string) {
		safe := safeFilename(name, ".png")
		if safe == "" {
			return
		}
		if !utf8.ValidString(safe) || len(safe) > 255 || !strings.HasSuffix(strings.ToLower(safe), ".png") ||
			strings.ContainsAny(safe, "/\\\x00\r\n\"") || strings.HasPrefix(safe, ".") {
			t.Errorf("%q: %q", name, safe)
		}
	})
}

func TestImagesPassTheGate(t *testing.T) {
	f := newFakeImages()
	f.gate = transport.NewGate(1, int64(len(f.image))*3/2)
	id, refused := f.input.ID.String(), 0
	f.reading = func() {
		f.reading = nil
		resp := f.get("GET", id, nil)
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || resp.Header.Get("Cache-Control") != "" {
			t.Errorf("no room: %d %v", resp.StatusCode, resp.Header)
		}
		refused++
		if resp := f.get("HEAD", id, nil); resp.StatusCode != 200 {
			t.Errorf("no room, HEAD: %d", resp.StatusCode)
		}
	}
	if resp := f.get("GET", id, nil); resp.StatusCode != 200 || refused != 1 {
		t.Errorf("%d, %d refused", resp.StatusCode, refused)
	}
	f.imageErr = errors.New("secret")
	f.get("GET", id, nil)
	f.imageErr = nil
	if resp := f.get("GET", id, nil); resp.StatusCode != 200 {
		t.Errorf("what it held was not given back: %d", resp.StatusCode)
	}
	f.gate.Close()
	reads := f.reads
	if resp := f.get("GET", id, nil); resp.StatusCode != 503 || f.reads != reads {
		t.Errorf("closed: %d, %d reads", resp.StatusCode, f.reads-reads)
	}
	if resp := f.get("GET", id, http.Header{"If-None-Match": {"*"}}); resp.StatusCode != 304 {
		t.Errorf("closed, kept by the client: %d", resp.StatusCode)
	}
}
