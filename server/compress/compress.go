// Package compress makes answers smaller for clients that say they can read them so: with gzip (RFC 1952) and zstd
// (RFC 8878).
package compress

import (
	"net/http"
	"strconv"
	"strings"
)

// Coding is a content coding, as Accept-Encoding and Content-Encoding name it.
type Coding string

// The codings. Identity is none.
const (
	Identity Coding = ""
	Gzip     Coding = "gzip"
	Zstd     Coding = "zstd"
)

// Negotiate chooses the coding of an answer: of those that the request names, the one that it likes best, and zstd
// where it likes both as much. `*` stands for none: who sends it need not be able to read what we choose. It adds to
// Vary that the answer depends on it.
func Negotiate(request, answer http.Header) Coding {
	answer.Add("Vary", "Accept-Encoding")
	var gzip, zstd, identity float64
	for _, value := range request["Accept-Encoding"] {
		for item := range strings.SplitSeq(value, ",") {
			name, parameter, _ := strings.Cut(item, ";")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "gzip", "x-gzip":
				gzip = quality(parameter)
			case "zstd":
				zstd = quality(parameter)
			case "identity":
				identity = quality(parameter)
			}
		}
	}
	switch best := max(gzip, zstd); {
	case best == 0, best < identity:
		return Identity
	case best == zstd:
		return Zstd
	default:
		return Gzip
	}
}

// quality is what the parameter of a coding says, 0 … 1: 1 where there is none, 0 where it makes no sense.
func quality(parameter string) float64 {
	name, value, given := strings.Cut(parameter, "=")
	name = strings.TrimSpace(name)
	if !given && name == "" {
		return 1
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if !strings.EqualFold(name, "q") || err != nil || !(q >= 0 && q <= 1) {
		return 0
	}
	return q
}

// Describe says in the headers of an answer that it has the coding.
func (c Coding) Describe(h http.Header) {
	if c != Identity {
		h.Set("Content-Encoding", string(c))
	}
}
