package main

import (
	"bufio"
	"bytes"
	"image/png"
	"io"
	"net/http"
	"testing"
)

// TestPredictWorkload reads the requests as a server would.
func TestPredictWorkload(t *testing.T) {
	t.Parallel()
	pictures, err := drawDigits()
	if err != nil {
		t.Fatal(err)
	}
	w, err := predictWorkload("127.0.0.1:80", pictures)
	if err != nil {
		t.Fatal(err)
	}
	distinct := map[string]bool{}
	for i, request := range w.requests {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
		if err != nil {
			t.Fatal(err)
		}
		file, header, err := r.FormFile("0")
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(file)
		if err != nil || !bytes.Equal(content, pictures[i].png) || header.Filename != pictures[i].filename {
			t.Errorf("%s: %d bytes, error %v", header.Filename, len(content), err)
		}
		if r.FormValue("operations") == "" || r.FormValue("map") == "" || r.Header.Get("GraphQL-Require-Preflight") == "" {
			t.Errorf("%s: no GraphQL multipart request", header.Filename)
		}
		distinct[string(content)] = true
	}
	if len(distinct) != len(glyphs)*variants {
		t.Errorf("%d distinct pictures, want %d", len(distinct), len(glyphs)*variants)
	}
}

func TestDrawDigits(t *testing.T) {
	t.Parallel()
	pictures, err := drawDigits()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pictures {
		img, err := png.Decode(bytes.NewReader(p.png))
		if err != nil || img.Bounds().Dx() != digitSide || img.Bounds().Dy() != digitSide {
			t.Errorf("%s: %v", p.filename, err)
		}
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		verify func(int, []byte) error
		status int
		body   string
		ok     bool
	}{
		"prediction":   {verifyPrediction, 200, limitAnswer, true},
		"status":       {verifyPrediction, 503, limitAnswer, false},
		"error":        {verifyPrediction, 200, `{"errors":[{"message":"m"}],"data":{"predict":null}}`, false},
		"nothing":      {verifyPrediction, 200, `{"data":{"predict":null}}`, false},
		"list":         {listVerifier(1), 200, `{"nodes":[{"id":"prediction_a","input":{"id":"input_b"}}]}`, true},
		"short list":   {listVerifier(2), 200, `{"nodes":[{"id":"prediction_a","input":{"id":"input_b"}}]}`, false},
		"peer":         {verifyPeer, 200, `{"id":"019a","likelyClass":{"name":"2","confidence":0.9}}`, true},
		"peer's error": {verifyPeer, 500, `Internal Server Error`, false},
	}
	for name, test := range tests {
		if err := test.verify(test.status, []byte(test.body)); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func listVerifier(rows int) func(int, []byte) error {
	return func(status int, body []byte) error { return verifyList(status, body, rows) }
}
