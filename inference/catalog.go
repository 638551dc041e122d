package inference

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// catalog is what an engine knows of its models at one moment. It is immutable: what changes makes another one.
type catalog struct {
	// models are by name.
	models []*catalogModel
	// defaultModel answers requests that name none; empty: the only one that is not RETIRED.
	defaultModel string
}

// catalogModel is a model as it is shown, and what runs it.
type catalogModel struct {
	*Model
	// running are the versions that answer, by number. One is here although it is shown as FAILED where the files that
	// were to take its place could not be loaded.
	running map[int]*version
	// route is what was chosen to serve and to shadow.
	route Route
}

// resolve finds the version that a request runs, as Engine.Resolve says.
func (c *catalog) resolve(model string, number int) (*version, error) {
	if model == "" {
		model = c.byDefault()
	}
	switch names := c.names(); {
	case model == "" && len(names) == 0:
		return nil, fmt.Errorf("%w: the repository has none", ErrModelNotFound)
	case model == "":
		return nil, fmt.Errorf("%w: name one of %s", ErrModelAmbiguous, strings.Join(names, ", "))
	}
	m := c.model(model)
	if m == nil || m.retired() {
		return nil, modelNotFound(model)
	}
	if number == 0 {
		return m.served()
	}
	if v := m.running[number]; v != nil {
		return v, nil
	}
	if shown := m.version(number); shown != nil && shown.State != ModelRetired {
		return nil, fmt.Errorf("%w: version %d of %.64q is %s", ErrModelNotReady, number, model, shown.State)
	}
	return nil, fmt.Errorf("%w: %.64q has no version %d", ErrModelNotFound, model, number)
}

// served is the version that answers requests that name none.
func (m *catalogModel) served() (*version, error) {
	switch {
	case m.Serving != nil:
		return m.running[m.Serving.Version], nil
	case m.route.Serving != 0:
		return nil, fmt.Errorf("%w: version %d of %q is to serve and not READY", ErrModelNotReady, m.route.Serving, m.Name)
	}
	return nil, fmt.Errorf("%w: no version of %q is READY", ErrModelNotReady, m.Name)
}

// ready is Engine.Ready.
func (c *catalog) ready() error {
	var errs []error
	serving := 0
	for _, m := range c.models {
		if m.retired() {
			continue
		}
		err := m.ready()
		if err == nil {
			serving++
		} else if m.hopeful() || m.Name == c.byDefault() {
			errs = append(errs, err)
		}
	}
	if m := c.model(c.defaultModel); c.defaultModel != "" && (m == nil || m.retired()) {
		errs = append(errs, fmt.Errorf("%w: the default model %q is not in the repository", ErrModelNotReady, c.defaultModel))
	}
	if serving == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%w: no version of any model is READY", ErrModelNotReady))
	}
	return errors.Join(errs...)
}

// ready tells why the model does not answer requests that name no version.
func (m *catalogModel) ready() error {
	v, err := m.served()
	if err == nil && v.available() != nil { // whose text tells the server's address
		away := "cannot be reached"
		if v.replaced() != nil {
			away = "has another one"
		}
		err = fmt.Errorf("%w: the server that runs version %d of %q %s", ErrUnavailable, v.Version, m.Name, away)
	}
	return err
}

// hopeful tells that the model does not answer because of what may pass, or was chosen.
func (m *catalogModel) hopeful() bool {
	return m.Serving != nil || m.route.Serving != 0 ||
		slices.ContainsFunc(m.Versions, func(v *ModelVersion) bool { return v.State == ModelLoading })
}

// modelNotFound is an ErrModelNotFound.
func modelNotFound(name string) error {
	if name == "" {
		return fmt.Errorf("%w: its name is empty", ErrModelNotFound)
	}
	return fmt.Errorf("%w: %.64q", ErrModelNotFound, name)
}

// byDefault is the model of requests that name none; empty where several may be meant.
func (c *catalog) byDefault() string {
	if c.defaultModel != "" {
		return c.defaultModel
	}
	only := ""
	for _, m := range c.models {
		switch {
		case m.retired():
		case only != "":
			return ""
		default:
			only = m.Name
		}
	}
	return only
}

// model is nil where there is none.
func (c *catalog) model(name string) *catalogModel {
	for _, m := range c.models {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// names are those of the models that are still in the repository.
func (c *catalog) names() []string {
	var names []string
	for _, m := range c.models {
		if !m.retired() {
			names = append(names, m.Name)
		}
	}
	return names
}

// retired tells that every version has left the repository.
func (m *Model) retired() bool {
	return !slices.ContainsFunc(m.Versions, func(v *ModelVersion) bool { return v.State != ModelRetired })
}

// version is what is shown of a version; nil where there is none.
func (m *Model) version(number int) *ModelVersion {
	for _, v := range m.Versions {
		if v.Version == number {
			return v
		}
	}
	return nil
}
