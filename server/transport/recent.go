package transport

import "sync"

const (
	// maxRecent and maxRecentBytes bound what is kept: the worst text takes fifty times its size once it is read.
	maxRecent      = 128
	maxRecentBytes = 2 << 10
)

// recent keeps what short texts say: clients send the same again and again, and to read one takes much longer than to find
// it. Where it is full it begins anew. The zero value is empty; safe for concurrent use.
type recent[T any] struct {
	mu   sync.RWMutex
	said map[string]T // by text; guarded by mu
}

// read returns what the text says, which others may have too: nobody may change it.
func (r *recent[T]) read(text []byte, read func([]byte) (T, error)) (T, error) {
	if len(text) > maxRecentBytes {
		return read(text)
	}
	r.mu.RLock()
	said, found := r.said[string(text)]
	r.mu.RUnlock()
	if found {
		return said, nil
	}
	said, err := read(text)
	if err == nil {
		r.keep(string(text), said)
	}
	return said, err
}

func (r *recent[T]) keep(text string, said T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.said == nil || len(r.said) == maxRecent {
		r.said = make(map[string]T)
	}
	r.said[text] = said
}
