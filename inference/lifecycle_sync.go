package inference

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"time"
)

// errUnsettled tells that a version's files changed while they were read: what was loaded may be half of one and half
// of the other.
var errUnsettled = errors.New("its files are still changing")

// errBusy tells that a model on another server is still being loaded.
var errBusy = errors.New("it is still being loaded from another server")

const (
	// maxElsewhere bounds the models on other servers that are loaded at the same time.
	maxElsewhere = 8
	// elsewherePatience is for other servers that answer within a moment: the rest is not held by those that do not.
	elsewherePatience = 5 * time.Second
	// forever is the patience where nobody looks at them again.
	forever = time.Duration(math.MaxInt64)
)

// look is what a sync is to do.
type look struct {
	// models are the names of those to look at; nil: all.
	models map[string]bool
	// retry loads what is not READY even where nothing has changed.
	retry bool
	// patience is how long to wait for models on other servers; those that take longer go on.
	patience time.Duration
}

// sync brings the catalog in step with the repository. It returns the models that must be looked at again, with the
// reason: errUnsettled, ErrUnavailable where something out of reach is needed, or errBusy; an error where the repository
// cannot be read, and then nothing has changed; and ctx's error.
func (l *lifecycle) sync(ctx context.Context, look look) (again map[string]error, err error) {
	elsewhere, again, err := l.syncHere(ctx, look)
	if err != nil {
		return nil, err
	}
	patience, cancel := context.WithTimeout(ctx, look.patience)
	defer cancel()
	for _, s := range elsewhere {
		err := errBusy
		select {
		case <-s.done:
			err = s.err
		case <-patience.Done():
		}
		if err != nil {
			again[s.model] = err
		}
	}
	return again, ctx.Err()
}

// syncHere is the part of sync that happens on this machine. It begins the rest, and tells of it.
func (l *lifecycle) syncHere(ctx context.Context, look look) (begun []*remoteSync, again map[string]error, err error) {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if err := ctx.Err(); err != nil { // while it waited, all may have been closed
		return nil, nil, err
	}
	found, err := l.loader.repository.models(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	l.loader.repository.tellNameless(ctx, l.log)
	again = make(map[string]error)
	var here []modelDirectory
	for _, directory := range l.known(found) {
		switch name := directory.name; {
		case directory.unreadable || look.models != nil && !look.models[name]:
		case l.isBusy(name):
			again[name] = errBusy
		case len(directory.versions) > 0 && l.loader.repository.isRemote(name):
			begun = append(begun, l.beginElsewhere(directory, look.retry))
		default:
			here = append(here, directory)
		}
	}
	for _, directory := range here {
		if err := l.syncModel(ctx, directory, look.retry); err != nil {
			again[directory.name] = err
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
	}
	return begun, again, nil
}

// remoteSync is the sync of a model on another server.
type remoteSync struct {
	model string
	done  chan struct{}
	err   error // once done is closed
}

// beginElsewhere brings a model on another server in step, beside everything else: that server may be slow.
func (l *lifecycle) beginElsewhere(directory modelDirectory, retry bool) *remoteSync {
	s := &remoteSync{model: directory.name, done: make(chan struct{})}
	l.setBusy(s.model, true)
	l.background.Go(func() {
		defer close(s.done)
		defer l.setBusy(s.model, false)
		select {
		case l.slots <- struct{}{}:
			s.err = l.syncModel(l.loading, directory, retry)
			<-l.slots
		case <-l.loading.Done():
			s.err = l.loading.Err()
		}
	})
	return s
}

func (l *lifecycle) isBusy(model string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy[model]
}

func (l *lifecycle) setBusy(model string, busy bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy[model] = busy
}

// syncModel brings one model in step. The error is why it must be looked at again.
func (l *lifecycle) syncModel(ctx context.Context, directory modelDirectory, retry bool) error {
	record := l.record(directory)
	var errs []error
	for _, number := range directory.versions {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		errs = append(errs, l.syncVersion(ctx, record, directory.name, number, retry))
	}
	l.change(func() {
		for number := range record.versions {
			if !slices.Contains(directory.versions, number) {
				l.gone(ctx, record, number)
			}
		}
		if len(record.versions) == 0 {
			delete(l.records, directory.name)
		}
	})
	return errors.Join(errs...)
}

// record is what is known of a model, with what config.yaml says of its versions now.
func (l *lifecycle) record(directory modelDirectory) *modelRecord {
	route, err := l.loader.repository.route(directory.name)
	var record *modelRecord
	l.change(func() {
		if record = l.records[directory.name]; record == nil {
			record = &modelRecord{versions: make(map[int]*versionRecord)}
			l.records[directory.name] = record
		}
		if err == nil { // else the versions fail, and tell it
			record.configured = route
		}
	})
	return record
}

// syncVersion loads a version that is new or has changed. The error is why it must be looked at again.
func (l *lifecycle) syncVersion(ctx context.Context, m *modelRecord, model string, number int, retry bool) error {
	known := m.versions[number]
	stamp := l.loader.repository.stamp(model, number)
	if known != nil && known.stamp == stamp && (!retry || known.isWell()) {
		return nil
	}
	if known == nil {
		known = &versionRecord{}
	}
	l.change(func() {
		m.versions[number] = known
		if known.running == nil && (known.shown == nil || known.shown.State != ModelLoading) {
			known.shown = loadingVersion(model, number)
		}
	})
	v, err := l.loader.load(ctx, model, number)
	switch {
	case l.loader.repository.stamp(model, number) != stamp:
		err = errors.Join(errUnsettled, v.close())
	case err != nil && (ctx.Err() != nil || errors.Is(err, ErrUnavailable)):
	default:
		l.change(func() { l.take(known, v, stamp) })
		logLoaded(ctx, l.log, v.ModelVersion)
		return nil
	}
	l.postpone(ctx, known, err)
	return err
}

// postpone leaves a version to be looked at again, for the reason, which the log is told once.
func (l *lifecycle) postpone(ctx context.Context, record *versionRecord, reason error) {
	model, number := record.shown.Name, record.shown.Version
	l.change(func() {
		record.stamp = ""
		if record.running == nil && errors.Is(reason, ErrUnavailable) {
			record.shown = awaitingVersion(model, number)
		}
	})
	if ctx.Err() == nil && record.told != reason.Error() {
		record.told = reason.Error()
		l.log.LogAttrs(ctx, slog.LevelWarn, "model version not loaded yet", slog.String("model", model),
			slog.Int("version", number), slog.Any("reason", reason))
	}
}

// isWell tells that nothing would be won by loading the same files again.
func (r *versionRecord) isWell() bool {
	return r.shown.State != ModelFailed && (r.running == nil || r.running.replaced() == nil)
}

// take puts what was loaded in the place of what was there. What FAILED takes no place: the version that was loaded
// before is in memory as it was, and goes on answering; it is shown with the reason. mu is held.
func (l *lifecycle) take(record *versionRecord, v *version, stamp string) {
	record.stamp, record.told = stamp, ""
	switch {
	case v.State == ModelReady && record.running != nil:
		l.retire(record.running)
		fallthrough
	case v.State == ModelReady:
		record.running = v
		record.shown = v.ModelVersion
	case record.running == nil:
		record.shown = v.ModelVersion
	case record.running.replaced() == nil: // else its own reason is shown
		reason := *v.StateReason + "; what was loaded before goes on answering"
		shown := *record.running.ModelVersion
		shown.State, shown.StateReason = ModelFailed, &reason
		record.shown = &shown
	}
}

// gone retires a version whose directory is gone. One that never was READY is forgotten. mu is held.
func (l *lifecycle) gone(ctx context.Context, m *modelRecord, number int) {
	record := m.versions[number]
	if record.shown.State == ModelRetired {
		return
	}
	if record.running == nil {
		delete(m.versions, number)
		return
	}
	retired := *record.running.ModelVersion
	retired.State, retired.ExecutionProvider = ModelRetired, nil
	l.log.LogAttrs(ctx, slog.LevelInfo, "model version retired",
		slog.String("model", retired.Name), slog.Int("version", number))
	l.retire(record.running)
	m.versions[number] = &versionRecord{shown: &retired}
}

func logLoaded(ctx context.Context, log *slog.Logger, v *ModelVersion) {
	level, message := slog.LevelInfo, "model version ready"
	attrs := []slog.Attr{slog.String("model", v.Name), slog.Int("version", v.Version)}
	if v.State == ModelReady {
		attrs = append(attrs, slog.String("kind", string(v.Output.Kind)), slog.String("provider", *v.ExecutionProvider),
			slog.Duration("took", v.LoadDuration))
	} else {
		level, message = slog.LevelError, "model version failed"
		attrs = append(attrs, slog.String("reason", *v.StateReason))
	}
	log.LogAttrs(ctx, level, message, attrs...)
}

// changed are the names of the models whose files are not those that were loaded.
func (l *lifecycle) changed(ctx context.Context) []string {
	found, err := l.loader.repository.models(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil
	}
	var names []string
	for _, directory := range l.known(found) {
		if !directory.unreadable && l.differs(directory) {
			names = append(names, directory.name)
		}
	}
	return names
}

// differs tells whether a model's directory is not as it was at the last look.
func (l *lifecycle) differs(directory modelDirectory) bool {
	now := make(map[int]string)
	for _, number := range directory.versions {
		now[number] = l.loader.repository.stamp(directory.name, number)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	record := l.records[directory.name]
	if record == nil {
		return true
	}
	for number, v := range record.versions {
		if v.shown.State != ModelRetired && v.stamp != now[number] {
			return true
		}
		if v.shown.State != ModelRetired {
			delete(now, number)
		}
	}
	return len(now) > 0
}
