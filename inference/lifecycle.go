package inference

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// lifecycle keeps a catalog in step with a repository: it loads versions that are new or have changed, swaps them in
// once they are READY, and retires those whose directories are gone. A version that is replaced or retired takes no new
// request; when its last one is answered it is freed.
type lifecycle struct {
	loader *loader
	log    *slog.Logger
	// defaultModel is Options.DefaultModel.
	defaultModel string
	// catalog is read without a lock, and never nil.
	catalog atomic.Pointer[catalog]

	// patience is how long who asks for a look at everything waits for models on other servers.
	patience time.Duration

	// loading is the context of what is loaded after open; stop ends it, and background waits for who uses it.
	loading    context.Context
	stop       context.CancelFunc
	background sync.WaitGroup
	// syncing is held while the repository is read and its models are loaded: one after the other, since each is
	// measured. Those on other servers are not, and have slots.
	syncing sync.Mutex
	slots   chan struct{}
	// reloading is held during a reload.
	reloading sync.Mutex

	// mu guards what follows, of which every change of records and routes ends with publish. It is held for moments only.
	mu      sync.Mutex
	records map[string]*modelRecord
	routes  map[string]Route
	// busy are the models on other servers that are being loaded: their records are not to be touched.
	busy map[string]bool
	// next is the reload that has not begun; nil where nobody asks for one.
	next *reload
	// draining counts the versions that answer their last requests.
	draining sync.WaitGroup
}

// modelRecord is what the last look at a model's directory found.
type modelRecord struct {
	// configured is what config.yaml says of the versions.
	configured Route
	versions   map[int]*versionRecord
}

// versionRecord is one version's place in its life.
type versionRecord struct {
	// stamp is that of the files that were loaded, or could not be; empty where they have to be read again.
	stamp string
	shown *ModelVersion
	// running answers requests; nil where nothing can.
	running *version
	// told is why it was not loaded yet, as the log has it.
	told string
}

func newLifecycle(l *loader, o Options) *lifecycle {
	c := &lifecycle{
		loader: l, log: o.Logger, defaultModel: o.DefaultModel, patience: forever,
		slots: make(chan struct{}, maxElsewhere), records: make(map[string]*modelRecord), busy: make(map[string]bool),
	}
	if o.Watch { // which looks at the rest again
		c.patience = elsewherePatience
	}
	c.loading, c.stop = context.WithCancel(context.Background())
	c.catalog.Store(&catalog{defaultModel: o.DefaultModel})
	l.moved = func() { c.change(func() {}) }
	return c
}

// open loads every version of every model, and then watches the repository where that is wanted.
func (l *lifecycle) open(ctx context.Context, watched bool) error {
	again, err := l.sync(ctx, look{patience: l.patience})
	if err == nil && watched {
		l.background.Go(func() { watch(l.loading, l, again) })
	}
	return err
}

// publish makes the catalog anew from what is known. mu is held.
func (l *lifecycle) publish() {
	c := &catalog{defaultModel: l.defaultModel}
	for _, name := range slices.Sorted(maps.Keys(l.records)) {
		record := l.records[name]
		m := &catalogModel{Model: &Model{Name: name}, running: make(map[int]*version)}
		for _, number := range slices.Sorted(maps.Keys(record.versions)) {
			v := record.versions[number]
			m.Versions = append(m.Versions, v.show())
			if v.running != nil {
				m.running[number] = v.running
			}
		}
		route, ok := l.routes[name]
		if !ok {
			route = record.configured
		}
		route.apply(m)
		c.models = append(c.models, m)
	}
	l.catalog.Store(c)
}

// show is the version as it is shown: what was loaded, or LOADING while the server that runs it has another model.
func (r *versionRecord) show() *ModelVersion {
	if r.running == nil || r.shown.State != ModelReady {
		return r.shown
	}
	err := r.running.replaced()
	if err == nil {
		return r.shown
	}
	v, reason := *r.shown, err.Error()
	v.State, v.StateReason = ModelLoading, &reason
	return &v
}

// change changes what is known, and publishes it.
func (l *lifecycle) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	l.publish()
}

func (l *lifecycle) setRoutes(routes map[string]Route) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !maps.Equal(l.routes, routes) {
		l.routes = routes
		l.publish()
	}
}

// retire lets a version go that is in no catalog any more. mu is held.
func (l *lifecycle) retire(v *version) {
	l.draining.Go(func() {
		v.release()
		<-v.unused
		if err := v.close(); err != nil {
			l.log.Error("model version not freed", "model", v.Name, "version", v.Version, "error", err)
		}
	})
}

// close ends what goes on in the background, and frees every version, after its runs; those who wait for one, and those
// who come, get ErrClosed. It may be called once.
func (l *lifecycle) close() error {
	l.mu.Lock()
	l.stop() // nothing new begins from here on
	l.mu.Unlock()
	l.background.Wait()
	var errs []error
	for _, m := range l.catalog.Load().models {
		for _, v := range m.running {
			errs = append(errs, v.close())
		}
	}
	l.draining.Wait()
	l.loader.probe.rest()
	return errors.Join(errs...)
}

// known adds to the models that were found those that are gone, with no version left. They are by name.
func (l *lifecycle) known(found []modelDirectory) []modelDirectory {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := make(map[string]bool, len(found))
	for _, directory := range found {
		names[directory.name] = true
	}
	for name := range l.records {
		if !names[name] {
			found = append(found, modelDirectory{name: name})
		}
	}
	slices.SortFunc(found, func(a, b modelDirectory) int { return strings.Compare(a.name, b.name) })
	return found
}
