package persistence

import (
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// ErrInvalidID is returned when a text is no ID of the wanted type.
var ErrInvalidID = errors.New("invalid ID")

// PredictionID is a UUIDv7, written as the TypeID `prediction_…`. IDs of one process ascend, also within a millisecond.
type PredictionID uuid.UUID

// InputID is a UUIDv7, written as the TypeID `input_…`. IDs of one process ascend, also within a millisecond.
type InputID uuid.UUID

// What the TypeIDs begin with.
const (
	PredictionPrefix = "prediction_"
	InputPrefix      = "input_"
)

// NewPredictionID makes an ID for now. Safe for concurrent use.
func NewPredictionID() PredictionID { return PredictionID(newUUID()) }

// NewInputID makes an ID for now. Safe for concurrent use.
func NewInputID() InputID { return InputID(newUUID()) }

// ParsePredictionID reads the text that String writes, or returns ErrInvalidID.
func ParsePredictionID(text string) (PredictionID, error) {
	id, err := parseTypeID(PredictionPrefix, text)
	return PredictionID(id), err
}

// ParseInputID reads the text that String writes, or returns ErrInvalidID.
func ParseInputID(text string) (InputID, error) {
	id, err := parseTypeID(InputPrefix, text)
	return InputID(id), err
}

// String returns the TypeID.
func (id PredictionID) String() string { return typeID(PredictionPrefix, id) }

// String returns the TypeID.
func (id InputID) String() string { return typeID(InputPrefix, id) }

// Time returns the millisecond in which the ID was made, in UTC.
func (id PredictionID) Time() time.Time { return uuidTime(id) }

// Time returns the millisecond in which the ID was made, in UTC.
func (id InputID) Time() time.Time { return uuidTime(id) }

// AppendText appends the TypeID; the error is always nil.
func (id PredictionID) AppendText(b []byte) ([]byte, error) {
	return appendTypeID(b, PredictionPrefix, id), nil
}

// AppendText appends the TypeID; the error is always nil.
func (id InputID) AppendText(b []byte) ([]byte, error) { return appendTypeID(b, InputPrefix, id), nil }

// MarshalGQL writes the ID as a GraphQL string.
func (id PredictionID) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, `"`+id.String()+`"`) }

// MarshalGQL writes the ID as a GraphQL string.
func (id InputID) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, `"`+id.String()+`"`) }

// UnmarshalGQL reads the ID from a GraphQL string.
func (id *PredictionID) UnmarshalGQL(v any) (err error) {
	text, _ := v.(string)
	*id, err = ParsePredictionID(text)
	return err
}

// UnmarshalGQL reads the ID from a GraphQL string.
func (id *InputID) UnmarshalGQL(v any) (err error) {
	text, _ := v.(string)
	*id, err = ParseInputID(text)
	return err
}

// ScanUUID and UUIDValue are pgx's way of reading and writing a UUID without reflection, of which a page has hundreds.
func (id *PredictionID) ScanUUID(v pgtype.UUID) error { return scanUUID((*[16]byte)(id), v) }

// UUIDValue is ScanUUID's counterpart.
func (id PredictionID) UUIDValue() (pgtype.UUID, error) {
	return pgtype.UUID{Bytes: id, Valid: true}, nil
}

// ScanUUID is as PredictionID's.
func (id *InputID) ScanUUID(v pgtype.UUID) error { return scanUUID((*[16]byte)(id), v) }

// UUIDValue is ScanUUID's counterpart.
func (id InputID) UUIDValue() (pgtype.UUID, error) { return pgtype.UUID{Bytes: id, Valid: true}, nil }

func scanUUID(id *[16]byte, v pgtype.UUID) error {
	if !v.Valid {
		return errors.New("an ID is NULL")
	}
	*id = v.Bytes
	return nil
}

func newUUID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// uuidTime reads the 48 bits of milliseconds that a UUIDv7 begins with (RFC 9562, section 5.7).
func uuidTime(id [16]byte) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16)).UTC()
}

// firstUUID returns the lowest UUIDv7 that can have been made at or after t: created_at is an ID's millisecond, so a
// range of time is a range of IDs.
func firstUUID(t time.Time) (id uuid.UUID) {
	const newest = 1<<48 - 1
	milliseconds := t.UnixMilli()
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		milliseconds++
	}
	milliseconds = min(max(milliseconds, 0), newest)
	binary.BigEndian.PutUint64(id[:8], uint64(milliseconds)<<16)
	return id
}

// crockford is the alphabet of TypeID's suffix. Its 26 digits hold 130 bits; the first digit only 3 of the UUID's.
// Source: the TypeID specification 0.3.0.
var crockford = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// typeIDPad is 4 zero bytes in front of the 16: 20 bytes are 32 digits, of which the first 6 are always zero.
const (
	typeIDPad    = 4
	typeIDZeros  = 6
	typeIDDigits = 26
)

func typeID(prefix string, id [16]byte) string {
	return string(appendTypeID(make([]byte, 0, 2*typeIDDigits), prefix, id))
}

func appendTypeID(b []byte, prefix string, id [16]byte) []byte {
	var padded [typeIDPad + 16]byte
	copy(padded[typeIDPad:], id[:])
	var digits [typeIDZeros + typeIDDigits]byte
	crockford.Encode(digits[:], padded[:])
	return append(append(b, prefix...), digits[typeIDZeros:]...)
}

func parseTypeID(prefix, text string) (id uuid.UUID, err error) {
	suffix, ok := strings.CutPrefix(text, prefix)
	if !ok || len(suffix) != typeIDDigits {
		return id, fmt.Errorf("%w: %.64q does not begin with %q and go on with %d digits",
			ErrInvalidID, text, prefix, typeIDDigits)
	}
	var padded [typeIDPad + 16]byte
	_, err = crockford.Decode(padded[:], []byte(strings.Repeat("0", typeIDZeros)+suffix))
	copy(id[:], padded[typeIDPad:])
	// A first digit over 7 overflows 128 bits; only what is written the same again is an ID.
	if err != nil || typeID(prefix, id) != text || id.Version() != 7 {
		return uuid.UUID{}, fmt.Errorf("%w: %.64q", ErrInvalidID, text)
	}
	return id, nil
}
