package persistence

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestServerLogLevels(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	noTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: noTime}))
	s := newServerLog(logger)
	for _, part := range []string{"LOG:  starting\nLO", "G:  re"} {
		_, _ = s.Write([]byte(part))
	}
	s.quiet(false)
	_, _ = s.Write([]byte("ady\nFATAL:  no entry\nDETAIL:  why\nERROR:  a client's\nPANIC:  disk\n\n"))
	want := []string{
		`level=DEBUG msg=postgres line="LOG:  starting"`,
		`level=INFO msg=postgres line="LOG:  ready"`,
		`level=WARN msg=postgres line="FATAL:  no entry"`,
		`level=WARN msg=postgres line="DETAIL:  why"`,
		`level=DEBUG msg=postgres line="ERROR:  a client's"`,
		`level=ERROR msg=postgres line="PANIC:  disk"`,
	}
	if got := strings.Split(strings.TrimSpace(out.String()), "\n"); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("logged\n%s\nwant\n%s", out.String(), strings.Join(want, "\n"))
	}
}

func TestServerLogKeepsTheLastLines(t *testing.T) {
	t.Parallel()
	s := newServerLog(slog.New(slog.DiscardHandler))
	if tail := s.tail(); tail != "" {
		t.Errorf("tail of nothing: %q", tail)
	}
	for range 3 * tailLines {
		_, _ = s.Write([]byte("LOG:  early\n"))
	}
	_, _ = s.Write([]byte("FATAL:  last words\n"))
	if tail := s.tail(); strings.Count(tail, "\n") != tailLines || !strings.HasSuffix(tail, "last words") {
		t.Errorf("tail: %q", tail)
	}
	if s.begin(); s.tail() != "" {
		t.Errorf("tail of the next server: %q", s.tail())
	}
}
