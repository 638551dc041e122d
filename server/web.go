package main

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"sibyl/server/compress"
)

//go:embed web/index.html web/*.css web/*.js web/*.svg
var webFiles embed.FS

// pagePolicy lets the page load what this server has, show images that it was given, and nothing else. No script of it
// makes HTML or a script of a text.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// permissions are what neither the page nor the playground asks a browser for.
const permissions = "camera=(), display-capture=(), geolocation=(), hid=(), microphone=(), midi=(), payment=(), " +
	"serial=(), usb=()"

// contentTypes are set by hand: what mime knows depends on the machine.
var contentTypes = map[string]string{
	".css":   "text/css; charset=utf-8",
	".html":  "text/html; charset=utf-8",
	".ico":   "image/x-icon",
	".js":    "text/javascript; charset=utf-8",
	".json":  "application/json",
	".map":   "application/json",
	".png":   "image/png",
	".svg":   "image/svg+xml",
	".ttf":   "font/ttf",
	".woff":  "font/woff",
	".woff2": "font/woff2",
}

// pageHandler serves the page at `/` and its files beside it, from the binary; every other path is 404. The page links
// to the playground where that is served too.
func pageHandler(playground bool) http.Handler {
	web, err := fs.Sub(webFiles, "web")
	if err != nil {
		panic(err) // only where the name is no path
	}
	files := make(assets)
	if err := files.add(web); err != nil {
		panic(err) // what is embedded can be read
	}
	var index bytes.Buffer
	page := template.Must(template.New("index").Parse(string(files["index.html"].content)))
	if err := page.Execute(&index, struct{ Playground bool }{playground}); err != nil {
		panic(err) // the template is ours
	}
	delete(files, "index.html")
	delete(files, playgroundOptions)
	files[""] = newAsset("index.html", index.Bytes())
	return http.StripPrefix("/", files.handler(pagePolicy))
}

// assets are files by their path.
type assets map[string]asset

// asset is a file that a browser keeps, and asks for again each time whether it has changed.
type asset struct {
	content     []byte
	contentType string
	// version is what its ETag begins with.
	version string
	// encoded is the content in a coding, made when it is first asked for; nil where that is not worth it.
	encoded map[compress.Coding]func() []byte
}

func newAsset(name string, content []byte) asset {
	contentType, known := contentTypes[path.Ext(name)]
	if !known {
		if contentType = mime.TypeByExtension(path.Ext(name)); contentType == "" {
			contentType = "application/octet-stream"
		}
	}
	sum := sha256.Sum256(content)
	encoded := make(map[compress.Coding]func() []byte)
	for _, coding := range []compress.Coding{compress.Gzip, compress.Zstd} {
		encoded[coding] = sync.OnceValue(func() []byte { return coding.File(content) })
	}
	return asset{content, contentType, hex.EncodeToString(sum[:16]), encoded}
}

// add reads every file of a file system.
func (a assets) add(files fs.FS) error {
	return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return fmt.Errorf("web file: %w", err)
		}
		a[name] = newAsset(name, content)
		return nil
	})
}

// handler serves the assets by the URL's path, which must have no leading slash, under a Content-Security-Policy.
func (a assets) handler(policy string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, ok := a[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		file.serve(w, r, policy)
	})
}

func (a asset) serve(w http.ResponseWriter, r *http.Request, policy string) {
	h := w.Header()
	if !isRead(w, r) {
		return
	}
	h.Set("Content-Type", a.contentType)
	content, etag := a.content, a.version
	if coding := compress.Negotiate(r.Header, h); coding != compress.Identity {
		if encoded := a.encoded[coding](); encoded != nil {
			content, etag = encoded, etag+"-"+string(coding)
			coding.Describe(h)
		}
	}
	h.Set("ETag", `"`+etag+`"`)
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", permissions)
	h.Set("X-Frame-Options", frameOptions(policy))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// frameOptions says to old browsers what the policy's frame-ancestors say.
func frameOptions(policy string) string {
	if strings.Contains(policy, "frame-ancestors 'self'") {
		return "SAMEORIGIN"
	}
	return "DENY"
}
