package inference

import (
	"math"
	"time"

	"sibyl/inference/picture"

	"github.com/goccy/go-yaml/ast"
)

// configKeys are the keys this release knows, and how each is read.
var configKeys = map[string]func(*config, ast.Node) error{
	"input.name":   func(c *config, n ast.Node) (err error) { c.input.name, err = yamlString(n); return },
	"input.size":   func(c *config, n ast.Node) (err error) { c.input.size, err = yamlSize(n); return },
	"input.scale":  func(c *config, n ast.Node) (err error) { c.input.scale, err = yamlScale(n); return },
	"input.mean":   func(c *config, n ast.Node) (err error) { c.input.mean, err = yamlFloats(n); return },
	"input.std":    func(c *config, n ast.Node) (err error) { c.input.std, err = yamlNonzero(n); return },
	"input.trim":   func(c *config, n ast.Node) (err error) { c.input.trim, err = yamlBool(n); return },
	"input.margin": func(c *config, n ast.Node) (err error) { c.input.margin, err = yamlCount(n); return },
	"input.layout": func(c *config, n ast.Node) error {
		return yamlEnum(n, &c.input.layout, []picture.Layout{picture.LayoutNCHW, picture.LayoutNHWC})
	},
	"input.color": func(c *config, n ast.Node) error {
		return yamlEnum(n, &c.input.color, []picture.Color{picture.ColorGray, picture.ColorRGB, picture.ColorBGR, picture.ColorRGBA})
	},
	"input.resize": func(c *config, n ast.Node) error {
		return yamlEnum(n, &c.input.resize, []picture.Resize{picture.ResizeStretch, picture.ResizeContain, picture.ResizeCover})
	},
	"input.filter": func(c *config, n ast.Node) error {
		filters := []picture.Filter{picture.FilterBicubic, picture.FilterBilinear, picture.FilterLanczos, picture.FilterNearest, picture.FilterArea}
		return yamlEnum(n, &c.input.filter, filters)
	},
	"input.invert": func(c *config, n ast.Node) error {
		return yamlEnum(n, &c.input.invert, []picture.Invert{picture.InvertNever, picture.InvertAlways, picture.InvertAuto})
	},
	"max_batch_size": func(c *config, n ast.Node) (err error) {
		c.batching.maxBatchSize, err = yamlSmall(n, 4096)
		return
	},
	"dynamic_batching.max_queue_delay_microseconds": func(c *config, n ast.Node) error {
		microseconds, err := yamlCount(n)
		c.batching.delay = time.Duration(microseconds) * time.Microsecond
		return err
	},
	"dynamic_batching.max_queue_size": func(c *config, n ast.Node) (err error) {
		c.batching.maxQueueSize, err = yamlSmall(n, 1<<20)
		return
	},
	"instance_group.count": func(c *config, n ast.Node) (err error) {
		c.batching.instances, err = yamlSmall(n, 1024)
		return
	},
	"versions.serving": func(c *config, n ast.Node) (err error) {
		c.versions.Serving, err = yamlSmall(n, math.MaxInt32)
		return
	},
	"versions.shadow": func(c *config, n ast.Node) (err error) {
		c.versions.Shadow, err = yamlSmall(n, math.MaxInt32)
		return
	},
	"execution_provider": func(c *config, n ast.Node) error {
		return yamlEnum(n, &c.provider, append([]Provider{ProviderAuto}, providerOrder...))
	},
	"remote.url": func(c *config, n ast.Node) (err error) {
		c.remote.target, c.remote.tls, err = yamlRemote(n)
		return
	},
	"remote.model":   func(c *config, n ast.Node) (err error) { c.remote.model, err = yamlString(n); return },
	"remote.version": func(c *config, n ast.Node) (err error) { c.remote.version, err = yamlText(n); return },
	"output.name":    func(c *config, n ast.Node) (err error) { c.output.name, err = yamlString(n); return },
	"output.kind": func(c *config, n ast.Node) error {
		return yamlEnum(n, &c.output.kind, []OutputKind{auto, KindClassification, KindRegression, KindNone})
	},
	"output.activation": func(c *config, n ast.Node) error {
		kinds := []Activation{auto, ActivationNone, ActivationSoftmax, ActivationSigmoid}
		return yamlEnum(n, &c.output.activation, kinds)
	},
}
