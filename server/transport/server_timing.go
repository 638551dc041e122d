package transport

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// serverTiming collects what the answer's Server-Timing header tells: how long its stages took. It is safe for
// concurrent use, since an operation that is left behind may still add to it.
type serverTiming struct {
	mu     sync.Mutex // guards what follows
	stages []stage
	room   [4]stage // for the stages of most operations
}

type stage struct {
	name string
	took time.Duration
}

type serverTimingKey struct{}

func (t *serverTiming) into(ctx context.Context) context.Context {
	return context.WithValue(ctx, serverTimingKey{}, t)
}

// AddTiming tells the client of the operation of ctx how long a stage took; one that came several times is summed. The
// name is a token of HTTP.
func AddTiming(ctx context.Context, name string, took time.Duration) {
	t, ok := ctx.Value(serverTimingKey{}).(*serverTiming)
	if !ok {
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
func (t *serverTiming) header(total time.Duration) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := make([]byte, 0, 128)
	for _, s := range t.stages {
		line = append(appendTiming(line, s), ", "...)
	}
	return string(appendTiming(line, stage{"total", total}))
}

func appendTiming(line []byte, s stage) []byte {
	milliseconds := float64(s.took) / float64(time.Millisecond)
	return strconv.AppendFloat(append(append(line, s.name...), ";dur="...), milliseconds, 'f', 3, 64)
}
