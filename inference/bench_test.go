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
	"syscall"
	"testing"
	"time"
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
	pic, err := decode(image, 28*28)
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
		beside(b, 1.25, costOf(b, func() { engine(b, 0) }), costOf(b, func() { runtime(b, 0) }))
	})
	cores := osruntime.GOMAXPROCS(0)
	for name, crowd := range map[string]int{"cores": cores, "crowd": 32 * cores} {
		b.Run(name, func(b *testing.B) {
			clock, cpu := inTurn(b, images(b, crowd, engine), images(b, cores, runtime))
			b.ReportMetric(100/clock, "images-%")
			b.ReportMetric(100/cpu, "cpu-images-%")
			b.ReportMetric(90, "limit-%")
		})
	}
}

// images runs some images, shared by so many callers.
func images(b *testing.B, callers int, call func(*testing.B, int)) func() cost {
	const images = 1024
	return costOf(b, func() {
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

// cost is what something took: by the clock, and of all processors.
type cost struct{ clock, cpu time.Duration }

func costOf(b *testing.B, call func()) func() cost {
	return func() cost {
		used, start := cpuTime(b), time.Now()
		call()
		return cost{time.Since(start), cpuTime(b) - used}
	}
}

// beside tells how the medians of what the first one takes compare to the other's, and what the most is that they may.
func beside(b *testing.B, limit float64, ours, theirs func() cost) {
	b.Helper()
	clock, cpu := inTurn(b, ours, theirs)
	b.ReportMetric(clock, "p50-ratio")
	b.ReportMetric(cpu, "p50-cpu-ratio")
	b.ReportMetric(limit, "limit")
}

// inTurn takes both again and again, so that what else the machine does weighs on both alike, and gives the ratios of
// their medians.
func inTurn(b *testing.B, ours, theirs func() cost) (byClock, byCPU float64) {
	b.Helper()
	ours() // the first time of either is no measure: it loads libraries
	theirs()
	var clock, cpu [2][]time.Duration
	for b.Loop() {
		for i, call := range []func() cost{ours, theirs} {
			c := call()
			clock[i], cpu[i] = append(clock[i], c.clock), append(cpu[i], c.cpu)
		}
	}
	return medianRatio(clock), medianRatio(cpu)
}

func medianRatio(times [2][]time.Duration) float64 {
	slices.Sort(times[0])
	slices.Sort(times[1])
	middle := len(times[0]) / 2
	return float64(times[0][middle]) / float64(times[1][middle])
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
	before := cpuTime(b)
	b.RunParallel(func(p *testing.PB) {
		caller := int(callers.Add(1) - 1)
		for p.Next() {
			call(b, caller)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "images/s")
	reportCPU(b, before)
}

// reportCPU tells the processor's time: on a machine that others use too, it tells more than the clock.
func reportCPU(b *testing.B, before time.Duration) {
	b.Helper()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// cpuTime is what the process has used of all processors.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
