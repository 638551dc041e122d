package inference

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"sibyl/inference/oip"
)

const (
	// probeHealthy is how often a server that answers is asked about the model, and probeAway one that does not.
	probeHealthy = 5 * time.Second
	probeAway    = 500 * time.Millisecond
	// tryTimeout bounds a run that finds out whether a server has the right model again.
	tryTimeout = 30 * time.Second
)

// start watches the server until close, as the one that described the model so. It calls moved when the server has
// another model, and when it has the right one again.
func (x *remote) start(described *oip.ModelMetadataResponse, log *slog.Logger, moved func()) {
	ctx, stop := context.WithCancel(context.Background())
	x.described, x.stop, x.stopped = described, stop, make(chan struct{})
	go func() {
		defer close(x.stopped)
		x.watch(ctx, log, moved)
	}()
}

// watch probes the server from time to time, and soon after a call has failed. It opens and closes the breaker, and
// tells the log when the server goes and when it is back.
func (x *remote) watch(ctx context.Context, log *slog.Logger, moved func()) {
	away, told := false, false
	for x.pause(ctx) {
		err := x.probe(ctx)
		if ctx.Err() != nil {
			return
		}
		before := x.breaker.replaced() != nil
		x.breaker.probed(err)
		cause := x.breaker.allow()
		switch {
		case cause != nil && !away:
			log.LogAttrs(ctx, slog.LevelError, "remote model away", slog.String("model", x.model), slog.Any("error", cause))
		case cause == nil && away:
			log.LogAttrs(ctx, slog.LevelInfo, "remote model back", slog.String("model", x.model))
		}
		away = cause != nil
		if now := x.breaker.replaced() != nil; now != before || now != told { // a call may have found it out, too
			told = now
			moved()
		}
	}
}

// pause lies between two probes; false where ctx ends. A call that fails after a long time of peace ends it.
func (x *remote) pause(ctx context.Context) bool {
	rest, trouble := time.After(probeAway), (chan struct{})(nil)
	if x.breaker.healthy() {
		rest, trouble = time.After(probeHealthy), x.breaker.trouble
	}
	select {
	case <-rest:
	case <-trouble:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// probe asks whether the model is there, and still the one that was loaded. Where another one was there, it has to answer
// again as that did. The error is ErrUnavailable.
func (x *remote) probe(ctx context.Context) error {
	err := x.compare(ctx)
	if err == nil && x.breaker.replaced() != nil {
		err = x.try(ctx)
	}
	if err != nil && !errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// compare asks whether the model is described as it was when it was loaded.
func (x *remote) compare(ctx context.Context) error {
	now, err := x.describe(ctx)
	if err == nil && !proto.Equal(tensorsOf(now), tensorsOf(x.described)) {
		return anotherModel("it has other inputs or outputs than when it was loaded")
	}
	return err
}

// try runs the model on black, in the watch's slot.
func (x *remote) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	black := newTask()
	black.input = make([]float32, x.input.Width*x.input.Height*x.input.Channels())
	slot := x.instances()
	x.load(slot, black.self[:])
	return x.ask(ctx, &x.slots[slot])
}

// tensorsOf is the part of a description that must stay as it is.
func tensorsOf(m *oip.ModelMetadataResponse) *oip.ModelMetadataResponse {
	return &oip.ModelMetadataResponse{Inputs: m.GetInputs(), Outputs: m.GetOutputs()}
}
