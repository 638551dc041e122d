package graph

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"sibyl/persistence"
)

// maxKeyLength bounds an idempotency key, in characters.
const maxKeyLength = 255

// newKey checks a client's idempotency key, and takes the fingerprint of what it is sent with: the arguments as they
// were given, and the image. Each caller has keys of its own: who guessed another's would be given its prediction.
func newKey(
	ctx context.Context, key string, upload Upload, model *string, version *int32,
) (*persistence.IdempotencyKey, error) {
	if n := utf8.RuneCountInString(key); n < 1 || n > maxKeyLength || !utf8.ValidString(key) || strings.ContainsRune(key, 0) {
		return nil, badUserInput("idempotencyKey must have 1 to %d characters, without NUL", maxKeyLength)
	}
	if caller := CallerOf(ctx); caller != nil {
		key = caller.Name + " " + key // names have no blanks
	}
	fingerprint := sha256.New()
	fingerprint.Write(persistence.DigestOf(upload.Data))
	if model != nil {
		fmt.Fprintf(fingerprint, "model %q", *model)
	}
	if version != nil {
		_ = binary.Write(fingerprint, binary.BigEndian, *version) // a hash never fails
	}
	return &persistence.IdempotencyKey{Key: key, Fingerprint: fingerprint.Sum(nil), CreatedAt: time.Now().UTC()}, nil
}

// once runs a prediction for a key, unless it was run before: then it returns the first one. Of several with one key at
// the same time one runs here, and of those on other replicas one is stored.
func (r *Resolver) once(
	ctx context.Context, key *persistence.IdempotencyKey, predict func() (*persistence.Prediction, error),
) (*persistence.Prediction, error) {
	release, err := r.keys.hold(ctx, key.Key)
	if err != nil {
		return nil, err
	}
	defer release()
	p, err := r.first(ctx, key)
	if !errors.Is(err, persistence.ErrNotFound) {
		return p, err
	}
	p, err = predict()
	if errors.Is(err, persistence.ErrKeyTaken) { // by another replica, meanwhile
		return r.first(ctx, key)
	}
	return p, err
}

// first returns the prediction that a key led to, or persistence.ErrNotFound for a key that was not used.
func (r *Resolver) first(ctx context.Context, key *persistence.IdempotencyKey) (*persistence.Prediction, error) {
	used, err := r.store.IdempotencyKey(ctx, key.Key, time.Now())
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(used.Fingerprint, key.Fingerprint) {
		return nil, &Error{
			Code: CodeIdempotencyConflict, Message: "the idempotencyKey was used with another image or other arguments",
		}
	}
	p, err := loadersOf(ctx).predictionsByID().Load(ctx, used.PredictionID)
	if errors.Is(err, persistence.ErrNotFound) {
		return nil, &Error{Code: CodeNotFound, Message: "the prediction of this idempotencyKey has been deleted"}
	}
	return p, err
}

// keyLocks let one holder at a time have each key. The zero value is ready.
type keyLocks struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when the key is free again; guarded by mu
}

// hold waits for a key, or for the end of ctx. The key must be released.
func (l *keyLocks) hold(ctx context.Context, key string) (release func(), err error) {
	for {
		l.mu.Lock()
		held, ok := l.held[key]
		if !ok {
			if l.held == nil {
				l.held = make(map[string]chan struct{})
			}
			free := make(chan struct{})
			l.held[key] = free
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				delete(l.held, key)
				l.mu.Unlock()
				close(free)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
