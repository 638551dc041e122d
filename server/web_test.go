package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ask gives the answer of a handler to a request of the given method.
func ask(h http.Handler, method, path string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestPageFiles(t *testing.T) {
	h := pageHandler(true)
	for path, want := range map[string]struct {
		status      int
		contentType string
	}{
		"/":                   {http.StatusOK, "text/html; charset=utf-8"},
		"/app.js":             {http.StatusOK, "text/javascript; charset=utf-8"},
		"/style.css":          {http.StatusOK, "text/css; charset=utf-8"},
		"/mark.svg":           {http.StatusOK, "image/svg+xml"},
		"/index.html":         {http.StatusNotFound, "text/plain; charset=utf-8"},
		"/playground.js":      {http.StatusNotFound, "text/plain; charset=utf-8"},
		"/screenshot.png":     {http.StatusNotFound, "text/plain; charset=utf-8"},
		"/test/page.test.mjs": {http.StatusNotFound, "text/plain; charset=utf-8"},
		"/app.js/":            {http.StatusNotFound, "text/plain; charset=utf-8"},
		"/../web.go":          {http.StatusNotFound, "text/plain; charset=utf-8"},
		"//app.js":            {http.StatusNotFound, "text/plain; charset=utf-8"},
	} {
		resp := ask(h, http.MethodGet, path)
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != want.status || got != want.contentType {
			t.Errorf("%s: %d %s, want %d %s", path, resp.StatusCode, got, want.status, want.contentType)
		}
	}
}

func TestPageHeaders(t *testing.T) {
	h := pageHandler(true)
	resp := ask(h, http.MethodGet, "/")
	for name, want := range map[string]string{
		"Cache-Control":              "no-cache",
		"Content-Security-Policy":    pagePolicy,
		"Cross-Origin-Opener-Policy": "same-origin",
		"X-Frame-Options":            "DENY",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	etag := resp.Header.Get("ETag")
	if again := ask(h, http.MethodGet, "/", "If-None-Match", etag); again.StatusCode != http.StatusNotModified {
		t.Errorf("asked again with %s: %d", etag, again.StatusCode)
	}
	if resp := ask(h, http.MethodPost, "/"); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
}

func TestPageLinksToThePlaygroundThatIsServed(t *testing.T) {
	for _, served := range []bool{true, false} {
		w := httptest.NewRecorder()
		pageHandler(served).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if links := strings.Contains(w.Body.String(), `href="/playground/"`); links != served {
			t.Errorf("playground served %t, linked %t", served, links)
		}
		if strings.Contains(w.Body.String(), "{{") {
			t.Error("the page shows its template")
		}
	}
}

// altair makes a directory like altair-static's dist.
func altair(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"index.html":                "<html><head><title>Altair</title><base href=\"/\" /></head><body></body></html>",
		"main.js":                   "start()",
		"iframe-sandbox/index.html": "<html></html>",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPlaygroundFiles(t *testing.T) {
	h := playgroundHandler(altair(t), nil)
	for path, status := range map[string]int{
		"/playground":                           http.StatusMovedPermanently,
		"/playground/":                          http.StatusOK,
		"/playground/main.js":                   http.StatusOK,
		"/playground/playground.js":             http.StatusOK,
		"/playground/iframe-sandbox/index.html": http.StatusOK,
		"/playground/iframe-sandbox/":           http.StatusNotFound,
		"/playground/index.html":                http.StatusNotFound,
		"/playground/../web.go":                 http.StatusNotFound,
	} {
		if resp := ask(h, http.MethodGet, path); resp.StatusCode != status {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, status)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/playground/", nil))
	for _, want := range []string{`<base href="/playground/">`, `<script type="module" src="playground.js"></script></body>`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the page lacks %s: %s", want, w.Body)
		}
	}
}

// TestSandboxIsFramedByThePlaygroundAlone and evaluates nothing: it has our origin.
func TestSandboxIsFramedByThePlaygroundAlone(t *testing.T) {
	h := playgroundHandler(altair(t), nil)
	sandbox := ask(h, http.MethodGet, "/playground/iframe-sandbox/index.html").Header
	if sandbox.Get("Content-Security-Policy") != sandboxPolicy || sandbox.Get("X-Frame-Options") != "SAMEORIGIN" {
		t.Error(sandbox)
	}
	page := ask(h, http.MethodGet, "/playground/").Header
	if page.Get("Content-Security-Policy") != playgroundPolicy || page.Get("X-Frame-Options") != "DENY" {
		t.Error(page)
	}
}

func TestMissingPlaygroundTellsTheFix(t *testing.T) {
	for name, h := range map[string]http.Handler{
		"not found": playgroundHandler("", errNoPlayground),
		"gone":      playgroundHandler(filepath.Join(t.TempDir(), "gone"), nil),
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/playground/", nil))
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "npm ci --ignore-scripts") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestPlaygroundIsFoundAbove(t *testing.T) {
	root := t.TempDir()
	dist := filepath.Join(root, "node_modules", "altair-static", "build", "dist")
	below := filepath.Join(root, "a", "b")
	for _, dir := range []string{dist, below} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(below)
	if dir, err := findPlayground(); err == nil {
		t.Errorf("found an empty one: %s", dir)
	}
	if err := os.WriteFile(filepath.Join(dist, "index.html"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir, err := findPlayground()
	if err != nil {
		t.Fatal(err)
	}
	want, _ := filepath.EvalSymlinks(dist)
	if got, _ := filepath.EvalSymlinks(dir); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestNativePartsAreSoughtBesideTheBinaryFirst: the working directory may be anybody's.
func TestNativePartsAreSoughtBesideTheBinaryFirst(t *testing.T) {
	t.Chdir(t.TempDir())
	working, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if binary, err = filepath.EvalSymlinks(binary); err != nil {
		t.Fatal(err)
	}
	if got, want := nativeDirectories(), []string{filepath.Dir(binary), working}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
