package graph

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sibyl/inference"
	"sibyl/persistence"
)

// routePoll is how soon a route that was chosen on one replica is followed by the others.
const routePoll = time.Second

// routeTimeout bounds one look at the routes, for which others wait.
const routeTimeout = 5 * time.Second

// router keeps the engine's routes as the database has them.
type router struct {
	engine *inference.Engine
	store  *persistence.Store
	logger *slog.Logger
	// mu is held from reading the routes until the engine has them, so that no older ones take the place of newer ones.
	mu sync.Mutex
}

// refresh hands the engine what the database has now.
func (r *router) refresh(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows, err := r.store.ModelRoutes(ctx)
	if err != nil {
		return err
	}
	routes := make(map[string]inference.Route, len(rows))
	for _, row := range rows {
		route := inference.Route{Serving: row.Serving}
		if row.Shadow != nil {
			route.Shadow = *row.Shadow
		}
		routes[row.Model] = route
	}
	r.engine.SetRoutes(routes)
	return nil
}

// follow refreshes until ctx ends. While the database is away the last routes hold.
func (r *router) follow(ctx context.Context) {
	tick := time.NewTicker(routePoll)
	defer tick.Stop()
	for lost := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		bounded, cancel := context.WithTimeout(ctx, routeTimeout)
		err := r.refresh(bounded)
		cancel()
		if err != nil && !lost && ctx.Err() == nil {
			r.logger.LogAttrs(ctx, slog.LevelWarn, "model routes not read, the last ones hold", slog.Any("error", err))
		}
		lost = err != nil
	}
}

// routeModel is the use case: it chooses the versions of a model that answer and that shadow, on every replica.
func (r *Resolver) routeModel(ctx context.Context, model string, serving int32, shadow *int32) (*inference.Model, error) {
	route := persistence.ModelRoute{Model: model, Serving: int(serving), ChangedAt: time.Now().UTC()}
	if err := r.routable(model, serving); err != nil {
		return nil, err
	}
	if shadow != nil {
		if *shadow == serving {
			return nil, badUserInput("version %d cannot shadow itself", serving)
		}
		if err := r.routable(model, *shadow); err != nil {
			return nil, err
		}
		number := int(*shadow)
		route.Shadow = &number
	}
	if err := r.store.SetModelRoute(ctx, route); err != nil {
		return nil, err
	}
	if err := r.router.refresh(ctx); err != nil {
		return nil, err
	}
	return r.modelByName(ctx, model)
}

// routable returns an error where the version cannot answer here.
func (r *Resolver) routable(model string, version int32) error {
	name, number, err := modelArgs(&model, &version)
	if err == nil {
		_, err = r.engine.Resolve(name, number)
	}
	return err
}
