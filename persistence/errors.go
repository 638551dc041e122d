package persistence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
)

var (
	// ErrNotFound is returned when no row has the ID.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable is returned when the database cannot be reached or cannot work; nothing was stored.
	ErrUnavailable = errors.New("database unavailable")
	// ErrImagesUnavailable is returned when the object store cannot be reached; nothing was stored.
	ErrImagesUnavailable = errors.New("image store unavailable")
	// ErrOtherImages is returned for an object store that is not the one that the database has its images in.
	ErrOtherImages = errors.New("not the image store of this database")
	// ErrImageDamaged is returned when the object store has other bytes under an image's digest than were written, or none.
	ErrImageDamaged = errors.New("stored image is damaged")
	// ErrNoImageStore is returned for an image that is in object storage, by a store that was opened without.
	ErrNoImageStore = errors.New("image store not configured")
	// ErrStoredUnknown is returned when the connection was lost while committing and the database could not be asked.
	ErrStoredUnknown = errors.New("stored or not: unknown")
	// ErrOverloaded is returned at once when too much waits to be written; nothing was stored.
	ErrOverloaded = errors.New("too many rows wait to be written")
	// ErrInvalidText is returned when a text cannot be stored or compared: it holds NUL or is not UTF-8.
	ErrInvalidText = errors.New("text with NUL or invalid UTF-8")
	// ErrKeyTaken is returned when another prediction was stored with the same idempotency key meanwhile.
	ErrKeyTaken = errors.New("idempotency key is taken")
	// ErrModelVersionChanged is returned when another model was released under a number that has predicted already.
	ErrModelVersionChanged = errors.New("model version has changed since it predicted")
)

// SQLSTATEs, and classes of them (their first two characters), that say that the database cannot work now.
// Source: PostgreSQL's documentation, appendix A.
var unavailableStates = []string{
	"08",          // connection exception
	"42P01",       // no such table: the schema has been taken down
	"42703",       // no such column: the schema is another one
	stateReadOnly, // a standby, or a primary that is being demoted
	"53",          // insufficient resources: disk full, out of memory, too many connections
	"57P",         // operator intervention: shutting down, crashed, starting up, database dropped
	"58",          // system error
}

const (
	stateUniqueViolation = "23505"
	stateNoInput         = "23503" // the foreign key of a prediction
	stateInvalidText     = "22021"
	stateInvalidUnicode  = "22P05"
	stateReadOnly        = "25006"
	stateCanceled        = "57014" // by the statement timeout
	stateDeadlock        = "40P01"
)

// classify puts err under the sentinel that it means to callers; what has none stays as it is.
func classify(err error) error {
	var answer *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, pgx.ErrNoRows):
		return ErrNotFound
	case errors.As(err, &answer):
		return classifyState(answer)
	case isConnectionError(err):
		// Its text can name hosts, so that it is for the log alone.
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// isConnectionError tells that the server was not reached, or was lost.
func isConnectionError(err error) bool {
	var connecting *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connecting) || errors.As(err, &network) || errors.Is(err, pgconn.ErrConnClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, puddle.ErrClosedPool)
}

// isBadData tells that the database refused rows for what is in them: class 22, data exception, and class 23,
// integrity constraint violation.
func isBadData(err error) bool {
	var answer *pgconn.PgError
	return errors.As(err, &answer) && (strings.HasPrefix(answer.Code, "22") || strings.HasPrefix(answer.Code, "23"))
}

func classifyState(answer *pgconn.PgError) error {
	if answer.Code == stateNoInput {
		return fmt.Errorf("%w: %w", ErrNotFound, answer)
	}
	if violates(answer, idempotencyConstraint) {
		return fmt.Errorf("%w: %w", ErrKeyTaken, answer)
	}
	if answer.Code == stateInvalidText || answer.Code == stateInvalidUnicode {
		return fmt.Errorf("%w: %w", ErrInvalidText, answer)
	}
	if answer.Code == stateCanceled {
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, answer)
	}
	for _, state := range unavailableStates {
		if strings.HasPrefix(answer.Code, state) {
			return fmt.Errorf("%w: %w", ErrUnavailable, answer)
		}
	}
	return answer
}
