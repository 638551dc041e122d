package persistence

import (
	"encoding/base64"
	"errors"
	"fmt"
)

// channel is where committed predictions are told of, by their IDs.
const channel = "predictions"

// encodedIDBytes is what an ID takes in a notification. PostgreSQL takes less than 8,000 bytes: a group is one.
const (
	encodedIDBytes       = 22
	maxNotificationBytes = 7999
)

const _ = uint(maxNotificationBytes - groupRows*encodedIDBytes)

// announce tells listeners of a group in the group's own transaction, if there are any. Notifying takes a lock from
// before the commit to after it, on which every other transaction that notifies waits; looking for listeners takes
// none. Each holds a shared advisory lock, so that the exclusive one cannot be had; it is given back at once, for two
// groups must not take each other for listeners.
const announce = `
SELECT pg_notify('` + channel + `', $1)
WHERE CASE WHEN pg_try_advisory_lock(` + listening + `) THEN NOT pg_advisory_unlock(` + listening + `) ELSE true END`

// listening is the advisory lock of listeners: two numbers of no meaning, in a space that migrations do not use.
const listening = "1399415138, 1"

// announcement writes the IDs of a group.
func announcement(group []*Record) string {
	text := make([]byte, 0, len(group)*encodedIDBytes)
	for _, r := range group {
		text = base64.RawStdEncoding.AppendEncode(text, r.Prediction.ID[:])
	}
	return string(text)
}

// announced reads what announcement writes.
func announced(text string) ([]PredictionID, error) {
	if len(text)%encodedIDBytes != 0 {
		return nil, errors.New("notification of an odd length")
	}
	ids := make([]PredictionID, len(text)/encodedIDBytes)
	for i := range ids {
		part := text[i*encodedIDBytes:][:encodedIDBytes]
		if _, err := base64.RawStdEncoding.Decode(ids[i][:], []byte(part)); err != nil {
			return nil, fmt.Errorf("notification: %w", err)
		}
	}
	return ids, nil
}
