package transport

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"sibyl/graph"
)

const (
	// hashPrefix begins an identifier that is the SHA-256 of a document's text, in 64 hexadecimal digits.
	hashPrefix = "sha256:"
	// sentBytes is what the documents that clients sent may take, for each of their number.
	sentBytes = 8 << 10
)

// Documents are those that clients may name in the place of their text: trusted ones, and those that clients sent
// before with their SHA-256, which Apollo calls automatic persisted queries. Safe for concurrent use.
// Sources: the appendix on persisted documents of GraphQL over HTTP, and
// https://www.apollographql.com/docs/apollo-server/performance/apq
type Documents struct {
	trusted     Trusted
	trustedOnly bool

	mu    sync.Mutex
	sent  *simplelru.LRU[string, string] // text by identifier, guarded by mu; nil: none are kept
	bytes int                            // of the texts in sent; guarded by mu
	max   int                            // of bytes
}

// NewDocuments returns documents of which trusted, which must not change any more, are there from the start; with
// trustedOnly no others are run. Of those that clients send the last used are kept: at most so many, and as many times
// 8 KiB of text. 0: none.
func NewDocuments(trusted Trusted, trustedOnly bool, sent int) *Documents {
	d := &Documents{trusted: trusted, trustedOnly: trustedOnly, max: sent * sentBytes}
	if sent > 0 {
		// The error is of a size below 1.
		d.sent, _ = simplelru.NewLRU(sent, func(_, text string) { d.bytes -= len(text) })
	}
	return d
}

// Trusted are texts of documents by their identifiers, of which each has several.
type Trusted map[string]string

// unreserved is what the appendix lets an identifier without a prefix be.
var unreserved = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)

// Add adds a document by its name and by its SHA-256, with and without the line breaks at its end: files have them,
// and texts that programs print do not. It fails where the name cannot be an identifier, or is the SHA-256 of another
// text.
func (t Trusted) Add(name, text string) error {
	if !unreserved.MatchString(name) {
		return fmt.Errorf("%q is no identifier: these have letters, digits, and - . _ ~", name)
	}
	trimmed := strings.TrimRight(text, "\r\n")
	hash, hashOfTrimmed := hashOf(text), hashOf(trimmed)
	if isHash(name) && name != hash && name != hashOfTrimmed {
		return fmt.Errorf("the name is a SHA-256, but not that of the document, which is %s", hash)
	}
	for _, id := range []string{name, hash, hashOfTrimmed, hashPrefix + hash, hashPrefix + hashOfTrimmed} {
		t[id] = trimmed
	}
	return nil
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// isHash reports whether a name has the form of a SHA-256 in hexadecimal digits.
func isHash(name string) bool {
	_, err := hex.DecodeString(name)
	return err == nil && len(name) == hex.EncodedLen(sha256.Size)
}

var (
	// The messages are those that Apollo Client knows: it sends the document after the first, and no more hashes after
	// the second.
	errDocumentNotFound = &refusal{code: graph.CodePersistedNotFound, message: "PersistedQueryNotFound"}
	errNoDocuments      = &refusal{code: graph.CodePersistedUnsupported, message: "PersistedQueryNotSupported"}

	errSeveralDocuments = badRequest("`documentId` stands in the place of `query` and `extensions.persistedQuery`.")
	errPersistedQuery   = badRequest("`extensions.persistedQuery` is not an object with the `version` 1 and a `sha256Hash`.")
	errOtherHash        = badRequest("`extensions.persistedQuery.sha256Hash` is not the SHA-256 of `query`.")
	errNotTrusted       = badRequest("This server runs trusted documents only: name one by `documentId`.")
)

// resolve gives the operation the text of its document, where that was named. keepAs is the identifier under which the
// document is to be kept once it has proved valid; empty: it is not.
func (d *Documents) resolve(op *operation) (keepAs string, refused *refusal) {
	text := op.params.Query
	id, refused := op.identifier()
	if refused != nil {
		return "", refused
	}
	if text == "" {
		op.params.Query, refused = d.find(id)
		return "", refused
	}
	if id == "" && !d.trustedOnly {
		return "", nil
	}
	own := hashPrefix + hashOf(text)
	_, trusted := d.trusted[own]
	switch {
	case id != "" && id != own:
		return "", errOtherHash
	case trusted:
		return "", nil
	case d.trustedOnly:
		return "", errNotTrusted
	}
	return own, nil
}

// hasDocument reports whether the operation has a document, or names one.
func (op *operation) hasDocument() bool {
	return op.params.Query != "" || op.documentID != "" || op.params.Extensions["persistedQuery"] != nil
}

// identifier is how the operation names its document; empty: not at all.
func (op *operation) identifier() (id string, refused *refusal) {
	extension := op.params.Extensions["persistedQuery"]
	switch {
	case op.documentID != "" && (op.params.Query != "" || extension != nil):
		return "", errSeveralDocuments
	case extension == nil:
		return op.documentID, nil
	}
	members, _ := extension.(map[string]any)
	hash, _ := members["sha256Hash"].(string)
	if version, _ := members["version"].(json.Number); hash == "" || version != "1" {
		return "", errPersistedQuery
	}
	return hashPrefix + hash, nil
}

// find returns the text of a document.
func (d *Documents) find(id string) (text string, refused *refusal) {
	text, found := d.trusted[id]
	if !found && d.sent != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		text, found = d.sent.Get(id)
	}
	switch {
	case found:
		return text, nil
	case d.sent == nil && len(d.trusted) == 0:
		return "", errNoDocuments
	}
	return "", errDocumentNotFound
}

// keep keeps the text of a document that a client sent, unless it is longer than all may be together.
func (d *Documents) keep(id, text string) {
	if id == "" || d.sent == nil || len(text) > d.max {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, kept := d.sent.Get(id); kept {
		return
	}
	d.sent.Add(id, strings.Clone(text)) // the text may be a part of a longer URL
	for d.bytes += len(text); d.bytes > d.max; {
		d.sent.RemoveOldest()
	}
}
