// Package keys has the API keys: who may ask, and what for. A file holds their names, roles and SHA-256, so that it
// gives nobody a key; it is read again when it changes.
package keys

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sibyl/graph"
	"sibyl/server/watch"
)

const (
	// prefix begins every key, so that scanners for secrets find those that were published by mistake.
	prefix = "sibyl_"
	// maxKeyLength bounds what is taken for a key.
	maxKeyLength = 256
	// maxFileBytes bounds the file: some ten thousand keys.
	maxFileBytes = 1 << 20
)

// entry is one key.
type entry struct {
	sum    [sha256.Size]byte
	caller graph.Caller
}

// Ring has the keys of a file. It is safe for concurrent use.
type Ring struct{ entries *watch.Value[[]entry] }

// Open reads the file and follows its changes until Close. One that is not in order is an error, and later leaves the
// keys as they were, which the logger is told.
func Open(path string, logger *slog.Logger) (*Ring, error) {
	read := func() ([]byte, func() ([]entry, error), error) {
		text, err := readFile(path)
		return text, func() ([]entry, error) { return parse(text) }, err
	}
	entries, err := watch.Open("API keys", read, logger, filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return &Ring{entries}, nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read from
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if len(text) > maxFileBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFileBytes)
	}
	return text, err
}

// Close ends the watching of the file.
func (r *Ring) Close() { r.entries.Close() }

// Find returns who has the key; nil where nobody has. It compares with every key in the same time, so that nobody
// learns from the time how near a guess was.
func (r *Ring) Find(key string) *graph.Caller {
	if len(key) > maxKeyLength {
		return nil
	}
	sum := sha256.Sum256([]byte(key))
	entries := r.entries.Get()
	found := -1
	for i := range entries {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], entries[i].sum[:]), i, found)
	}
	if found < 0 {
		return nil
	}
	return &entries[found].caller
}

// New makes a key and the line of the file for it. The key is nowhere else.
func New(name string, roles []graph.Role) (key, line string, err error) {
	key = prefix + rand.Text() + rand.Text() // 256 bits and some
	lower := make([]string, len(roles))
	for i, role := range roles {
		lower[i] = strings.ToLower(string(role))
	}
	sum := sha256.Sum256([]byte(key))
	line = fmt.Sprintf("%s %s sha256:%s", name, strings.Join(lower, ","), hex.EncodeToString(sum[:]))
	_, err = parseLine(line)
	return key, line, err
}

// parse reads the file: a key a line, as `name role[,role…] sha256:HEX`; empty lines and those with # count for
// nothing. Its errors tell the line by number and never show a digest, in place of which somebody may have put the key.
func parse(text []byte) ([]entry, error) {
	var entries []entry
	number := 0
	for line := range bytes.Lines(text) {
		number++
		trimmed := strings.TrimSpace(string(line))
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		e, err := parseLine(trimmed)
		if err == nil {
			err = refuseTwice(entries, e)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		return nil, errors.New("there is no key in the file: `sibyl keys new` makes one")
	}
	return entries, nil
}

func refuseTwice(entries []entry, e entry) error {
	for _, other := range entries {
		switch {
		case other.caller.Name == e.caller.Name:
			return fmt.Errorf("another key has the name %s", e.caller.Name)
		case other.sum == e.sum:
			return fmt.Errorf("the key is that of %s", other.caller.Name)
		}
	}
	return nil
}

// names are those of keys: fit for a log.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

func parseLine(line string) (e entry, err error) {
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return e, errors.New("a line is `name role[,role…] sha256:HEX`")
	}
	if !names.MatchString(fields[0]) {
		return e, errors.New("a name is 1 to 64 letters, digits and ._@-, and begins with a letter or a digit")
	}
	if e.caller.Roles, err = parseRoles(fields[1]); err != nil {
		return e, err
	}
	e.caller.Name = fields[0]
	digits, given := strings.CutPrefix(fields[2], "sha256:")
	sum, err := hex.DecodeString(digits)
	if !given || err != nil || len(sum) != sha256.Size {
		return e, errors.New("the third word is not sha256: with 64 hexadecimal digits")
	}
	e.sum = [sha256.Size]byte(sum)
	return e, nil
}

func parseRoles(text string) (roles []graph.Role, err error) {
	for name := range strings.SplitSeq(text, ",") {
		role := graph.Role(strings.ToUpper(name))
		switch {
		case name != strings.ToLower(name) || !slices.Contains(graph.Roles, role):
			return nil, errors.New("the roles are reader, predictor, labeller and admin")
		case slices.Contains(roles, role):
			return nil, fmt.Errorf("the role %s is there twice", name)
		}
		roles = append(roles, role)
	}
	return roles, nil
}
