package graph

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vikstrous/dataloadgen"

	"sibyl/inference"
	"sibyl/persistence"
)

// loaderWait is how long a loader collects keys that no connection has told it of; dataloadgen's own 16 ms would be
// felt.
const loaderWait = 200 * time.Microsecond

// loaders hold what one operation has read. Connections prime them, so that a page is read at once and without a wait.
type loaders struct {
	resolver *Resolver
	// answerBytes are the image bytes that the answer may still take, and pixels those that may still be decoded for it.
	answerBytes, pixels atomic.Int64

	// mu guards what follows. All of it is made when it is first needed, which most operations do not.
	mu          sync.Mutex
	inputs      *dataloadgen.Loader[persistence.InputID, *persistence.Input]
	predictions *dataloadgen.Loader[persistence.PredictionID, *persistence.Prediction]
	// unsorted are inputs that were read together, on their way into seen.
	unsorted [][]*persistence.Input
	seen     map[persistence.InputID]seenInput
	// lists are those of model versions, which are asked for on every prediction.
	lists *memo
	// tensors are the parsed outputs of predictions.
	tensors map[persistence.PredictionID]func() ([]inference.Tensor, error)
}

type loadersKey struct{}

func withLoaders(ctx context.Context, r *Resolver) context.Context {
	l := &loaders{resolver: r}
	l.answerBytes.Store(r.options.MaxResponseBytes)
	l.pixels.Store(maxPixels)
	return context.WithValue(ctx, loadersKey{}, l)
}

// loadersOf returns the operation's loaders. Without AroundOperation it panics: a bug of whoever built the server.
func loadersOf(ctx context.Context) *loaders { return ctx.Value(loadersKey{}).(*loaders) }

// inputsByID loads inputs.
func (l *loaders) inputsByID() *dataloadgen.Loader[persistence.InputID, *persistence.Input] {
	return madeOnce(l, &l.inputs, l.resolver.inputsByID)
}

// predictionsByID loads predictions.
func (l *loaders) predictionsByID() *dataloadgen.Loader[persistence.PredictionID, *persistence.Prediction] {
	return madeOnce(l, &l.predictions, l.resolver.predictionsByID)
}

// madeOnce returns the loader of a place in the loaders, which it makes where there is none.
func madeOnce[K comparable, V any](
	l *loaders, place **dataloadgen.Loader[K, V], fetch func(context.Context, []K) (map[K]V, error),
) *dataloadgen.Loader[K, V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if *place == nil {
		*place = dataloadgen.NewMappedLoader(fetch, dataloadgen.WithWait(loaderWait))
	}
	return *place
}

// memo is what was asked, once for each question.
type memo struct {
	mu    sync.Mutex
	asked map[any]any // question → func() (V, error); guarded by mu
}

// remember returns what fetch finds. It is called once for each question, which tells all that the outcome depends on;
// whoever asks the same meanwhile waits.
func remember[V any](m *memo, question any, fetch func() (V, error)) (V, error) {
	m.mu.Lock()
	answer, ok := m.asked[question].(func() (V, error))
	if !ok {
		answer = sync.OnceValues(fetch)
		if m.asked == nil {
			m.asked = map[any]any{}
		}
		m.asked[question] = answer
	}
	m.mu.Unlock()
	return answer()
}

// page is inputs that were read together: what is asked of one of them is asked of all, once.
type page struct {
	inputs []*persistence.Input
	memo   memo
}

// seenInput is an input that was read, with the page that it came in.
type seenInput struct {
	input *persistence.Input
	page  *page
}

// ids returns those of the inputs.
func ids(inputs []*persistence.Input) []persistence.InputID {
	ids := make([]persistence.InputID, len(inputs))
	for i, in := range inputs {
		ids[i] = in.ID
	}
	return ids
}

// sawInputs tells the loaders of inputs that were read together. One that came before stays in the page that it had.
func (l *loaders) sawInputs(inputs []*persistence.Input) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsorted = append(l.unsorted, inputs)
}

// sorted returns the inputs that were read, by ID; l.mu must be held. They are sorted when one is looked for, which
// most operations do not.
func (l *loaders) sorted() map[persistence.InputID]seenInput {
	if l.seen == nil {
		l.seen = make(map[persistence.InputID]seenInput)
	}
	for _, inputs := range l.unsorted {
		p := &page{inputs: make([]*persistence.Input, 0, len(inputs))}
		for _, in := range inputs {
			if _, before := l.seen[in.ID]; !before {
				p.inputs = append(p.inputs, in)
				l.seen[in.ID] = seenInput{in, p}
			}
		}
	}
	l.unsorted = nil
	return l.seen
}

// forget makes what is asked of inputs from now on be read again: a mutation before it may have changed it.
func (l *loaders) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inputs, l.predictions, l.unsorted, l.seen, l.lists = nil, nil, nil, nil, nil
}

// versionLists remembers the lists of model versions, and what is kept of these.
func (l *loaders) versionLists() *memo {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lists == nil {
		l.lists = new(memo)
	}
	return l.lists
}

// unseen returns the inputs of the predictions that have not been read, each once.
func (l *loaders) unseen(predictions []*persistence.Prediction) []persistence.InputID {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, listed := l.sorted(), make(map[persistence.InputID]bool, len(predictions))
	var unseen []persistence.InputID
	for _, p := range predictions {
		if _, seen := known[p.InputID]; !seen && !listed[p.InputID] {
			listed[p.InputID] = true
			unseen = append(unseen, p.InputID)
		}
	}
	return unseen
}

// known returns an input that has been read.
func (l *loaders) known(id persistence.InputID) (*persistence.Input, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen, ok := l.sorted()[id]
	return seen.input, ok
}

// pageOf returns the page that an input came in.
func (l *loaders) pageOf(in *persistence.Input) *page {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen, ok := l.sorted()[in.ID]
	if !ok {
		seen = seenInput{in, &page{inputs: []*persistence.Input{in}}}
		l.seen[in.ID] = seen
	}
	return seen.page
}

// input starts to load an input that may have been read, and returns how to wait for it.
func (l *loaders) input(ctx context.Context, id persistence.InputID) func() (*persistence.Input, error) {
	if in, known := l.known(id); known {
		return func() (*persistence.Input, error) { return in, nil }
	}
	return l.inputsByID().LoadThunk(ctx, id)
}

// primeInputs reads the inputs of a page of predictions in one statement, unless they came with it.
func (r *Resolver) primeInputs(ctx context.Context, page []*persistence.Prediction) error {
	if len(page) > 0 && page[0].Input != nil {
		inputs := make([]*persistence.Input, len(page))
		for i, p := range page {
			inputs[i] = p.Input
		}
		loadersOf(ctx).sawInputs(inputs)
		return nil
	}
	unseen := loadersOf(ctx).unseen(page)
	if len(unseen) == 0 {
		return nil
	}
	_, err := r.readInputs(ctx, unseen)
	return err
}

// readInputs reads inputs together.
func (r *Resolver) readInputs(ctx context.Context, ids []persistence.InputID) ([]*persistence.Input, error) {
	rows, err := r.store.InputsByID(ctx, ids, mentionsImage(graphql.GetOperationContext(ctx).Doc))
	if err == nil {
		loadersOf(ctx).sawInputs(rows)
	}
	return rows, err
}

// mentionsImage tells whether a document has a field `image` anywhere. Where it has none, no input's is asked for, by
// whatever way the input comes.
func mentionsImage(document *ast.QueryDocument) bool {
	for _, operation := range document.Operations {
		if selectsImage(operation.SelectionSet) {
			return true
		}
	}
	return slices.ContainsFunc(document.Fragments, func(f *ast.FragmentDefinition) bool {
		return selectsImage(f.SelectionSet)
	})
}

func selectsImage(selections ast.SelectionSet) bool {
	return slices.ContainsFunc(selections, func(selection ast.Selection) bool {
		switch selection := selection.(type) {
		case *ast.Field:
			return selection.Name == "image" || selectsImage(selection.SelectionSet)
		case *ast.InlineFragment:
			return selectsImage(selection.SelectionSet)
		}
		return false // a fragment by its name: the document has it, too
	})
}

// inputOf returns the input of a prediction, which may have come with it. For one that a subscription gave it is read with
// its neighbours', for all subscribers.
func (r *Resolver) inputOf(ctx context.Context, p *persistence.Prediction) (*persistence.Input, error) {
	if p.Input != nil {
		return p.Input, nil
	}
	l := loadersOf(ctx)
	if batch := p.Batch(); batch != nil {
		inputs, err := batch.Inputs()
		if err != nil {
			return nil, err
		}
		if in, ok := inputs[p.InputID]; ok {
			l.sawInputs([]*persistence.Input{in})
		}
	}
	return l.input(ctx, p.InputID)()
}

func (r *Resolver) inputsByID(
	ctx context.Context, ids []persistence.InputID,
) (map[persistence.InputID]*persistence.Input, error) {
	rows, err := r.readInputs(ctx, ids)
	if err != nil {
		return nil, err
	}
	return byKey(ids, rows, func(in *persistence.Input) persistence.InputID { return in.ID })
}

func (r *Resolver) predictionsByID(
	ctx context.Context, ids []persistence.PredictionID,
) (map[persistence.PredictionID]*persistence.Prediction, error) {
	rows, err := r.store.PredictionsByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	return byKey(ids, rows, func(p *persistence.Prediction) persistence.PredictionID { return p.ID })
}

// byKey gives each row to its key, and each key without one its own error, so that its neighbours have their rows.
func byKey[K comparable, V any](keys []K, rows []V, key func(V) K) (map[K]V, error) {
	found := make(map[K]V, len(rows))
	for _, row := range rows {
		found[key(row)] = row
	}
	errs := dataloadgen.MappedFetchError[K]{}
	for _, key := range keys {
		if _, ok := found[key]; !ok {
			errs[key] = persistence.ErrNotFound
		}
	}
	if len(errs) == 0 {
		return found, nil
	}
	return found, errs
}
