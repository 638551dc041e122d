package inference

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sibyl/inference/picture"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// config is a model's config.yaml. What it leaves out is empty, or the default where that does not depend on the model.
type config struct {
	input    inputConfig
	output   outputConfig
	batching batchingConfig
	// versions is the section `versions`.
	versions Route
	// provider is empty where it is the engine's.
	provider Provider
	remote   remoteConfig
	// lines tell where each key was given, for example `input.size`.
	lines map[string]int
}

// inputConfig is the section `input`, in the words of picture.Preprocessor.
type inputConfig struct {
	name string
	// size is height and width; nil where the model decides.
	size   []int
	layout picture.Layout
	color  picture.Color
	resize picture.Resize
	filter picture.Filter
	// scale is nil where the datatype decides.
	scale     *float64
	mean, std []float64
	invert    picture.Invert
	trim      bool
	margin    int
}

// outputConfig is the section `output`. Kind and activation may be `auto`; name is empty for the first output.
type outputConfig struct {
	name       string
	kind       OutputKind
	activation Activation
}

// batchingConfig is how runs are spread: max_batch_size and the sections dynamic_batching and instance_group.
type batchingConfig struct {
	// maxBatchSize is 0 where the model decides.
	maxBatchSize int
	// dynamic tells that the section dynamic_batching is there, be it empty.
	dynamic      bool
	delay        time.Duration
	maxQueueSize int
	// instances is 0 where the execution provider decides.
	instances int
}

// remoteConfig is the section `remote`: the server that runs the model. It is the zero value where this process does.
type remoteConfig struct {
	// target is host and port, and tls how they are spoken to.
	target string
	tls    bool
	// model is the model's name there; empty: as here. version is the one there; nil: the number of the version's
	// directory, if there is one.
	model   string
	version *string
}

// auto is the word for "as the model says".
const auto = "auto"

// configSections are the keys that hold keys.
var configSections = []string{"input", "output", "dynamic_batching", "instance_group", "versions", "remote"}

// parseConfig reads a config.yaml, strictly: a key that is unknown or given twice and a value of the wrong type are
// errors that name the key and its line. Empty data is an empty configuration.
func parseConfig(data []byte) (*config, error) {
	c := &config{lines: make(map[string]int)}
	c.input.resize, c.input.filter, c.input.invert = picture.ResizeStretch, picture.FilterBicubic, picture.InvertNever
	c.output.kind, c.output.activation = auto, auto
	c.batching.maxQueueSize = maxWaiting
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, yamlError(err)
	}
	if len(file.Docs) > 1 {
		return nil, errors.New("config.yaml: more than one document")
	}
	if len(file.Docs) == 1 && file.Docs[0].Body != nil {
		if err := c.read("", file.Docs[0].Body); err != nil {
			return nil, err
		}
	}
	return c, c.check()
}

// read reads the keys of one section; prefix is empty for the file itself, else as `input.`.
func (c *config) read(prefix string, section ast.Node) error {
	if section.Type() == ast.CommentType || section.Type() == ast.NullType {
		return nil
	}
	keys, ok := section.(ast.MapNode)
	if !ok {
		return fmt.Errorf("config.yaml line %d: %q is not a section of keys", yamlLine(section), section.String())
	}
	for keys := keys.MapRange(); keys.Next(); {
		name := keys.Key().GetToken().Value
		key := prefix + name
		c.lines[key] = yamlLine(keys.Key())
		if strings.Contains(name, ".") {
			return c.errorf(key, "unknown key")
		}
		if err := c.readKey(key, keys.Value()); err != nil {
			return err
		}
	}
	return nil
}

func (c *config) readKey(key string, value ast.Node) error {
	if slices.Contains(configSections, key) {
		c.batching.dynamic = c.batching.dynamic || key == "dynamic_batching"
		return c.read(key+".", value)
	}
	set, ok := configKeys[key]
	if !ok {
		return c.errorf(key, "unknown key")
	}
	if err := set(c, value); err != nil {
		return c.errorf(key, "%w", err)
	}
	return nil
}

// check finds what the keys say against each other.
func (c *config) check() error {
	if in := c.input; in.margin > 0 && !in.trim && in.resize != picture.ResizeContain {
		return c.errorf("input.margin", "needs `trim: true` or `resize: contain`")
	}
	if v := c.versions; v.Shadow != 0 && v.Shadow == v.Serving {
		return c.errorf("versions.shadow", "version %d serves already", v.Shadow)
	}
	if c.isRemote() && c.remote.target == "" {
		return c.errorf("remote.url", "is missing")
	}
	if _, given := c.lines["execution_provider"]; given && c.isRemote() {
		return c.errorf("execution_provider", "the model runs on the server that `remote` names")
	}
	return nil
}

// isRemote tells that another server runs the model.
func (c *config) isRemote() bool {
	_, given := c.lines["remote"]
	return given
}

// errorf is an error about a key, with its line where it was given.
func (c *config) errorf(key, format string, args ...any) error {
	place := "config.yaml"
	if line, given := c.lines[key]; given {
		place = fmt.Sprintf("config.yaml line %d", line)
	}
	return fmt.Errorf("%s: %s: %w", place, key, fmt.Errorf(format, args...))
}

// yamlError is a parser's error in one line, without the excerpt of the file.
func yamlError(err error) error {
	first, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
	return fmt.Errorf("config.yaml: %s", first)
}

func yamlLine(node ast.Node) int {
	if token := node.GetToken(); token != nil && token.Position != nil {
		return token.Position.Line
	}
	return 0
}
