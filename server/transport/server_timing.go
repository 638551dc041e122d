package transport

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// ServerTiming collects what the answer's Server-Timing header tells: how long its stages took. It is safe for
// concurrent use, since an operation that is left behind may still add to it.
type ServerTiming struct {
	mu     sync.Mutex // guards what follows
	stages []stage
	room   [4]stage // for the stages of most operations
}

type stage struct {
	name string
	took time.Duration
}

// ServerTimingOf returns that of the answer to the operation of ctx, or nil where there is none.
func ServerTimingOf(ctx context.Context) *ServerTiming {
	if x := exchangeOf(ctx); x != nil {
		return &x.timing
	}
	return nil
}

// Add tells how long a stage took; one that came several times is summed. The name is a token of HTTP. Of nil it tells
// nobody.
func (t *ServerTiming) Add(name string, took time.Duration) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.stages {
		if t.stages[i].name == name {
			t.stages[i].took += took
			return
		}
	}
	if t.stages == nil {
		t.stages = t.room[:0]
	}
	t.stages = append(t.stages, stage{name, took})
}

// header is the header's value, with the time in all.
// Source: https://www.w3.org/TR/server-timing/.
func (t *ServerTiming) header(total time.Duration) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := make([]byte, 0, 128)
	for _, s := range t.stages {
		line = append(s.append(line), ", "...)
	}
	return string(stage{"total", total}.append(line))
}

// append appends the stage with its milliseconds, to three decimals.
func (s stage) append(line []byte) []byte {
	line = append(append(line, s.name...), ";dur="...)
	microseconds := max(0, s.took.Microseconds())
	line = append(strconv.AppendInt(line, microseconds/1000, 10), '.')
	below := microseconds % 1000
	return append(line, byte('0'+below/100), byte('0'+below/10%10), byte('0'+below%10))
}
