package main

import (
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"sibyl/persistence"
)

// maxFilename bounds the name that an image is saved under, in bytes: most file systems take 255.
const maxFilename = 200

// disposition is the Content-Disposition of an image: its ID for old clients, and for others the name that it was sent
// with, in the form of RFC 8187.
func disposition(input *persistence.Input) string {
	extension := ""
	if _, subtype, ok := strings.Cut(input.ContentType, "/"); ok {
		extension = "." + subtype
	}
	header := `inline; filename="` + input.ID.String() + extension + `"`
	if input.Filename == nil {
		return header
	}
	if name := safeFilename(*input.Filename, extension); name != "" {
		// Of what PathEscape leaves, RFC 8187 does not know these.
		escaped := strings.NewReplacer("@", "%40", ":", "%3A", "=", "%3D", "'", "%27", "(", "%28", ")", "%29", "*", "%2A",
			",", "%2C", ";", "%3B", "/", "%2F").Replace(url.PathEscape(name))
		header += "; filename*=UTF-8''" + escaped
	}
	return header
}

// safeFilename makes of a name that a client gave one that is safe to save an image under: without a directory, hidden
// characters and those that turn the direction of writing or mean something to a file system, and with an extension
// that the image may have. It is empty where nothing is left.
func safeFilename(name, extension string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r), strings.ContainsRune(`<>:"|?*`, r):
			return -1
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, name)
	name = strings.Trim(name, ". ")
	own := strings.ToLower(path.Ext(name))
	if own == extension || own == ".jpg" && extension == ".jpeg" || own == ".tif" && extension == ".tiff" {
		name, extension = name[:len(name)-len(own)], name[len(name)-len(own):]
	}
	for len(name) > maxFilename {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	if name = strings.Trim(name, ". "); name == "" {
		return ""
	}
	return name + extension
}
