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

// Ring has the keys of a file. It is safe for concurrent use.
type Ring struct{ callers *watch.Value[[]graph.Caller] }

// Open reads the file and follows its changes until Close; when the keys have changed it calls changed, unless that is
// nil. A file that is not in order is an error, and later leaves the keys as they were, which the logger is told.
func Open(path string, logger *slog.Logger, changed func()) (*Ring, error) {
	read := func() ([]byte, func() ([]graph.Caller, error), error) {
		text, err := readFile(path)
		return text, func() ([]graph.Caller, error) { return parse(text) }, err
	}
	callers, err := watch.Open("API keys", read, changed, logger, filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return &Ring{callers}, nil
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
func (r *Ring) Close() { r.callers.Close() }

// Find returns who has the key; nil where nobody has. It compares with every key in the same time, so that nobody
// learns from the time how near a guess was.
func (r *Ring) Find(key string) *graph.Caller {
	if len(key) > maxKeyLength {
		return nil
	}
	return r.find(sha256.Sum256([]byte(key)))
}

// Renew returns who has the caller's key now, with the roles of now; nil where nobody has.
func (r *Ring) Renew(caller *graph.Caller) *graph.Caller { return r.find(caller.KeySum) }

func (r *Ring) find(sum [sha256.Size]byte) *graph.Caller {
	callers := r.callers.Get()
	found := -1
	for i := range callers {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], callers[i].KeySum[:]), i, found)
	}
	if found < 0 {
		return nil
	}
	return &callers[found]
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
func parse(text []byte) ([]graph.Caller, error) {
	var callers []graph.Caller
	number := 0
	for line := range bytes.Lines(text) {
		number++
		trimmed := strings.TrimSpace(string(line))
		if trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		caller, err := parseLine(trimmed)
		if err == nil {
			err = refuseTwice(callers, caller)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		callers = append(callers, caller)
	}
	if len(callers) == 0 {
		return nil, errors.New("there is no key in the file: `sibyl keys new` makes one")
	}
	return callers, nil
}

func refuseTwice(callers []graph.Caller, c graph.Caller) error {
	for _, other := range callers {
		switch {
		case other.Name == c.Name:
			return fmt.Errorf("another key has the name %s", c.Name)
		case other.KeySum == c.KeySum:
			return fmt.Errorf("the key is that of %s", other.Name)
		}
	}
	return nil
}

// names are those of keys: fit for a log.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

func parseLine(line string) (c graph.Caller, err error) {
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return c, errors.New("a line is `name role[,role…] sha256:HEX`")
	}
	if !names.MatchString(fields[0]) {
		return c, errors.New("a name is 1 to 64 letters, digits and ._@-, and begins with a letter or a digit")
	}
	if c.Roles, err = parseRoles(fields[1]); err != nil {
		return c, err
	}
	c.Name = fields[0]
	digits, given := strings.CutPrefix(fields[2], "sha256:")
	sum, err := hex.DecodeString(digits)
	if !given || err != nil || len(sum) != sha256.Size {
		return c, errors.New("the third word is not sha256: with 64 hexadecimal digits")
	}
	c.KeySum = [sha256.Size]byte(sum)
	return c, nil
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
