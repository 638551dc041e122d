package inference

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"sibyl/inference/picture"
)

// Options configure an Engine; the zero value of each field has a meaning.
type Options struct {
	// Library is the path of ONNX Runtime's shared library; empty: FindLibrary looks for it.
	Library string
	// Libvips is the path of libvips, which reads photographs faster, and AVIF and HEIC; "off": none; empty: found like
	// ONNX Runtime's library, and where it is nowhere, none.
	Libvips string
	// Repository is the directory that holds the models, as <model>/<version>/model.onnx; empty: the embedded one.
	Repository string
	// Provider runs the models that ask for none; empty: ProviderAuto.
	Provider Provider
	// GPUDevice is which GPU CUDA and TensorRT use, from 0; GPUMemoryLimit bounds the bytes of its memory that a
	// version's session sets aside, 0: only by what is there.
	GPUDevice      int
	GPUMemoryLimit int64
	// DefaultModel answers requests that name none; empty: the only one.
	DefaultModel string
	// MaxPixels bounds the pixels an image's header may declare; 0: 50,000,000.
	MaxPixels int
	// MaxOutputValues bounds the values of a tensor whose Data is kept; 0: 100,000.
	MaxOutputValues int
	// WarmUp bounds the time of a version's first runs, after which it is FAILED; 0: a minute. TensorRT may take ten
	// times as long.
	WarmUp time.Duration
	// Probe is a command that runs ServeProbe, such as this program with a word of its own. Each version is loaded and run
	// there first, so that one that would end the process, or take all of its memory, is FAILED. It is asked for none of
	// the embedded repository; empty: for none at all.
	Probe []string
	// Admit is asked about each version before it becomes READY; its error makes the version FAILED. nil admits all.
	// ErrUnavailable in it says that asking again may help.
	Admit func(context.Context, *ModelVersion) error
	// Watch keeps the models in step with the files of Repository while they change, and tries again what is out of reach.
	// Open then waits no more than a few seconds for other servers.
	Watch bool
	// Logger is told of versions that load and fail; nil: none is told.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Provider = cmp.Or(o.Provider, ProviderAuto)
	if o.MaxPixels == 0 {
		o.MaxPixels = 50_000_000
	}
	if o.MaxOutputValues == 0 {
		o.MaxOutputValues = 100_000
	}
	if o.WarmUp == 0 {
		o.WarmUp = time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Engine runs the models of a repository on images. Its methods are safe for concurrent use.
type Engine struct {
	maxOutputValues int
	decoder         *decoder
	models          *lifecycle
	close           func() error
}

// Open reads the repository, and loads and warms up every version of every model. A version that cannot be loaded is
// FAILED and logged; that is no error. Errors are ErrLibraryNotFound, what keeps ONNX Runtime from being loaded, what an
// explicit Options.Provider lacks, a repository that cannot be read or holds no model, and ctx's error. The caller
// closes the Engine.
func Open(ctx context.Context, o Options) (*Engine, error) {
	o = o.withDefaults()
	library, err := FindLibrary(o.Library)
	if err != nil {
		return nil, err
	}
	if err := openRuntime(library); err != nil {
		return nil, err
	}
	v, err := picture.OpenVips(ctx, o.Libvips, o.Logger)
	if err != nil {
		return nil, err
	}
	r, err := openRepository(o.Repository)
	if err != nil {
		return nil, err
	}
	if err := r.check(ctx, o); err != nil {
		return nil, err
	}
	p, err := openProviders(ctx, library, o)
	if err != nil {
		return nil, err
	}
	e := newEngine(o, r, p, newProbe(o, library, r))
	e.decoder.vips = v
	if err := e.models.open(ctx, o.Watch); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// newEngine is an engine with no model loaded.
func newEngine(o Options, r *repository, p *providers, trials *probe) *Engine {
	l := &loader{
		repository: r, providers: p, warmUp: o.WarmUp, probe: trials, admit: o.Admit, log: o.Logger,
	}
	e := &Engine{
		maxOutputValues: o.MaxOutputValues,
		decoder:         newDecoder(runtime.GOMAXPROCS(0), o.MaxPixels),
		models:          newLifecycle(l, o),
	}
	e.close = sync.OnceValue(e.closeAll)
	return e
}

// Reload reads the repository again and returns when what is new or changed in it is loaded, versions that are not READY
// are tried again, and what is gone is retired. Where Options.Watch is set, models on other servers that take longer than
// a few seconds are loaded after that. Callers share a reload that has not begun. It returns ctx's error when that takes
// longer, and then it goes on; ErrClosed; or what keeps the repository from being read, and then nothing has changed.
func (e *Engine) Reload(ctx context.Context) error { return e.models.reload(ctx) }

// Models are all models by name. The caller owns the slice, but not what it points to.
func (e *Engine) Models() []*Model {
	c := e.models.catalog.Load()
	models := make([]*Model, len(c.models))
	for i, m := range c.models {
		models[i] = m.Model
	}
	return models
}

// Model is the model of that name. It returns ErrModelNotFound when the repository has none.
func (e *Engine) Model(name string) (*Model, error) {
	if m := e.models.catalog.Load().model(name); m != nil {
		return m.Model, nil
	}
	return nil, modelNotFound(name)
}

// Resolve tells which version a request runs: of the default model where model is empty, the serving one where version
// is 0. It returns ErrModelNotFound when there is none, ErrModelNotReady when it cannot run, and ErrModelAmbiguous,
// with the names, when model is empty and there is no default.
func (e *Engine) Resolve(model string, version int) (*ModelVersion, error) {
	v, err := e.models.catalog.Load().resolve(model, version)
	if err != nil {
		return nil, err
	}
	return v.ModelVersion, nil
}

// Predict runs a version, chosen as Resolve does, on an encoded image, which it does not change nor keep. A nil error
// means that every output is there. It returns Resolve's errors; ErrUnsupportedMediaType, ErrInvalidImage and
// ErrImageTooLarge for the image; ErrOverloaded at once when too many wait; ErrClosed; and ctx's error when ctx ends
// while it waits or runs.
func (e *Engine) Predict(ctx context.Context, model string, version int, image []byte) (*Result, error) {
	l, err := e.Acquire(model, version)
	if err != nil {
		return nil, err
	}
	defer l.Release()
	return l.Predict(ctx, image)
}

// Thumbnail makes a small version of an encoded image for people to look at, upright, its longer side at most size
// pixels and never enlarged: a JPEG of a photograph, else a PNG, which contentType says. It waits for one of the permits
// that bound decoding. It returns ErrUnsupportedMediaType, ErrInvalidImage, ErrImageTooLarge, ErrOverloaded, ErrClosed,
// and ctx's error.
func (e *Engine) Thumbnail(
	ctx context.Context, image []byte, size int,
) (thumbnail []byte, contentType string, err error) {
	opened, release, err := e.decoder.open(ctx, image)
	if err != nil {
		return nil, "", err
	}
	defer release()
	return opened.Thumbnail(size)
}

// Ready tells whether every model answers that is to: nil when each has its serving version READY. A model of which all
// versions are FAILED does not count beside others, unless it is the default: waiting would not help. The error has a line
// for each model, fit for everybody, and is ErrModelNotReady, or ErrUnavailable where another server is to run the version
// and is away or has another model.
func (e *Engine) Ready() error { return e.models.catalog.Load().ready() }

// Close refuses new runs and those that wait with ErrClosed, waits for those that go on, and frees the models. It may
// be called several times.
func (e *Engine) Close() error { return e.close() }

func (e *Engine) closeAll() error {
	e.decoder.close()
	return e.models.close()
}
