package persistence

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
)

// tailLines is how many lines of PostgreSQL's log an error of its start shows.
const tailLines = 12

// serverLog hands each line that PostgreSQL writes to a logger, and keeps the last ones. Safe for concurrent use.
type serverLog struct {
	logger *slog.Logger

	mu      sync.Mutex // guards what follows
	silent  bool
	level   slog.Level // of the message that the next line may continue
	partial []byte     // a line whose end has not come yet
	last    []string
	full    bool // a line said that the disk is
}

func newServerLog(l *slog.Logger) *serverLog { return &serverLog{logger: l, silent: true} }

// quiet sets whether all lines go to the debug level: while a server starts and stops they are no news.
func (s *serverLog) quiet(silent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = silent
}

// begin forgets what the server before has written, and is quiet until the next one answers.
func (s *serverLog) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent, s.partial, s.last, s.full = true, nil, nil, false
}

// Write takes output of the server, cut anywhere.
func (s *serverLog) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partial = append(s.partial, p...)
	for {
		line, rest, found := bytes.Cut(s.partial, []byte("\n"))
		if !found {
			return len(p), nil
		}
		s.line(strings.TrimSpace(string(line)))
		s.partial = rest
	}
}

func (s *serverLog) line(text string) {
	if text == "" {
		return
	}
	if len(s.last) == tailLines {
		s.last = append(s.last[:0], s.last[1:]...)
	}
	s.last = append(s.last, text)
	s.full = s.full || strings.HasSuffix(text, diskFull)
	severity, _, _ := strings.Cut(text, ":  ")
	if level, ok := severities[severity]; ok {
		s.level = level
	}
	level := s.level
	if s.silent {
		level = slog.LevelDebug
	}
	s.logger.LogAttrs(context.Background(), level, "postgres", slog.String("line", text))
}

// says tells whether one of the last lines holds a text.
func (s *serverLog) says(text string) bool { return strings.Contains(s.tail(), text) }

// diskFull is how a line of PostgreSQL ends that tells of a disk without room; the lines after it may be many.
const diskFull = "No space left on device"

// toldFull tells whether this server has said that the disk is full.
func (s *serverLog) toldFull() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full
}

// severities are the levels of PostgreSQL's messages; a line that begins with none of them continues the one before.
// An ERROR is the answer to a statement: who sent it deals with it.
var severities = map[string]slog.Level{
	"LOG":     slog.LevelInfo,
	"ERROR":   slog.LevelDebug,
	"WARNING": slog.LevelWarn,
	"FATAL":   slog.LevelWarn,
	"PANIC":   slog.LevelError,
}

// tail is the last lines of this server, each after a line break, for the end of an error; empty where there are none.
func (s *serverLog) tail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.last) == 0 {
		return ""
	}
	return "; its last lines:\n  " + strings.Join(s.last, "\n  ")
}
