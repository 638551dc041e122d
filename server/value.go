package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sibyl/persistence"
)

// ByteSize is a number of bytes, typed as `16MiB`, `1GB` or in digits alone.
type ByteSize int64

// byteUnits are what a size may end with, the longer before the shorter.
var byteUnits = []struct {
	suffix string
	factor float64
}{
	{"kib", 1 << 10},
	{"mib", 1 << 20},
	{"gib", 1 << 30},
	{"kb", 1e3},
	{"mb", 1e6},
	{"gb", 1e9},
	{"b", 1},
	{"", 1},
}

// UnmarshalText reads a size; capitals do not matter.
func (s *ByteSize) UnmarshalText(text []byte) error {
	lower := strings.ToLower(strings.TrimSpace(string(text)))
	for _, unit := range byteUnits {
		digits, found := strings.CutSuffix(lower, unit.suffix)
		if !found {
			continue
		}
		number, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || !(number >= 0 && number*unit.factor < math.MaxInt64) {
			break
		}
		*s = ByteSize(number * unit.factor)
		return nil
	}
	return errors.New("a size is a number with B, KB, MB, GB, KiB, MiB or GiB, or without")
}

// KeepTime is how long something is kept, typed as `30d`, `720h` or both, `1d12h`; 0 is for ever.
type KeepTime time.Duration

// UnmarshalText reads a time; a day has 24 hours.
func (k *KeepTime) UnmarshalText(text []byte) error {
	rest := strings.ToLower(strings.TrimSpace(string(text)))
	if rest == "" {
		*k = 0
		return nil
	}
	var kept time.Duration
	if days, after, found := strings.Cut(rest, "d"); found {
		number, err := strconv.ParseFloat(days, 64)
		if err != nil || !(number >= 0 && number < math.MaxInt64/float64(48*time.Hour)) {
			return errKeepTime
		}
		kept, rest = time.Duration(number*float64(24*time.Hour)), after
	}
	if rest != "" {
		hours, err := time.ParseDuration(rest)
		if err != nil || hours < 0 || hours > math.MaxInt64/2 {
			return errKeepTime
		}
		kept += hours
	}
	*k = KeepTime(kept)
	return nil
}

var errKeepTime = errors.New("a time to keep something is a number of days, hours or less, as 30d, 720h or 90m")

// DatabaseURL is where the database is. It holds a password, which is not shown when it is printed or logged.
type DatabaseURL string

// validate reports a URL that cannot be meant for the flag; its error does not show it.
func (u DatabaseURL) validate(flag string) error {
	if u == "" {
		return nil
	}
	parsed, err := url.Parse(string(u))
	if err != nil || (parsed.Scheme != "postgres" && parsed.Scheme != "postgresql") {
		return errors.New(flag + " is not a postgres:// URL")
	}
	return nil
}

// passwords are what pgx reads as a password beside that of the URL's user.
var passwords = regexp.MustCompile(`(?i)((?:ssl)?password=)[^&\s]*`)

// String returns the URL with `xxxxx` in the place of its password.
func (u DatabaseURL) String() string {
	if u == "" {
		return ""
	}
	parsed, err := url.Parse(string(u))
	if err != nil {
		return "xxxxx"
	}
	return passwords.ReplaceAllString(parsed.Redacted(), "${1}xxxxx")
}

// GoString is String, for %#v.
func (u DatabaseURL) GoString() string { return strconv.Quote(u.String()) }

// LogValue is String, for slog.
func (u DatabaseURL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText is String, for JSON.
func (u DatabaseURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// ImagesURL is where images are. Its query may hold a secret, so that it is not shown when it is printed or logged.
type ImagesURL string

// validate reports a URL that cannot be meant; its error does not show it.
func (u ImagesURL) validate() error {
	if u == "" {
		return nil
	}
	if err := persistence.CheckImagesURL(string(u)); err != nil {
		return fmt.Errorf("--images (SIBYL_IMAGES): %w", err)
	}
	return nil
}

// String returns the URL with `xxxxx` in the place of its query and its password.
func (u ImagesURL) String() string {
	if u == "" {
		return ""
	}
	parsed, err := url.Parse(string(u))
	if err != nil {
		return "xxxxx"
	}
	if parsed.RawQuery != "" {
		parsed.RawQuery = "xxxxx"
	}
	return parsed.Redacted()
}

// GoString is String, for %#v.
func (u ImagesURL) GoString() string { return strconv.Quote(u.String()) }

// LogValue is String, for slog.
func (u ImagesURL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText is String, for JSON.
func (u ImagesURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }
