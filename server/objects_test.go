package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sibyl/persistence"
	"sibyl/persistence/persistencetest"
	server "sibyl/server"
)

// TestImagesOverHTTP sends an image and parts of it from wherever it is.
func TestImagesOverHTTP(t *testing.T) {
	t.Parallel()
	for name, images := range map[string]func(*testing.T) string{
		"database": func(*testing.T) string { return "" },
		"file":     func(t *testing.T) string { return "file://" + t.TempDir() },
		"s3":       func(t *testing.T) string { return persistencetest.StartS3(t).URL },
	} {
		t.Run(name, func(t *testing.T) {
			url := server.ImagesURL(images(t))
			s := newServer(t, func(c *server.Config) { c.Images = url })
			file := digit()
			path := s.predictedImage(t, file)
			whole := s.fetch(t, path, http.Header{})
			if whole.StatusCode != 200 || !bytes.Equal(whole.body, file) ||
				!strings.Contains(whole.Header.Get("Content-Disposition"), "filename*=UTF-8''digit.png") ||
				whole.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%d, %d bytes, %v", whole.StatusCode, len(whole.body), whole.Header)
			}
			etag := whole.Header.Get("ETag")
			if same := s.fetch(t, path, http.Header{"If-None-Match": {etag}}); same.StatusCode != 304 {
				t.Errorf("the same: %d", same.StatusCode)
			}
			part := s.fetch(t, path, http.Header{"Range": {"bytes=10-19"}, "If-Range": {etag}})
			if part.StatusCode != 206 || !bytes.Equal(part.body, file[10:20]) {
				t.Errorf("a range: %d, %d bytes", part.StatusCode, len(part.body))
			}
			tail := s.fetch(t, path, http.Header{"Range": {"bytes=-7"}})
			if tail.StatusCode != 206 || !bytes.Equal(tail.body, file[len(file)-7:]) {
				t.Errorf("the end: %d, %d bytes", tail.StatusCode, len(tail.body))
			}
			several := s.fetch(t, path, http.Header{"Range": {"bytes=30-39,0-4,-3"}})
			if got := several.parts(t); len(got) != 3 || !bytes.Equal(got[0], file[30:40]) || !bytes.Equal(got[1], file[:5]) ||
				!bytes.Equal(got[2], file[len(file)-3:]) {
				t.Errorf("several ranges: %d, %v", several.StatusCode, got)
			}
		})
	}
}

// predictedImage predicts a file and returns the path of its image.
func (s *service) predictedImage(t *testing.T, file []byte) string {
	t.Helper()
	answer := s.predict(t, `mutation ($image: Upload!) { predict(image: $image) { input { image { url } } } }`, file)
	var predicted struct {
		Input struct{ Image struct{ URL string } }
	}
	if err := json.Unmarshal(answer.Data["predict"], &predicted); err != nil || predicted.Input.Image.URL == "" {
		t.Fatalf("%v: %+v", err, answer)
	}
	return predicted.Input.Image.URL
}

// fetched is an answer with its body.
type fetched struct {
	*http.Response
	body []byte
}

func (s *service) fetch(t *testing.T, path string, header http.Header) fetched {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
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

// parts are those of an answer to several ranges.
func (f fetched) parts(t *testing.T) (parts [][]byte) {
	t.Helper()
	_, parameters, err := mime.ParseMediaType(f.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	for r := multipart.NewReader(bytes.NewReader(f.body), parameters["boundary"]); ; {
		part, err := r.NextPart()
		if err != nil {
			return parts
		}
		body, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, body)
	}
}

// TestLostImages: while the object store is away, images and predictions are UNAVAILABLE, and nothing else is.
func TestLostImages(t *testing.T) {
	t.Parallel()
	s3 := persistencetest.StartS3(t)
	s := newServer(t, func(c *server.Config) { c.Images = server.ImagesURL(s3.URL) })
	path := s.predictedImage(t, digit())
	s3.Stop()
	if got := s.fetch(t, path, nil); got.StatusCode != 503 || got.Header.Get("Cache-Control") != "" ||
		strings.Contains(string(got.body), "127.0.0.1") {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if answer := s.predict(t, predictQuery, digit()); answer.Status != 503 || answer.code() != "UNAVAILABLE" {
		t.Errorf("%+v", answer)
	}
	if answer := s.query(t, `{ predictions { nodes { id input { image { url } } } } }`); len(answer.Errors) > 0 {
		t.Errorf("%+v", answer)
	}
	s3.Start(t)
	if got := s.fetch(t, path, nil); got.StatusCode != 200 {
		t.Errorf("back: %d", got.StatusCode)
	}
}

// TestDamagedAndLostImages: an object that is not what was stored is told, not sent, and an export that needs a store
// which is away does not begin.
func TestDamagedAndLostImages(t *testing.T) {
	dir := t.TempDir() + "/images"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, func(c *server.Config) { c.Images = server.ImagesURL("file://" + dir) })
	path := s.predictedImage(t, digit())
	export := func(images string) (status int, code string) {
		var answer result
		resp := s.export(t, http.MethodGet, "images", images)
		_ = json.NewDecoder(resp.Body).Decode(&answer)
		return resp.StatusCode, answer.code()
	}
	if status, _ := export("true"); status != 200 {
		t.Errorf("export: %d", status)
	}
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if status, code := export("true"); status != 503 || code != "UNAVAILABLE" {
		t.Errorf("export of lost images: %d %s", status, code)
	}
	if status, _ := export("false"); status != 200 {
		t.Errorf("export without images: %d", status)
	}
	if answer := s.predict(t, predictQuery, digit()); answer.Status != 503 || answer.code() != "UNAVAILABLE" {
		t.Errorf("%+v", answer)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	objects, err := filepath.Glob(dir + "/sha256/*/*")
	if err != nil || len(objects) != 1 {
		t.Fatal(objects, err)
	}
	if err := os.WriteFile(objects[0], []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := s.fetch(t, path, nil); got.StatusCode != 503 || got.Header.Get("Cache-Control") != "" ||
		!strings.Contains(string(got.body), "has not the image") {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if answer := s.query(t, `{ inputs { nodes { image { dataUrl } } } }`); answer.code() != "UNAVAILABLE" {
		t.Errorf("%+v", answer)
	}
}

// TestLargeDamagedImages: of an object of another size nothing is sent, and the answer with one that has changed ends
// before its last bytes, so that nobody takes it for the image.
func TestLargeDamagedImages(t *testing.T) {
	dir := t.TempDir()
	s := newServer(t, func(c *server.Config) { c.Images = server.ImagesURL("file://" + dir) })
	file := append(digit(), make([]byte, 3*persistence.ImagePiece)...) // decoders stop where the picture ends
	path := s.predictedImage(t, file)
	objects, err := filepath.Glob(dir + "/sha256/*/*")
	if err != nil || len(objects) != 1 {
		t.Fatal(objects, err)
	}
	changed := bytes.Clone(file)
	changed[len(changed)/2] ^= 1
	for name, row := range map[string]struct {
		object []byte
		asked  string
		status int
	}{
		"shortened":              {file[:len(file)-1], "", 503},
		"shortened, a part":      {file[:len(file)-1], "bytes=100-199", 503},
		"shortened, the end":     {file[:len(file)-1], "bytes=-1", 503},
		"longer, a part":         {append(bytes.Clone(file), 0), "bytes=100-199", 503},
		"changed":                {changed, "", 200},
		"changed, all as a part": {changed, "bytes=0-", 206},
	} {
		if err := os.WriteFile(objects[0], row.object, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if row.asked != "" {
			r.Header.Set("Range", row.asked)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != row.status {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
		if row.status == 503 {
			if err != nil || !strings.Contains(string(body), "has not the image") {
				t.Errorf("%s: %s, %v", name, body, err)
			}
		} else if !errors.Is(err, io.ErrUnexpectedEOF) || len(body) >= len(file) {
			t.Errorf("%s: %d of %d bytes, %v", name, len(body), len(file), err)
		}
	}
}

// TestOtherImages: a server does not start on an image store that is not the one that its database's images are in.
func TestOtherImages(t *testing.T) {
	t.Parallel()
	database, first, second := persistencetest.Database(t), t.TempDir(), t.TempDir()
	use := func(dir string) func(*server.Config) {
		return func(c *server.Config) {
			c.DatabaseURL, c.Images = server.DatabaseURL(database), server.ImagesURL("file://"+dir)
		}
	}
	path := newServer(t, use(first)).predictedImage(t, digit())
	c := server.DefaultConfig()
	c.Address, c.Data = "127.0.0.1:0", t.TempDir()
	use(second)(&c)
	if _, err := server.New(t.Context(), c, slog.New(slog.DiscardHandler)); err == nil ||
		!strings.HasPrefix(err.Error(), "--images: ") || !strings.Contains(err.Error(), second+" has no .sibyl") {
		t.Error(err)
	}
	if left, err := os.ReadDir(second); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	if got := newServer(t, use(first)).fetch(t, path, nil); got.StatusCode != 200 {
		t.Errorf("the right one: %d", got.StatusCode)
	}
}

// TestUnmountedImages: where the disk of the directory has gone, predictions are UNAVAILABLE and leave nothing, and the
// server is not ready.
func TestUnmountedImages(t *testing.T) {
	dir, disk := t.TempDir(), t.TempDir()+"/disk"
	s := newServer(t, func(c *server.Config) { c.Images = server.ImagesURL("file://" + dir) })
	if err := errors.Join(os.Rename(dir, disk), os.Mkdir(dir, 0o700)); err != nil { // a mount point is left
		t.Fatal(err)
	}
	if status, body := s.get(t, "/readyz"); status != 503 || !strings.Contains(body, "directory of images") ||
		strings.Contains(body, dir) {
		t.Errorf("%d %s", status, body)
	}
	if answer := s.predict(t, predictQuery, digit()); answer.Status != 503 || answer.code() != "UNAVAILABLE" {
		t.Errorf("%+v", answer)
	}
	if answer := s.query(t, `{ predictions { nodes { id } } }`); string(answer.Data["predictions"]) != `{"nodes":[]}` {
		t.Errorf("%+v", answer)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	if err := errors.Join(os.Remove(dir), os.Rename(disk, dir)); err != nil {
		t.Fatal(err)
	}
	if status, body := s.get(t, "/readyz"); status != 200 {
		t.Errorf("it is back: %d %s", status, body)
	}
	s.predictedImage(t, digit())
}

func TestUnreachableImages(t *testing.T) {
	c := server.DefaultConfig()
	c.Address, c.Data = "127.0.0.1:0", t.TempDir()
	c.DatabaseURL = server.DatabaseURL(persistencetest.Database(t))
	c.Images = server.ImagesURL("file://" + t.TempDir() + "/not/there")
	if _, err := server.New(t.Context(), c, slog.New(slog.DiscardHandler)); err == nil ||
		!strings.Contains(err.Error(), "--images") {
		t.Error(err)
	}
}
