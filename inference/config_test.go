package inference

import (
	"strings"
	"testing"
	"time"

	"sibyl/inference/picture"
)

func TestParseConfig(t *testing.T) {
	c, err := parseConfig([]byte(`# a digit model
input:
  name: image          # the only one
  size: [28, 32]
  layout: NHWC
  color: GRAY
  resize: contain
  filter: bicubic
  scale: 1
  mean: [0.5]
  std: 0.25
  invert: auto
  trim: true
  margin: 2
output: {name: "y", kind: classification, activation: sigmoid}
max_batch_size: 24
dynamic_batching: {max_queue_delay_microseconds: 500, max_queue_size: 99}
instance_group: {count: 3}
execution_provider: cpu
`))
	if err != nil {
		t.Fatal(err)
	}
	in, out := c.input, c.output
	if in.name != "image" || in.size[0] != 28 || in.size[1] != 32 || in.layout != picture.LayoutNHWC || in.color != picture.ColorGray ||
		in.resize != picture.ResizeContain || *in.scale != 1 || in.mean[0] != 0.5 || in.std[0] != 0.25 ||
		in.invert != picture.InvertAuto || !in.trim || in.margin != 2 {
		t.Errorf("%+v", in)
	}
	if c.batching != (batchingConfig{24, true, 500 * time.Microsecond, 99, 3}) {
		t.Errorf("%+v", c.batching)
	}
	if out != (outputConfig{"y", KindClassification, ActivationSigmoid}) {
		t.Errorf("%+v", out)
	}
}

func TestParseConfigEmpty(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "input:\noutput:\n", "{}", "input: {}\n"} {
		c, err := parseConfig([]byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if c.input.resize != picture.ResizeStretch || c.input.scale != nil || c.output.kind != auto ||
			c.batching != (batchingConfig{maxQueueSize: 1024}) {
			t.Errorf("%q: %+v", text, c)
		}
	}
}

// TestDynamicBatchingIsExplicit holds that the section counts, be it empty.
func TestDynamicBatchingIsExplicit(t *testing.T) {
	for text, want := range map[string]bool{
		"dynamic_batching:": true, "dynamic_batching: {}": true, "max_batch_size: 8": false,
		"dynamic_batching:\n  max_queue_size: 8": true,
	} {
		if c, err := parseConfig([]byte(text)); err != nil || c.batching.dynamic != want {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}

func TestParseConfigIsStrict(t *testing.T) {
	for _, test := range []struct{ text, reason string }{
		{"inputs: {}", "config.yaml line 1: inputs: unknown key"},
		{"\ninput:\n  colour: GRAY", "config.yaml line 3: input.colour: unknown key"},
		{`"input": {"nmae": a}`, "input.nmae: unknown key"},
		{"input.name: a", "unknown key"},
		{"output: {top: 5}", "output.top: unknown key"},
		{"<<: {input: {}}", "unknown key"},
		{"max_batch_size: 0", "max_batch_size: 0 is not in 1…4096"},
		{"max_batch_size: many", "max_batch_size: is not a whole number"},
		{"dynamic_batching: true", "is not a section of keys"},
		{"dynamic_batching: {preferred_batch_size: 4}", "dynamic_batching.preferred_batch_size: unknown key"},
		{"dynamic_batching: {max_queue_size: 0}", "dynamic_batching.max_queue_size: 0 is not in"},
		{"dynamic_batching: {max_queue_delay_microseconds: -1}", "max_queue_delay_microseconds: -1 is not in"},
		{"instance_group: {count: 0}", "instance_group.count: 0 is not in"},
		{"instance_group: [{count: 2}]", "is not a section of keys"},
		{"execution_provider: gpu", `execution_provider: "gpu" is none of auto, tensorrt, cuda, webgpu, cpu`},
		{"execution_provider: {cpu: 1}", "execution_provider: is not a string"},
		{"versions: 2", "is not a section of keys"},
		{"versions: {serving: 0}", "versions.serving: 0 is not in"},
		{"versions: {shadow: null}", "versions.shadow: is not a whole number"},
		{"versions: {serving: 2, shadow: 2}", "versions.shadow: version 2 serves already"},
		{"versions: {latest: 1}", "versions.latest: unknown key"},
		{"remote: {url: x}", "remote.url: is not grpc://host:port"},
		{"remote: {url: 'http://host:8000'}", "remote.url: is not grpc://host:port"},
		{"remote: {url: 'grpc://host'}", "remote.url: is not grpc://host:port"},
		{"remote: {url: 'grpc://:8001'}", "remote.url: is not grpc://host:port"},
		{"remote: {url: 'grpc://user:secret@host:8001'}", "remote.url: has more than host and port"},
		{"remote: {url: 'grpc://host:8001/v2'}", "remote.url: has more than host and port"},
		{"remote: {url: 5}", "remote.url: is not a string"},
		{"remote: {model: m}", "remote.url: is missing"},
		{"remote:", "remote.url: is missing"},
		{"remote: {url: 'grpc://host:8001', model: ''}", "remote.model: is not a string"},
		{"remote: {url: 'grpc://host:8001', version: 1}", "remote.version: is not a string"},
		{"remote: {url: 'grpc://host:8001', token: x}", "remote.token: unknown key"},
		{"remote: {url: 'grpc://host:8001'}\nexecution_provider: cpu", "execution_provider: the model runs on the server"},
		{"input: {resize: crop}", `input.resize: "crop" is none of stretch, contain, cover`},
		{"input: {filter: box}", `input.filter: "box" is none of bicubic, bilinear, lanczos, nearest, area`},
		{"input: {color: CMYK}", `input.color: "CMYK" is none of GRAY, RGB, BGR, RGBA`},
		{"input: {color: gray}", "none of GRAY, RGB"},
		{"input: {layout: CHWN}", "input.layout:"},
		{"input: {invert: true}", "input.invert: is not a string"},
		{"input: {name: 5}", "input.name: is not a string"},
		{"input: {name: }", "input.name: is not a string"},
		{"input: {trim: yes}", "input.trim: is neither true nor false"},
		{"input: {trim: 1}", "input.trim: is neither"},
		{"input: {scale: '1'}", "input.scale: is not a number"},
		{"input: {scale: 0}", "input.scale: 0"},
		{"input: {scale: .inf}", "input.scale: is not a number"},
		{"input: {scale: .nan}", "input.scale: is not a number"},
		{"input: {scale: 1e999}", "input.scale: is not"},
		{"input: {size: 28}", "input.size: is not a list of height and width"},
		{"input: {size: [28]}", "input.size: is not a list"},
		{"input: {size: [28, 28, 1]}", "input.size: is not a list"},
		{"input: {size: [28, 0]}", "input.size: 0"},
		{"input: {size: [28, -28]}", "input.size:"},
		{"input: {size: [28, 28.0]}", "input.size: is not a whole number"},
		{"input: {mean: []}", "input.mean: is an empty list"},
		{"input: {mean: [a]}", "input.mean: value 1 is not a number"},
		{"input: {mean: {a: 1}}", "input.mean: is not a number"},
		{"input: {std: [1, 0, 1]}", "input.std: 0"},
		{"input: {std: 0.0}", "input.std: 0"},
		{"input: {margin: -1, trim: true}", "input.margin:"},
		{"input: {margin: 1.5, trim: true}", "input.margin: is not a whole number"},
		{"input: {margin: 2}", "input.margin: needs `trim: true` or `resize: contain`"},
		{"output: {kind: ranking}", `output.kind: "ranking" is none of`},
		{"output: {activation: relu}", "output.activation:"},
		{"input: [1, 2]", "is not a section of keys"},
		{"input: GRAY", "is not a section of keys"},
		{"- input", "is not a section of keys"},
		{"hello", "is not a section of keys"},
		{"input: {name: a}\ninput: {name: b}", "config.yaml"},
		{"input:\n  name: a\n  name: b", "config.yaml"},
		{"input: {name: a", "config.yaml"},
		{"input: {}\n---\noutput: {}", "more than one document"},
		{"\tinput: x", "config.yaml"},
	} {
		_, err := parseConfig([]byte(test.text))
		switch {
		case err == nil:
			t.Errorf("%q passes", test.text)
		case !strings.Contains(err.Error(), test.reason), strings.Contains(err.Error(), "\n"):
			t.Errorf("%q: %q, want %q", test.text, err, test.reason)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("input: {size: [28, 28], mean: [0.5]}\noutput: {kind: auto}\n"))
	f.Add([]byte("a: &x {b: *x}"))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = parseConfig(data) })
}

func TestImageInput(t *testing.T) {
	rgb := onnxValue{datatype: fp32, shape: []int{-1, 3, 8, 8}}
	openChannels := onnxValue{datatype: fp32, shape: []int{-1, -1, 8, 8}}
	openWidth := onnxValue{datatype: fp32, shape: []int{-1, 3, 8, -1}}
	allOpen := onnxValue{datatype: fp32, shape: []int{-1, -1, -1, -1}}
	for _, test := range []struct {
		name   string
		input  onnxValue
		config string
		reason string // empty: the input is taken
	}{
		{"open channels", openChannels, "input: {layout: NCHW, color: RGB}", ""},
		{"all open", allOpen, "input: {layout: NHWC, color: RGB, size: [8, 9]}", ""},
		{"no colour", openChannels, "input: {layout: NCHW}", "input.color"},
		{"no layout", openChannels, "", "input.layout"},
		{"other colour", rgb, "input: {color: GRAY}", "input.color: GRAY has 1 channels"},
		{"blue first", rgb, "input: {color: BGR}", ""},
		{"no alpha", rgb, "input: {color: RGBA}", "input.color: RGBA has 4 channels, the model takes 3"},
		{"alpha", onnxValue{datatype: fp32, shape: []int{-1, 8, 8, 4}}, "", ""},
		{"five channels", onnxValue{datatype: fp32, shape: []int{-1, 5, 8, 8}}, "input: {layout: NCHW}", "5 channels"},
		{"other size", openWidth, "input: {size: [9, 9]}", "input.size"},
		{"half a size", openWidth, "input: {size: [8, 9]}", ""},
		{"mean", rgb, "input: {mean: [1, 2]}", "input.mean: 2 values for 3 channels"},
		{"std", rgb, "input: {std: [1, 2]}", "input.std: 2 values for 3 channels"},
		{"one for all", rgb, "input: {std: 2}", ""},
		{"margin", rgb, "input: {margin: 4, trim: true}", "input.margin"},
		{"name", rgb, "input: {name: y}", `input.name: the model has no input "y"`},
		{
			"batch of one",
			onnxValue{datatype: fp32, shape: []int{1, 3, 8, 8}},
			"dynamic_batching: {}",
			"dynamic_batching: the model takes one image in a run",
		},
		{"no batch", onnxValue{datatype: fp32, shape: []int{8, 8, 3}}, "", ""},
		{"zero batch", onnxValue{datatype: fp32, shape: []int{0, 3, 8, 8}}, "", "empty"},
		{"sequence", onnxValue{}, "", "no tensor"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := parseConfig([]byte(test.config))
			if err != nil {
				t.Fatal(err)
			}
			in, err := newImageInput([]onnxValue{test.input}, c)
			switch {
			case test.reason == "" && err != nil:
				t.Error(err)
			case test.reason == "" && volume(in.shape) != in.Height*in.Width*in.Channels():
				t.Errorf("%+v", in)
			case test.reason != "" && (err == nil || !strings.Contains(err.Error(), test.reason)):
				t.Errorf("%v, want %s", err, test.reason)
			}
		})
	}
}

// TestImageInputBesideOthers holds that inputs without a picture are zero only where the configuration agrees to it.
func TestImageInputBesideOthers(t *testing.T) {
	inputs := []onnxValue{
		{name: "flag", datatype: "BOOL", shape: []int{}},
		{name: "x", datatype: fp32, shape: []int{-1, 3, 8, 8}},
	}
	for text, want := range map[string]string{"": "input.name: the model also has other inputs", "input: {name: x}": ""} {
		c, err := parseConfig([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		in, err := newImageInput(inputs, c)
		switch {
		case want == "" && (err != nil || in.index != 1):
			t.Error(in, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%v, want %s", err, want)
		}
	}
}
