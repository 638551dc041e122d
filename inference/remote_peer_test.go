package inference_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sibyl/inference"
	"sibyl/inference/oip"
)

type (
	answer = oip.ModelInferResponse
	output = oip.ModelInferResponse_InferOutputTensor
	tensor = oip.ModelMetadataResponse_TensorMetadata
)

// peer is a server of the Open Inference Protocol that answers as a test wants, also as no good server does. It has one
// model, which takes grey pictures of 2×2 and gives FP32 values in `y` and texts in `s`.
type peer struct {
	oip.UnimplementedGRPCInferenceServiceServer
	address string
	server  *grpc.Server

	metadataFunc func() (*oip.ModelMetadataResponse, error)
	// inferFunc is given what a good answer is, after the warm-up; good tells whether that is over.
	inferFunc func(ctx context.Context, good *answer) (*answer, error)
	warm      atomic.Bool
	calls     atomic.Int64
	asked     atomic.Pointer[oip.ModelInferRequest]
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	p := &peer{}
	p.metadataFunc = func() (*oip.ModelMetadataResponse, error) {
		return &oip.ModelMetadataResponse{
			Inputs: []*tensor{{Name: "x", Datatype: "FP32", Shape: []int64{-1, 1, 2, 2}}},
			Outputs: []*tensor{
				{Name: "y", Datatype: "FP32", Shape: []int64{-1, 3}},
				{Name: "s", Datatype: "BYTES", Shape: []int64{-1, 1}},
			},
		}, nil
	}
	p.inferFunc = func(_ context.Context, good *answer) (*answer, error) { return good, nil }
	p.listen(t, "127.0.0.1:0")
	t.Cleanup(func() { p.server.Stop() })
	return p
}

func (p *peer) listen(t *testing.T, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	p.address = listener.Addr().String()
	p.server = grpc.NewServer()
	oip.RegisterGRPCInferenceServiceServer(p.server, p)
	go func(s *grpc.Server) { _ = s.Serve(listener) }(p.server) // ended by Stop
}

func (p *peer) ModelReady(context.Context, *oip.ModelReadyRequest) (*oip.ModelReadyResponse, error) {
	return &oip.ModelReadyResponse{Ready: true}, nil
}

func (p *peer) ModelMetadata(context.Context, *oip.ModelMetadataRequest) (*oip.ModelMetadataResponse, error) {
	return p.metadataFunc()
}

func (p *peer) ModelInfer(ctx context.Context, r *oip.ModelInferRequest) (*answer, error) {
	p.asked.Store(r)
	n := r.GetInputs()[0].GetShape()[0]
	good := &answer{
		ModelVersion: "7",
		Outputs: []*output{
			{Name: "s", Datatype: "BYTES", Shape: []int64{n, 1}},
			{Name: "y", Datatype: "FP32", Shape: []int64{n, 3}},
		},
		RawOutputContents: [][]byte{bytes.Repeat([]byte("\x02\x00\x00\x00hi"), int(n)), make([]byte, 12*n)},
	}
	if !p.warm.Load() {
		return good, nil
	}
	p.calls.Add(1)
	return p.inferFunc(ctx, good)
}

// repository has one model, `m`, that the peer runs.
func (p *peer) repository(t *testing.T, more string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "m", "config.yaml"), remoteSection(p.address)+more)
	return dir
}

// open gives an engine on the peer's model, which is READY.
func (p *peer) open(t *testing.T, more string) *inference.Engine {
	t.Helper()
	e := open(t, inference.Options{Repository: p.repository(t, more)})
	if err := e.Ready(); err != nil {
		m, _ := e.Model("m")
		t.Fatal(err, m.Versions[0].StateReason)
	}
	p.warm.Store(true)
	return e
}

// TestRemoteAnswers takes good answers in all their forms, and refuses bad ones, in which nothing may be trusted.
func TestRemoteAnswers(t *testing.T) {
	const another = "the server has another model: "
	for _, test := range []struct {
		name   string
		change func(*answer)
		err    string
	}{
		{"as it should be", func(*answer) {}, ""},
		{"typed", func(a *answer) {
			a.RawOutputContents = nil
			a.Outputs[0].Contents = &oip.InferTensorContents{BytesContents: [][]byte{[]byte("hi")}}
			a.Outputs[1].Contents = &oip.InferTensorContents{Fp32Contents: []float32{0, 0, 0}}
		}, ""},
		{"one typed, one raw", func(a *answer) {
			a.RawOutputContents = a.RawOutputContents[1:]
			a.Outputs[0].Contents = &oip.InferTensorContents{BytesContents: [][]byte{[]byte("hi")}}
		}, ""},
		{"others beside", func(a *answer) {
			a.Outputs = append(a.Outputs, &output{Name: "z", Datatype: "?", Shape: []int64{-5}})
			a.RawOutputContents = append(a.RawOutputContents, nil)
		}, ""},
		{"nothing", func(a *answer) { a.Reset(); a.ModelVersion = "7" }, another + `there is no output "y"`},
		{"no output", func(a *answer) { a.Outputs[1].Name = "z" }, another + `there is no output "y"`},
		{
			"another datatype", func(a *answer) { a.Outputs[1].Datatype = "INT32" },
			another + `output "y": it is "INT32", not FP32`,
		},
		{
			"another shape", func(a *answer) { a.Outputs[1].Shape = []int64{1, 4} },
			another + `output "y": the shape [1 4] is none of [-1 3]`,
		},
		{"another rank", func(a *answer) { a.Outputs[1].Shape = []int64{3} }, "the shape [3] is none of"},
		{"negative", func(a *answer) { a.Outputs[1].Shape = []int64{-1, 3} }, "the shape [-1 3] is none of"},
		{"endless", func(a *answer) { a.Outputs[1].Shape = []int64{1 << 62, 3} }, "is none of"},
		{"too many images", func(a *answer) {
			a.Outputs[1].Shape, a.RawOutputContents[1] = []int64{2, 3}, make([]byte, 24)
		}, "the shape [2 3] is not of 1 images"},
		{"too short", func(a *answer) { a.RawOutputContents[1] = make([]byte, 11) }, "its contents are not the 3 values"},
		{"too long", func(a *answer) { a.RawOutputContents[1] = make([]byte, 13) }, "its contents are not the 3 values"},
		{"no contents", func(a *answer) { a.RawOutputContents = nil }, `output "y": its contents are not the 3 values`},
		{"too many contents", func(a *answer) {
			a.RawOutputContents = append(a.RawOutputContents, nil)
		}, "more raw contents than outputs"},
		{"contents of another type", func(a *answer) {
			a.RawOutputContents = a.RawOutputContents[:1]
			a.Outputs[1].Contents = &oip.InferTensorContents{Fp64Contents: []float64{0, 0, 0}}
		}, "its contents are not the 3 values"},
		{"text beyond its end", func(a *answer) {
			a.RawOutputContents[0] = []byte("\xff\xff\xff\xffhi")
		}, `output "s": its contents are not the 1 values`},
		{"more text", func(a *answer) {
			a.RawOutputContents[0] = []byte("\x01\x00\x00\x00hi")
		}, `output "s": its contents are not the 1 values`},
		{"no text", func(a *answer) { a.RawOutputContents[0] = nil }, `output "s": its contents are not the 1 values`},
		{"another version", func(a *answer) { a.ModelVersion = "8" }, another + `version "8" of the model answers in the place`},
		{"65 MB", func(a *answer) { a.RawOutputContents[1] = make([]byte, 65<<20) }, "larger than max"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t)
			e := p.open(t, "")
			p.inferFunc = func(_ context.Context, good *answer) (*answer, error) { test.change(good); return good, nil }
			r, err := e.Predict(t.Context(), "", 0, picture(t, 0, 1))
			switch {
			case test.err == "" && err != nil:
				t.Error(err)
			case test.err == "":
				if string(r.Outputs[0].Data) != "[0,0,0]" || string(r.Outputs[1].Data) != `["hi"]` || r.Outputs[0].Name != "y" {
					t.Errorf("%+v", r.Outputs)
				}
			case err == nil || !strings.Contains(err.Error(), test.err):
				t.Errorf("%v, want %s", err, test.err)
			case errors.Is(err, inference.ErrUnavailable) != strings.Contains(err.Error(), "the server has another model"):
				t.Error(err)
			}
		})
	}
}

// TestRemoteErrors holds what each status means, and that only what did not reach the model is sent again.
func TestRemoteErrors(t *testing.T) {
	other := errors.New("the server says")
	for _, test := range []struct {
		code  codes.Code
		want  error
		calls int64
	}{
		{codes.Unavailable, inference.ErrUnavailable, 2},
		{codes.Canceled, inference.ErrUnavailable, 1},
		{codes.ResourceExhausted, inference.ErrOverloaded, 1},
		{codes.DeadlineExceeded, context.DeadlineExceeded, 1},
		{codes.InvalidArgument, other, 1},
		{codes.Internal, other, 1},
		{codes.NotFound, inference.ErrUnavailable, 1},
	} {
		t.Run(test.code.String(), func(t *testing.T) {
			p := newPeer(t)
			e := p.open(t, "")
			p.inferFunc = func(context.Context, *answer) (*answer, error) { return nil, status.Error(test.code, "no\nluck") }
			_, err := e.Predict(t.Context(), "", 0, picture(t, 0, 1))
			if test.want == other && (err == nil || err.Error() != "the server says "+test.code.String()+": no luck") ||
				test.want != other && !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if calls := p.calls.Load(); calls != test.calls {
				t.Errorf("%d calls, want %d", calls, test.calls)
			}
		})
	}
	t.Run("the second time", func(t *testing.T) {
		p := newPeer(t)
		e := p.open(t, "")
		p.inferFunc = func(_ context.Context, good *answer) (*answer, error) {
			if p.calls.Load() == 1 {
				return nil, status.Error(codes.Unavailable, "")
			}
			return good, nil
		}
		if _, err := e.Predict(t.Context(), "", 0, picture(t, 0, 1)); err != nil {
			t.Error(err)
		}
	})
}

// TestRemoteCallerLeaves holds that a request is cancelled on the server when nobody waits for it.
func TestRemoteCallerLeaves(t *testing.T) {
	p := newPeer(t)
	e := p.open(t, "")
	began, ended := make(chan bool, 1), make(chan bool, 1)
	p.inferFunc = func(ctx context.Context, _ *answer) (*answer, error) {
		_, hasDeadline := ctx.Deadline()
		began <- hasDeadline
		<-ctx.Done()
		ended <- true
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	go func() {
		if !<-began {
			t.Error("the server does not know the deadline")
		}
		cancel()
	}()
	if _, err := e.Predict(ctx, "", 0, picture(t, 0, 1)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-ended
}

// TestRemoteComesBackAsAnother holds that a server that restarts with another model under the same name is not used.
func TestRemoteComesBackAsAnother(t *testing.T) {
	var told lockedBuffer
	p := newPeer(t)
	e := open(t, inference.Options{Repository: p.repository(t, ""), Logger: slog.New(slog.NewTextHandler(&told, nil))})
	good, changed := p.metadataFunc, atomic.Bool{}
	restart := func(other bool) {
		p.server.Stop()
		eventually(t, "the server is missed", func() bool {
			_, err := e.Predict(t.Context(), "", 0, picture(t, 0, 1))
			if !errors.Is(err, inference.ErrUnavailable) {
				t.Error(err)
			}
			return e.Ready() != nil
		})
		changed.Store(other)
		p.metadataFunc = func() (*oip.ModelMetadataResponse, error) {
			m, err := good()
			if changed.Load() {
				m.Outputs[0].Shape[1] = 4
			}
			return m, err
		}
		p.listen(t, p.address)
	}
	restart(true)
	eventually(t, "the other model is noticed", func() bool {
		_, err := e.Predict(t.Context(), "", 0, picture(t, 0, 1))
		return errors.Is(err, inference.ErrUnavailable) && strings.Contains(err.Error(), "other inputs or outputs")
	})
	changed.Store(false)
	eventually(t, "the model is back", func() bool {
		_, err := e.Predict(t.Context(), "", 0, picture(t, 0, 1))
		return err == nil && e.Ready() == nil
	})
	for _, message := range []string{"remote model away", "remote model back"} {
		if !strings.Contains(told.String(), message) {
			t.Errorf("%q is not in the log", message)
		}
	}
	restart(false)
	eventually(t, "the model is back", func() bool { return e.Ready() == nil })
}

// TestRemoteTyped reads typed contents of every datatype that has a field of its own.
func TestRemoteTyped(t *testing.T) {
	for datatype, test := range map[string]struct {
		contents *oip.InferTensorContents
		want     string
	}{
		"BOOL":   {&oip.InferTensorContents{BoolContents: []bool{true, false}}, "[true,false]"},
		"INT8":   {&oip.InferTensorContents{IntContents: []int32{-128, 127}}, "[-128,127]"},
		"INT16":  {&oip.InferTensorContents{IntContents: []int32{-32768, 1}}, "[-32768,1]"},
		"INT32":  {&oip.InferTensorContents{IntContents: []int32{-2147483648, 1}}, "[-2147483648,1]"},
		"INT64":  {&oip.InferTensorContents{Int64Contents: []int64{-1 << 62, 1}}, "[-4611686018427387904,1]"},
		"UINT8":  {&oip.InferTensorContents{UintContents: []uint32{255, 1}}, "[255,1]"},
		"UINT16": {&oip.InferTensorContents{UintContents: []uint32{65535, 1}}, "[65535,1]"},
		"UINT32": {&oip.InferTensorContents{UintContents: []uint32{4294967295, 1}}, "[4294967295,1]"},
		"UINT64": {&oip.InferTensorContents{Uint64Contents: []uint64{1 << 63, 1}}, "[9223372036854775808,1]"},
		"FP64":   {&oip.InferTensorContents{Fp64Contents: []float64{0.1, 1}}, "[0.1,1]"},
	} {
		p := newPeer(t)
		p.metadataFunc = func() (*oip.ModelMetadataResponse, error) {
			return &oip.ModelMetadataResponse{
				Inputs:  []*tensor{{Name: "x", Datatype: "UINT8", Shape: []int64{2, 2, 1}}},
				Outputs: []*tensor{{Name: "y", Datatype: datatype}},
			}, nil
		}
		p.warm.Store(true)
		p.inferFunc = func(context.Context, *answer) (*answer, error) {
			return &answer{Outputs: []*output{{Name: "y", Datatype: datatype, Shape: []int64{2}, Contents: test.contents}}}, nil
		}
		r, err := p.open(t, "output: {kind: none}").Predict(t.Context(), "", 0, picture(t, 0, 1))
		if err != nil {
			t.Fatal(datatype, err)
		}
		if got := r.Outputs[0]; string(got.Data) != test.want || !slices.Equal(got.Shape, []int{2}) ||
			!slices.Equal(r.Model.Outputs[0].Shape, []int{2}) {
			t.Errorf("%s: %+v, want %s", datatype, got, test.want)
		}
	}
}

// TestRemoteTLS holds that grpcs:// speaks TLS, and takes no certificate that this host does not trust.
func TestRemoteTLS(t *testing.T) {
	stranger := httptest.NewUnstartedServer(nil)
	stranger.EnableHTTP2, stranger.Config.ErrorLog = true, log.New(io.Discard, "", 0)
	stranger.StartTLS()
	defer stranger.Close()
	for address, reason := range map[string]string{
		newPeer(t).address:                "tls: first record does not look like a TLS handshake",
		stranger.Listener.Addr().String(): "x509: certificate signed by unknown authority",
	} {
		var told lockedBuffer
		dir := t.TempDir()
		write(t, filepath.Join(dir, "m", "config.yaml"), `remote: {url: "grpcs://`+address+`"}`)
		e := open(t, inference.Options{Repository: dir, Logger: slog.New(slog.NewTextHandler(&told, nil))})
		if m, err := e.Model("m"); err != nil || m.Versions[0].State != inference.ModelLoading ||
			m.Versions[0].StateReason == nil || strings.Contains(*m.Versions[0].StateReason, address) ||
			!strings.Contains(told.String(), reason) {
			t.Error(m.Versions[0], err, told.String())
		}
	}
}
