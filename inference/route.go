package inference

// Route chooses the versions of a model that answer and that shadow. The zero value leaves it to the model: the highest
// READY version serves, and none shadows.
type Route struct {
	// Serving is the version that answers requests that name none; 0: the highest READY one. Where the one chosen is not
	// READY, such requests are refused: another one's answers were not asked for.
	Serving int
	// Shadow is the version that runs beside Serving; 0: none.
	Shadow int
}

// SetRoutes replaces the routes of all models, by name. They win over `versions` in config.yaml, and may name models
// and versions that are not there, or not yet. The map is kept and must not be changed.
func (e *Engine) SetRoutes(routes map[string]Route) { e.models.setRoutes(routes) }

// apply finds the versions that a route means among those that answer.
func (r Route) apply(m *catalogModel) {
	m.route = r
	if r.Serving == 0 {
		for number := range m.running {
			r.Serving = max(r.Serving, number)
		}
	}
	if m.running[r.Serving] != nil {
		m.Serving = m.version(r.Serving)
	}
	if m.running[r.Shadow] != nil && r.Shadow != r.Serving {
		m.Shadow = m.version(r.Shadow)
	}
}
