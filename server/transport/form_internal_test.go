package transport

import (
	"bytes"
	"io"
	"mime/multipart"
	"slices"
	"strings"
	"testing"
)

// readForm reads all parts.
func readForm(body, boundary string) (all []formPart, err error) {
	parts, err := newFormParts([]byte(body), boundary)
	for err == nil {
		var part formPart
		if part, err = parts.next(); err == nil {
			all = append(all, part)
		}
	}
	if err == io.EOF {
		err = nil
	}
	return all, err
}

// readMIME reads them as mime/multipart does, which leaves what is encoded in names.
func readMIME(body, boundary string) (all []formPart, err error) {
	for parts := multipart.NewReader(strings.NewReader(body), boundary); ; {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		name, filename := decodeNames(part.Header.Get("Content-Disposition"), part.FormName(), part.FileName())
		all = append(all, formPart{name: name, filename: filename, data: data})
	}
}

// sameParts compares filenames only where there is a name: mime/multipart takes one of attachments too.
func sameParts(a, b []formPart) bool {
	return slices.EqualFunc(a, b, func(a, b formPart) bool {
		return a.name == b.name && (a.name == "" || a.filename == b.filename) && bytes.Equal(a.data, b.data)
	})
}

// forms are bodies with the boundary b, and how many parts they have.
var forms = map[string]int{
	"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b--\r\n":                                              1,
	"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b--":                                                  1,
	"--b\nContent-Disposition: form-data; name=\"a\"\n\nx\r\n\n--b--\n":                                                    1,
	"pre\r\n --b\r\n--b\r\ncontent-disposition: form-data; name=a; filename=\"x/y\"\r\n\r\nx\r\n--b--\r\nepilogue":         1,
	"--b \t\r\n\r\n\r\n--b\t\r\n\r\n--b\r\n\r\n--bb\r\n --b\r\n-b\n--b\r\n--b-- \r\n":                                      3,
	"--b\r\nA: b\r\n folded\r\nContent-Disposition: form-data;\r\n\tname=\"a\";\r\n filename*=UTF-8''%41\r\n\r\n\r\n--b--": 1,
	"--b\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nx\r\n--b--":                                                 1,
	"--b\r\nContent-Disposition: attachment; name=\"a\"; filename=\"b\"\r\n\r\nx\r\n--b--":                                 1,
	"--b\r\nContent-Disposition: form-data; name=\"a%22\"; filename=\"b%0D%0a*=%22\"\r\n\r\nx\r\n--b--":                    1,
	"--b\r\nContent-Disposition: form-data; name=\"a\\\"b\"; filename=\"c\\\\d\"\r\n\r\nx\r\n--b--":                        1,
	"--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"\"\r\n\r\nx\r\n--b--":                                   1,
	"--b\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\nx\r\n--b--":    1,
	"--b--\r\n": 0,
}

// TestFormParts: the parts are those of mime/multipart.
func TestFormParts(t *testing.T) {
	for body, n := range forms {
		want, err := readMIME(body, "b")
		if err != nil || len(want) != n {
			t.Fatalf("%q: %d parts, %v", body, len(want), err)
		}
		if got, err := readForm(body, "b"); err != nil || !sameParts(got, want) {
			t.Errorf("%q: %q %v, want %q", body, got, err, want)
		}
		whole := strings.LastIndex(body, "--b--") + len("--b--")
		for end := range whole {
			if got, err := readForm(body[:end], "b"); err == nil {
				t.Errorf("%q: %q", body[:end], got)
			}
		}
	}
}

// FuzzFormParts: what mime/multipart can read has the same parts here. It takes a body that ends in a part's headers for
// whole.
func FuzzFormParts(f *testing.F) {
	for body := range forms {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := readForm(body, "b")
		want, wantErr := readMIME(body, "b")
		if wantErr == nil && (err != nil && err != errIncompleteForm || !sameParts(got, want)) {
			t.Errorf("%q: %q %v, want %q", body, got, err, want)
		}
	})
}
