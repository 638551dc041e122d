package main

import (
	"context"
	"net/http"
	"sync"

	"sibyl/graph"
	"sibyl/server/transport"
)

// rechecks are what ends requests that last, and whose callers may not have them any more. The zero value has none.
// Safe for concurrent use.
type rechecks struct {
	mu  sync.Mutex
	all map[*func()]struct{} // guarded by mu
}

func (r *rechecks) add(recheck *func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[*func()]struct{}{}
	}
	r.all[recheck] = struct{}{}
}

func (r *rechecks) remove(recheck *func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, recheck)
}

// run runs them all.
func (r *rechecks) run() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for recheck := range r.all {
		(*recheck)()
	}
}

// guardLasting is guard for requests that may last. The context of each ends when its caller may not have it any more;
// its cause is the *graph.Error that says why. After the keys have changed, a.lasting must be run.
func (a *access) guardLasting(role graph.Role, next http.Handler) http.Handler {
	return a.guard(role, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller := graph.CallerOf(r.Context())
		if caller == nil { // there are no keys
			next.ServeHTTP(w, r)
			return
		}
		ctx, end := context.WithCancelCause(r.Context())
		defer end(nil)
		recheck := func() {
			if err := a.stillMay(caller, role); err != nil {
				end(err)
			}
		}
		a.lasting.add(&recheck)
		defer a.lasting.remove(&recheck)
		// The keys may have changed before it was among those that are told.
		if err := a.stillMay(caller, role); err != nil {
			answerError(a.logger, w, r, 0, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	}))
}

// stillMay returns the error of a caller who does not have the role any more.
func (a *access) stillMay(caller *graph.Caller, role graph.Role) error {
	if caller = a.renew(caller); caller == nil {
		return transport.ErrKeyGone
	}
	return graph.Authorize(graph.WithCaller(context.Background(), caller), role)
}
