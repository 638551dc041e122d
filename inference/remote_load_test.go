package inference_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sibyl/inference"
	"sibyl/inference/oip"
)

// TestRemoteVersions holds which model and version a server is asked for.
func TestRemoteVersions(t *testing.T) {
	for _, test := range []struct{ dir, section, model, version string }{
		{"", "", "m", ""},
		{"3", "", "m", "3"},
		{"3", ", model: other, version: blue", "other", "blue"},
		{"3", `, version: ""`, "m", ""},
		{"", `, version: "9"`, "m", "9"},
	} {
		p := newPeer(t)
		dir := t.TempDir()
		write(t, filepath.Join(dir, "m", "config.yaml"), `remote: {url: "grpc://`+p.address+`"`+test.section+"}")
		number := 1
		if test.dir != "" {
			write(t, filepath.Join(dir, "m", test.dir, "labels.txt"), "a\nb\nc")
			number = 3
		}
		e := open(t, inference.Options{Repository: dir})
		r, err := e.Predict(t.Context(), "m", number, picture(t, 0, 1))
		if err != nil || (len(r.Model.ClassNames) == 3) != (test.dir != "") {
			t.Fatal(r, err)
		}
		if r := p.asked.Load(); r.GetModelName() != test.model || r.GetModelVersion() != test.version {
			t.Errorf("%+v: asked for %q %q", test, r.GetModelName(), r.GetModelVersion())
		}
	}
}

// TestRemoteFailed holds which descriptions and configurations are refused, for a reason that does not tell the server.
func TestRemoteFailed(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*oip.ModelMetadataResponse)
		config string
		reason string
	}{
		{"nothing", func(m *oip.ModelMetadataResponse) { m.Reset() }, "", "it tells no inputs or no outputs"},
		{"negative", func(m *oip.ModelMetadataResponse) { m.Outputs[0].Shape[1] = -7 }, "", `"y" has the shape [-1 -7]`},
		{"huge", func(m *oip.ModelMetadataResponse) { m.Inputs[0].Shape[3] = 1 << 40 }, "", `"x" has the shape`},
		{"wide", func(m *oip.ModelMetadataResponse) { m.Inputs[0].Shape[3] = 1 << 30 }, "", "empty or too large"},
		{"strange", func(m *oip.ModelMetadataResponse) { m.Outputs[0].Datatype = "FP7" }, "", `unknown datatype "FP7"`},
		{"text", func(m *oip.ModelMetadataResponse) { m.Inputs[0].Datatype = "BYTES" }, "", `input "x" is BYTES`},
		{"another output", func(m *oip.ModelMetadataResponse) { m.Outputs[0].Name = "z" }, "", `there is no output "z"`},
		{"input", func(*oip.ModelMetadataResponse) {}, "input: {size: [9, 9]}", "input.size: [9 9] differs from the model's"},
		{"output", func(*oip.ModelMetadataResponse) {}, "output: {name: t}", `output.name: the model has no output "t"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t)
			good := p.metadataFunc
			p.metadataFunc = func() (*oip.ModelMetadataResponse, error) {
				m, err := good()
				test.change(m)
				return m, err
			}
			m, err := open(t, inference.Options{Repository: p.repository(t, test.config)}).Model("m")
			if err != nil {
				t.Fatal(err)
			}
			v := m.Versions[0]
			if v.State != inference.ModelFailed || !strings.Contains(*v.StateReason, test.reason) ||
				strings.Contains(*v.StateReason, p.address) {
				t.Errorf("%s %v, want %s", v.State, v.StateReason, test.reason)
			}
		})
	}
	t.Run("model.onnx", func(t *testing.T) {
		dir := configured(t, "nchw", remoteSection("127.0.0.1:1"))
		m, err := open(t, inference.Options{Repository: dir}).Model("nchw")
		if err != nil {
			t.Fatal(err)
		}
		reason := m.Versions[0].StateReason
		if reason == nil || !strings.Contains(*reason, "remote: version 1 has a model.onnx too") {
			t.Error(m.Versions[0])
		}
	})
}

// TestRemoteFingerprint holds that a model stays the same on another server, and is another with other tensors.
func TestRemoteFingerprint(t *testing.T) {
	fingerprint := func(change func(*peer), more string) string {
		p := newPeer(t)
		change(p)
		v, err := p.open(t, more).Resolve("", 0)
		if err != nil {
			t.Fatal(err)
		}
		return v.Fingerprint
	}
	same := func(*peer) {}
	wider := func(p *peer) {
		good := p.metadataFunc
		p.metadataFunc = func() (*oip.ModelMetadataResponse, error) {
			m, err := good()
			m.Outputs[1].Shape = []int64{-1, -1}
			return m, err
		}
	}
	prints := []string{
		fingerprint(same, ""), fingerprint(same, "max_batch_size: 2"),
		fingerprint(wider, ""), fingerprint(same, "input: {mean: 1}"),
	}
	if prints[0] != prints[1] || prints[0] == prints[2] || prints[0] == prints[3] {
		t.Error(prints)
	}
}

// TestRemoteBatchLimit finds the largest batch that a server takes, which its metadata does not tell.
func TestRemoteBatchLimit(t *testing.T) {
	p := newPeer(t)
	p.warm.Store(true)
	p.inferFunc = func(_ context.Context, good *answer) (*answer, error) {
		if good.Outputs[0].Shape[0] > 8 {
			return nil, status.Error(codes.ResourceExhausted, "Received message larger than max (5 vs. 4)")
		}
		return good, nil
	}
	if s := p.open(t, "").Statistics()[0]; s.MaxBatchSize != 8 || s.Instances != 8 {
		t.Errorf("%+v", s)
	}
	m, err := open(t, inference.Options{Repository: p.repository(t, "dynamic_batching: {}")}).Model("m")
	if err != nil || m.Versions[0].StateReason == nil ||
		!strings.Contains(*m.Versions[0].StateReason, "dynamic_batching: batch of 16: the server says ResourceExhausted") {
		t.Error(m.Versions[0], err)
	}
}
