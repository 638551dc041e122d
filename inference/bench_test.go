package inference

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	osruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sibyl/inference/benchtest"
	"sibyl/inference/picture"
)

// digit is a one as a front end would send it: a PNG of 28×28 grey pixels.
func digit(tb testing.TB) []byte {
	tb.Helper()
	m := image.NewGray(image.Rect(0, 0, 28, 28))
	for y := 4; y < 24; y++ {
		m.SetGray(13, y, color.Gray{Y: 255})
		m.SetGray(14, y, color.Gray{Y: 200})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// benchmarkEngine opens the embedded model.
func benchmarkEngine(b *testing.B) (*Engine, *version) {
	b.Helper()
	e, err := Open(context.Background(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.Close() })
	v, err := e.models.catalog.Load().resolve("", 0)
	if err != nil {
		b.Fatal(err)
	}
	return e, v
}

// callers are what is compared: the whole way of an image through the engine, and its limit, ONNX Runtime's bare run of
// the same session on tensors that are there already, each goroutine's own.
func callers(b *testing.B) (engine, runtime func(b *testing.B, caller int)) {
	e, v := benchmarkEngine(b)
	png := digit(b)
	first, err := e.Predict(context.Background(), "", 0, png)
	if err != nil || Top(first.Model.Scores(first.Outputs), 1)[0] != 1 {
		b.Fatal("wrong answer", err)
	}
	engine = func(b *testing.B, _ int) {
		r, err := e.Predict(context.Background(), "", 0, png)
		if err != nil || !bytes.Equal(r.Outputs[0].Data, first.Outputs[0].Data) {
			b.Error("wrong answer", err)
		}
	}
	g := bare(b, v.backend.(*instances), png)
	return engine, func(b *testing.B, caller int) {
		bound := g.bindings[caller%g.count][0]
		bound.out[0] = bound.outputs[0].value
		if err := g.session.ort.RunWithOptions(bound.in, bound.out, bound.options); err != nil {
			b.Error(err)
		}
	}
}

// bare is other memory for the same session, with the image's tensor in it.
func bare(b *testing.B, of *instances, image []byte) *instances {
	encoded, err := picture.Inspect(image, 28*28, nil)
	if err != nil {
		b.Fatal(err)
	}
	pic, err := encoded.Decode(encoded.Size())
	if err != nil {
		b.Fatal(err)
	}
	t := newTask()
	t.input = of.input.AppendTensor(nil, pic)
	g := newInstances(of.session, of.input, of.count)
	if err := g.add(b.Context(), 1); err != nil {
		b.Fatal(err)
	}
	for i := range g.count {
		g.load(i, t.self[:])
	}
	return g
}

// BenchmarkEngine is the engine alone; BenchmarkRuntime beside it is its limit.
func BenchmarkEngine(b *testing.B) {
	engine, _ := callers(b)
	b.Run("one", func(b *testing.B) { one(b, engine) })
	b.Run("cores", func(b *testing.B) { cores(b, engine) })
	b.Run("crowd", func(b *testing.B) {
		b.SetParallelism(32)
		cores(b, engine)
	})
}

// BenchmarkRuntime is ONNX Runtime's bare run.
func BenchmarkRuntime(b *testing.B) {
	_, runtime := callers(b)
	b.Run("one", func(b *testing.B) { one(b, runtime) })
	b.Run("cores", func(b *testing.B) { cores(b, runtime) })
}

// BenchmarkEngineToRuntime tells how the engine's median with one caller compares to the bare run's, and how its images a
// second do where the bare run has a caller a core and the engine has one too, or a crowd.
func BenchmarkEngineToRuntime(b *testing.B) {
	engine, runtime := callers(b)
	b.Run("one", func(b *testing.B) {
		benchtest.Beside(b, 1.25, benchtest.CostOf(b, func() { engine(b, 0) }), benchtest.CostOf(b, func() { runtime(b, 0) }))
	})
	cores := osruntime.GOMAXPROCS(0)
	for name, crowd := range map[string]int{"cores": cores, "crowd": 32 * cores} {
		b.Run(name, func(b *testing.B) {
			clock, cpu := benchtest.InTurn(b, images(b, crowd, engine), images(b, cores, runtime))
			b.ReportMetric(100/clock, "images-%")
			b.ReportMetric(100/cpu, "cpu-images-%")
			b.ReportMetric(90, "limit-%")
		})
	}
}

// images runs some images, shared by so many callers.
func images(b *testing.B, callers int, call func(*testing.B, int)) func() benchtest.Cost {
	const images = 1024
	return benchtest.CostOf(b, func() {
		var group sync.WaitGroup
		for caller := range callers {
			group.Go(func() {
				for range images / callers {
					call(b, caller)
				}
			})
		}
		group.Wait()
	})
}

// one measures one caller, and its median.
func one(b *testing.B, call func(b *testing.B, caller int)) {
	b.ReportAllocs()
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		call(b, 0)
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
}

// cores measures a caller a core.
func cores(b *testing.B, call func(b *testing.B, caller int)) {
	b.ReportAllocs()
	var callers atomic.Int64
	before := benchtest.CPUTime(b)
	b.RunParallel(func(p *testing.PB) {
		caller := int(callers.Add(1) - 1)
		for p.Next() {
			call(b, caller)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "images/s")
	benchtest.ReportCPU(b, before)
}
