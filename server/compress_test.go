package main_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// decoded is what is in an answer's body.
func (f fetched) decoded(t *testing.T) string {
	t.Helper()
	var r io.Reader = bytes.NewReader(f.body)
	var err error
	switch f.Header.Get("Content-Encoding") {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// send sends a request with headers, and reads the answer without decoding it.
func (s *service) send(t *testing.T, method, path string, headers ...string) fetched {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fetched{resp, body}
}

func asked(document string) string { return "/graphql?query=" + url.QueryEscape(document) }

// TestAnswersAreCompressed as their client likes it.
func TestAnswersAreCompressed(t *testing.T) {
	s := newServer(t)
	path := asked(`{__schema{types{name description fields{name description}}}}`)
	plain := s.send(t, http.MethodGet, path)
	if coding, given := plain.Header["Content-Encoding"]; given || len(plain.body) < 10_000 {
		t.Fatalf("%s, %d bytes", coding, len(plain.body))
	}
	for accepted, want := range map[string]string{
		"gzip, deflate, br, zstd": "zstd", "zstd;q=0.5, gzip": "gzip", "gzip;q=0": "", "br": "", "identity, gzip;q=0.1": "",
	} {
		got := s.send(t, http.MethodGet, path, "Accept-Encoding", accepted)
		small := len(got.body) < len(plain.body)/2
		if coding := got.Header.Get("Content-Encoding"); coding != want || small != (want != "") {
			t.Errorf("%s: %q, %d of %d bytes", accepted, coding, len(got.body), len(plain.body))
		}
		if got.Header.Get("Content-Length") != strconv.Itoa(len(got.body)) || got.decoded(t) != string(plain.body) {
			t.Errorf("%s: another length, or another text", accepted)
		}
		if vary := strings.Join(got.Header.Values("Vary"), ", "); vary != "Accept, Accept-Encoding" {
			t.Errorf("%s: Vary %s", accepted, vary)
		}
	}
}

// TestWhatIsNotCompressed is small, a stream, or compressed already.
func TestWhatIsNotCompressed(t *testing.T) {
	s := newServer(t)
	image := s.predictedImage(t, digit())
	for _, row := range []struct {
		method, path string
		headers      []string
		status       int
	}{
		{"GET", asked("{__typename}"), nil, 200},
		{"GET", asked("{__schema{types{name description}}}"), []string{"Accept", "text/event-stream"}, 200},
		{"HEAD", asked("{__typename}"), nil, 405},
		{"GET", image, nil, 200},
		{"HEAD", image, nil, 200},
		{"GET", "/export?format=parquet", nil, 200},
		{"GET", "/export?format=xml", nil, 400},
		{"GET", "/healthz", nil, 200},
		{"GET", "/nowhere", nil, 404},
	} {
		got := s.send(t, row.method, row.path, append(row.headers, "Accept-Encoding", "gzip, zstd")...)
		if coding, given := got.Header["Content-Encoding"]; given || got.StatusCode != row.status {
			t.Errorf("%s %s: %d, %s", row.method, row.path, got.StatusCode, coding)
		}
	}
}

// TestPageIsCompressed and has an ETag for each form.
func TestPageIsCompressed(t *testing.T) {
	s := newServer(t)
	const path = "/style.css"
	plain := s.send(t, http.MethodGet, path)
	etags := map[string]bool{plain.Header.Get("ETag"): true}
	for _, coding := range []string{"gzip", "zstd"} {
		got := s.send(t, http.MethodGet, path, "Accept-Encoding", coding)
		etag := got.Header.Get("ETag")
		if got.Header.Get("Content-Encoding") != coding || len(got.body) > len(plain.body)/2 ||
			got.decoded(t) != string(plain.body) || etags[etag] || got.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %d of %d bytes, %v", coding, len(got.body), len(plain.body), got.Header)
		}
		etags[etag] = true
		again := s.send(t, http.MethodGet, path, "Accept-Encoding", coding, "If-None-Match", etag)
		if again.StatusCode != http.StatusNotModified || len(again.body) > 0 || again.Header.Get("ETag") != etag {
			t.Errorf("%s, again: %d %v", coding, again.StatusCode, again.Header)
		}
		head := s.send(t, http.MethodHead, path, "Accept-Encoding", coding)
		for _, h := range []http.Header{head.Header, got.Header} {
			for _, name := range []string{"Date", "X-Request-Id", "Content-Length"} { // HEAD may leave that out
				h.Del(name)
			}
		}
		if !maps.EqualFunc(head.Header, got.Header, slices.Equal) {
			t.Errorf("HEAD: %v\nGET: %v", head.Header, got.Header)
		}
		part := s.send(t, http.MethodGet, path, "Accept-Encoding", coding, "Range", "bytes=2-5")
		if part.StatusCode != http.StatusPartialContent || !bytes.Equal(part.body, got.body[2:6]) {
			t.Errorf("%s, a range: %d %q", coding, part.StatusCode, part.body)
		}
	}
}

// TestExportsAreCompressed while they are written, and one that breaks off is seen to.
func TestExportsAreCompressed(t *testing.T) {
	s, _ := filledServer(t)
	for _, format := range []string{"jsonl", "csv"} {
		path := "/export?format=" + format
		plain := s.send(t, http.MethodGet, path)
		for _, coding := range []string{"gzip", "zstd"} {
			got := s.send(t, http.MethodGet, path, "Accept-Encoding", coding)
			if got.Header.Get("Content-Encoding") != coding || got.Header.Get("Vary") != "Accept-Encoding" ||
				len(got.body) > len(plain.body)/2 || got.decoded(t) != string(plain.body) {
				t.Errorf("%s, %s: %d of %d bytes, %v", format, coding, len(got.body), len(plain.body), got.Header)
			}
			empty := s.send(t, http.MethodGet, path+"&filter={%22model%22:%22none%22}", "Accept-Encoding", coding)
			if text := empty.decoded(t); empty.Header.Get("Content-Encoding") != coding || strings.Count(text, "\n") > 1 {
				t.Errorf("%s, %s, empty: %v %s", format, coding, empty.Header, text)
			}
		}
	}
}

// TestBrokenCompressedExport holds more than sockets do, so that it can break off while it is read.
func TestBrokenCompressedExport(t *testing.T) {
	t.Parallel()
	s, db := filledServer(t)
	if _, err := db.Exec(t.Context(), `UPDATE inputs SET image =
  (SELECT string_agg(sha256((inputs.id::text || n)::bytea), '') FROM generate_series(1, 3125) n)`); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/export?images=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "gzip")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	file, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(file, make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(t.Context(), `ALTER TABLE inputs RENAME TO gone`); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, file); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d bytes, then %v", n, err)
	}
}
