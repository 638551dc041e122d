package inference

import "context"

// Lease keeps a version in memory, whatever happens to the repository meanwhile: requests that it answers are not cut
// off when another version takes over. It must be released once, by whoever acquired it.
type Lease struct {
	engine  *Engine
	version *version
}

// Acquire leases the version that a request runs, chosen and refused as Resolve does.
func (e *Engine) Acquire(model string, version int) (Lease, error) {
	for {
		v, err := e.models.catalog.Load().resolve(model, version)
		if err != nil {
			return Lease{}, err
		}
		if v.acquire() { // else it was retired since the catalog was read, and there is a newer one
			return Lease{e, v}, nil
		}
	}
}

// Model is the version.
func (l Lease) Model() *ModelVersion { return l.version.ModelVersion }

// Predict is Engine.Predict on the version. It is safe for concurrent use.
func (l Lease) Predict(ctx context.Context, image []byte) (*Result, error) {
	return l.version.predict(ctx, l.engine.decoder, image, l.engine.maxOutputValues)
}

// Release ends the lease.
func (l Lease) Release() { l.version.release() }
