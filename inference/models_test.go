package inference_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sibyl/inference"
)

// modelPath is a repository of small models, good and bad, made by make_models.py in it.
var modelPath = filepath.Join("testdata", "models")

// probeWord makes the tests' program the process that Options.Probe names; another word gives it a GiB and no more.
const probeWord = "probe"

// TestMain says what is missing once, instead of in every test. Vulkan is SwiftShader's, which runs on the CPU, on any
// machine: it must be chosen before Vulkan is looked at.
func TestMain(m *testing.M) {
	if len(os.Args) >= 2 && os.Args[1] == probeWord {
		err := error(nil)
		if len(os.Args) > 2 {
			err = inference.LimitMemory(1 << 30)
		}
		if err = errors.Join(err, inference.ServeProbe(os.Stdin, os.Stdout)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if err := os.Setenv("VK_ICD_FILENAMES", inference.SwiftShader); err != nil {
		panic(err)
	}
	if _, err := inference.FindLibrary(""); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if every.engine != nil {
		if err := every.engine.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// every is an engine on modelPath that tests share, as it takes seconds to open, and what it logged then.
var every struct {
	open   sync.Once
	engine *inference.Engine
	log    string
	err    error
}

func everyModel(t testing.TB) *inference.Engine {
	t.Helper()
	every.open.Do(func() {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		every.engine, every.err = inference.Open(context.Background(), inference.Options{Repository: modelPath, Logger: logger})
		every.log = log.String()
	})
	if every.err != nil {
		t.Fatal(every.err)
	}
	return every.engine
}

// open gives an engine on the repository, closed with the test.
func open(t testing.TB, o inference.Options) *inference.Engine {
	t.Helper()
	e, err := inference.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// picture is make_models.py's picture k as PNG: 8×8, of 1, 3 or 4 channels.
func picture(t testing.TB, k, channels int) []byte {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, 8, 8))
	for y := range 8 {
		for x := range 8 {
			at := func(c int) uint8 { return uint8(x*7 + y*13 + c*29 + k*41 + x*y*(k+1)) }
			switch channels {
			case 1:
				m.SetNRGBA(x, y, color.NRGBA{at(0), at(0), at(0), 255})
			case 3:
				m.SetNRGBA(x, y, color.NRGBA{at(0), at(1), at(2), 255})
			default:
				m.SetNRGBA(x, y, color.NRGBA{at(0), at(1), at(2), at(3)})
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// expectation is what Python's ONNX Runtime gave for a version: its outputs for each picture.
type expectation struct {
	Channels int
	Runs     [][]struct {
		Name, Datatype string
		Shape          []int
		Data           []any
	}
}

func expectations(t testing.TB) map[string]expectation {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(modelPath, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]expectation
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPredictEqualsPython(t *testing.T) {
	e := everyModel(t)
	all := expectations(t)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		t.Run(key, func(t *testing.T) {
			var model string
			var version int
			if _, err := fmt.Sscanf(strings.Replace(key, "/", " ", 1), "%s %d", &model, &version); err != nil {
				t.Fatal(err)
			}
			for k, outputs := range all[key].Runs {
				r, err := e.Predict(context.Background(), model, version, picture(t, k, all[key].Channels))
				if err != nil {
					t.Fatal(err)
				}
				if len(r.Outputs) != len(outputs) {
					t.Fatalf("%d outputs, want %d", len(r.Outputs), len(outputs))
				}
				for i, want := range outputs {
					compare(t, r.Outputs[i], want.Name, want.Datatype, want.Shape, want.Data)
				}
			}
		})
	}
}

func compare(t *testing.T, got inference.Tensor, name, datatype string, shape []int, data []any) {
	t.Helper()
	if got.Name != name || got.Datatype != datatype || !slices.Equal(got.Shape, shape) || got.Shape == nil {
		t.Fatalf("%s %s %v, want %s %s %v", got.Name, got.Datatype, got.Shape, name, datatype, shape)
	}
	if len(data) == 1 && data[0] == nil {
		if got.Data != nil {
			t.Errorf("%s: %d bytes of data, want none", name, len(got.Data))
		}
		return
	}
	var values []any
	if err := json.Unmarshal(got.Data, &values); err != nil {
		t.Fatalf("%s: %v in %s", name, err, got.Data)
	}
	if len(values) != len(data) {
		t.Fatalf("%s: %d values, want %d", name, len(values), len(data))
	}
	tolerance := map[string]float64{"FP32": 2e-5, "FP16": 2e-2, "FP64": 1e-9}[datatype]
	for i := range data {
		if !equal(values[i], data[i], tolerance) {
			t.Fatalf("%s[%d] = %v, want %v", name, i, values[i], data[i])
		}
	}
}

// equal compares JSON values, numbers within a tolerance relative to those above 1.
func equal(got, want any, tolerance float64) bool {
	if truth, ok := got.(bool); ok {
		got = map[bool]float64{true: 1}[truth]
	}
	g, gotNumber := got.(float64)
	w, wantNumber := want.(float64)
	if !gotNumber || !wantNumber {
		return got == want
	}
	return math.Abs(g-w) <= tolerance*max(1, math.Abs(w))
}

func TestResolvedOutput(t *testing.T) {
	e := everyModel(t)
	const softmax, sigmoid, none = inference.ActivationSoftmax, inference.ActivationSigmoid, inference.ActivationNone
	for _, test := range []struct {
		model      string
		kind       inference.OutputKind
		activation inference.Activation
		scores     int
		values     int
	}{
		{"nchw", inference.KindClassification, softmax, 5, 0},
		{"fp16", inference.KindClassification, softmax, 5, 0},
		{"batch4", inference.KindClassification, softmax, 5, 0},
		{"nobatch", inference.KindClassification, softmax, 5, 0},
		{"probabilities", inference.KindClassification, none, 5, 0},
		{"logsoftmax", inference.KindClassification, softmax, 5, 0},
		{"spatial", inference.KindClassification, softmax, 10, 0},
		{"several", inference.KindClassification, sigmoid, 5, 0},
		{"regression", inference.KindRegression, none, 0, 1},
		{"vector", inference.KindRegression, none, 0, 3},
		{"scalar", inference.KindRegression, none, 0, 1},
		{"nan", inference.KindClassification, softmax, 0, 0},
		{"huge", inference.KindNone, none, 0, 0},
		{"segmentation", inference.KindNone, none, 0, 0},
		{"strings", inference.KindNone, none, 0, 0},
		{"nanblack", inference.KindClassification, none, 3, 0},
		{"zipmap", inference.KindClassification, none, 4, 0},
		{"fp16open", inference.KindClassification, softmax, 5, 0},
		{"scalarunknown", inference.KindRegression, none, 0, 1},
	} {
		t.Run(test.model, func(t *testing.T) {
			r, err := e.Predict(context.Background(), test.model, 0, picture(t, 1, 3))
			if err != nil {
				t.Fatal(err)
			}
			v := r.Model
			if v.Output.Kind != test.kind || v.Output.Activation != test.activation {
				t.Errorf("%+v, want %s %s", v.Output, test.kind, test.activation)
			}
			if scores := v.Scores(r.Outputs); len(scores) != test.scores {
				t.Errorf("scores %v, want %d", scores, test.scores)
			}
			if values := v.Values(r.Outputs); len(values) != test.values {
				t.Errorf("values %v, want %d", values, test.values)
			}
		})
	}
}

func TestScoresAreTheActivation(t *testing.T) {
	e := everyModel(t)
	image := picture(t, 2, 1)
	scores := func(model string) []float64 {
		r, err := e.Predict(context.Background(), model, 0, image)
		if err != nil {
			t.Fatal(err)
		}
		return r.Model.Scores(r.Outputs)
	}
	fromLogits, fromProbabilities, fromLogs := scores("batch1"), scores("probabilities"), scores("logsoftmax")
	for i := range fromLogits {
		if d := math.Abs(fromLogits[i] - fromProbabilities[i]); d > 1e-5 {
			t.Errorf("softmax of logits %v, probabilities %v", fromLogits, fromProbabilities)
		}
		if d := math.Abs(fromLogits[i] - fromLogs[i]); d > 1e-5 {
			t.Errorf("softmax of logits %v, of logarithms %v", fromLogits, fromLogs)
		}
	}
}

func TestFailedVersions(t *testing.T) {
	e := everyModel(t)
	for model, reason := range map[string]string{
		"truncated":         "model.onnx is not an ONNX file, or a truncated one",
		"text":              "model.onnx is not an ONNX file",
		"empty":             "model.onnx is not an ONNX file",
		"unknownop":         "Frobnicate",
		"flat":              `input "x" has the shape [-1 20], but an image has 3 or 4 dimensions`,
		"fived":             `input "x" has the shape [-1 1 3 8 8]`,
		"noinput":           "the model has no input",
		"int64":             `input "x" is INT64, but an image is FP32, FP16, FP64 or UINT8`,
		"fivechannels":      "the model takes 5 channels",
		"allopen":           `input "x" leaves channels, height and width open: set input.layout, input.color and input.size`,
		"noshape":           `input "x" declares no shape`,
		"nosize":            "input.size: the model leaves height and width open",
		"twoinputs":         `input.name: several of the inputs "x", "other" are images`,
		"sequenceonly":      "no output of the model is a tensor",
		"labels":            "labels.txt: 3 labels, but the model has 5 classes",
		"key":               "config.yaml line 2: input.colour: unknown key",
		"size":              "config.yaml line 3: input.size: [32 32] differs from the model's [8 8]",
		"terabytes":         "ONNX Runtime:",
		"wideinput":         "empty or too large",
		"external_parent":   `external data "../weights.bin": outside of the version's directory`,
		"external_sibling":  "outside of the version's directory",
		"external_absolute": `external data "/etc/passwd": outside of the version's directory`,
		"external_hidden":   `external data "/etc/passwd": outside of the version's directory`,
		"external_missing":  `external data "missing.bin": not in the version's directory`,
		"external_memory":   "not in the version's directory",
	} {
		t.Run(model, func(t *testing.T) {
			m, err := e.Model(model)
			if err != nil {
				t.Fatal(err)
			}
			v := m.Versions[0]
			if v.State != inference.ModelFailed || v.StateReason == nil || v.ExecutionProvider != nil || m.Serving != nil {
				t.Fatalf("%+v", v)
			}
			t.Log(*v.StateReason)
			if !strings.Contains(*v.StateReason, reason) || strings.Contains(*v.StateReason, "\n") {
				t.Errorf("reason %q, want %q", *v.StateReason, reason)
			}
			if working, err := os.Getwd(); err != nil || strings.Contains(*v.StateReason, working) {
				t.Errorf("reason %q tells a path of this host", *v.StateReason)
			}
			_, err = e.Predict(context.Background(), model, 1, picture(t, 0, 1))
			if !errors.Is(err, inference.ErrModelNotReady) {
				t.Errorf("predict: %v", err)
			}
		})
	}
}

// TestEveryModelIsExpected keeps the tables complete: what is neither in expected.json nor told to fail is a mistake.
func TestEveryModelIsExpected(t *testing.T) {
	e := everyModel(t)
	all := expectations(t)
	for _, m := range e.Models() {
		for _, v := range m.Versions {
			_, expected := all[fmt.Sprintf("%s/%d", v.Name, v.Version)]
			if expected != (v.State == inference.ModelReady) && v.Name != "strings" {
				reason := ""
				if v.StateReason != nil {
					reason = *v.StateReason
				}
				t.Errorf("%s %d is %s: %s", v.Name, v.Version, v.State, reason)
			}
			if !strings.Contains(every.log, "model="+v.Name+" version=") {
				t.Errorf("%s is not logged", v.Name)
			}
		}
	}
}
