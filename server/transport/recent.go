package transport

import lru "github.com/hashicorp/golang-lru/v2"

const (
	// maxRecent and maxRecentBytes bound what is kept: the worst text takes fifty times its size once it is read.
	maxRecent      = 128
	maxRecentBytes = 2 << 10
)

// recent keeps what short texts say: clients send the same again and again, and to read one takes much longer than to find
// it. Safe for concurrent use.
type recent[T any] struct{ texts *lru.Cache[string, T] }

func newRecent[T any]() recent[T] {
	texts, _ := lru.New[string, T](maxRecent) // the error is of a size below 1
	return recent[T]{texts}
}

// read returns what the text says, which others may have too: nobody may change it.
func (r recent[T]) read(text []byte, read func([]byte) (T, error)) (T, error) {
	if len(text) > maxRecentBytes {
		return read(text)
	}
	key := string(text)
	said, found := r.texts.Get(key)
	if found {
		return said, nil
	}
	said, err := read(text)
	if err == nil {
		r.texts.Add(key, said)
	}
	return said, err
}
