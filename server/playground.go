package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// errNoPlayground is returned when the playground's files are nowhere; its message names the fix.
var errNoPlayground = errors.New("the playground's files were not found: run `npm ci --ignore-scripts` beside the " +
	"checkout or the binary, or switch the playground off with --playground=false")

const (
	playgroundPath = "/playground/"
	// playgroundOptions starts the playground. It is ours, in place of the script that Altair would have in its page.
	playgroundOptions = "playground.js"

	// playgroundPolicy is as strict as Altair allows: its styles are made by scripts, its editors work in blobs. It
	// reaches nothing but this server.
	playgroundPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
		"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; " +
		"frame-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
	// sandboxPolicy is for the frame in which Altair would run scripts before and after a request. It may be loaded, and
	// evaluates nothing: it would have our origin, and with it the headers that people keep in the playground. (Where its
	// makers run it, it has an origin of its own.) Altair tells that a script failed, and sends the request.
	sandboxPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
		"base-uri 'self'; form-action 'none'; frame-ancestors 'self'"
	sandboxFolder = "iframe-sandbox/"
)

// findPlayground gives the directory of Altair's files: those of the package altair-static in a node_modules of the
// binary's directory, of the working directory, or of one above either. It returns errNoPlayground where there is none.
func findPlayground() (string, error) {
	for _, start := range nativeDirectories() {
		for dir := start; ; dir = filepath.Dir(dir) {
			dist := filepath.Join(dir, "node_modules", "altair-static", "build", "dist")
			if info, err := os.Stat(filepath.Join(dist, "index.html")); err == nil && info.Mode().IsRegular() {
				return dist, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", errNoPlayground
}

// nativeDirectories are where the search for what npm brings begins: the working directory comes last, for it may be
// anybody's.
func nativeDirectories() (dirs []string) {
	if binary, err := os.Executable(); err == nil {
		if resolved, err := filepath.EvalSymlinks(binary); err == nil {
			binary = resolved
		}
		dirs = append(dirs, filepath.Dir(binary))
	}
	if dir, err := os.Getwd(); err == nil {
		dirs = append(dirs, dir)
	}
	return dirs
}

// playgroundHandler serves Altair, a GraphQL client, at /playground/. It takes what findPlayground returned: where
// that is an error, the answer tells it. Altair's 6 MB are read when they are first asked for.
func playgroundHandler(dir string, notFound error) http.Handler {
	read := sync.OnceValues(func() (assets, error) {
		if notFound != nil {
			return nil, notFound
		}
		return playgroundAssets(dir)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, inside := strings.CutPrefix(r.URL.Path, playgroundPath)
		if !inside {
			http.Redirect(w, r, playgroundPath, http.StatusMovedPermanently)
			return
		}
		files, err := read()
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		file, ok := files[name]
		switch {
		case !ok:
			http.NotFound(w, r)
		case strings.HasPrefix(name, sandboxFolder):
			file.serve(w, r, sandboxPolicy)
		default:
			file.serve(w, r, playgroundPolicy)
		}
	})
}

var baseElement = regexp.MustCompile(`<base [^>]*>`)

// playgroundAssets reads Altair's files. Its page is changed as altair-static's renderAltair does: the base, and the
// script that starts it, which here is a file, so that no inline script has to be allowed.
func playgroundAssets(dir string) (assets, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("playground: %w", errNoPlayground)
	}
	defer func() { _ = root.Close() }() // only read from
	files := make(assets)
	if err := files.add(root.FS()); err != nil {
		return nil, fmt.Errorf("playground: %w", errNoPlayground)
	}
	page := baseElement.ReplaceAllLiteral(files["index.html"].content, []byte(`<base href="`+playgroundPath+`">`))
	page = bytes.Replace(page, []byte("</body>"),
		[]byte(`<script type="module" src="`+playgroundOptions+`"></script></body>`), 1)
	page = bytes.Replace(page, []byte("<html>"), []byte(`<html lang="en">`), 1)
	page = bytes.Replace(page, []byte("<title>Altair</title>"), []byte("<title>Sibyl playground</title>"), 1)
	delete(files, "index.html")
	files[""] = newAsset("index.html", page)
	options, err := webFiles.ReadFile("web/" + playgroundOptions)
	if err != nil {
		return nil, fmt.Errorf("playground: %w", err)
	}
	files[playgroundOptions] = newAsset(playgroundOptions, options)
	return files, nil
}
