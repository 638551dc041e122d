package picture

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"image/png"
	"slices"
	"testing"

	"sibyl/inference/benchtest"
)

// tensorBenchmark decodes and pre-processes data over and over.
func tensorBenchmark(b *testing.B, data []byte, p *Preprocessor, v *Vips) {
	b.Helper()
	tensor := tensorOf(b, data, p, v)
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	before := benchtest.CPUTime(b)
	for b.Loop() {
		tensor()
	}
	benchtest.ReportCPU(b, before)
}

// tensorOf decodes and pre-processes data each time it is called, as a decoder does. The last must be as the first.
func tensorOf(b *testing.B, data []byte, p *Preprocessor, v *Vips) func() {
	b.Helper()
	var memory Arena
	var values, first []float32
	b.Cleanup(func() {
		if len(values) != p.Width*p.Height*p.Channels() || !slices.Equal(values, first) {
			b.Errorf("%d values, the first time %d others", len(values), len(first))
		}
	})
	return func() {
		image, err := Inspect(data, 50_000_000, v)
		if err != nil {
			b.Fatal(err)
		}
		memory.Reset()
		image.Memory = &memory
		pic, err := image.Decode(p.Enough(image.Size()))
		if err != nil {
			b.Fatal(err)
		}
		values = p.AppendTensor(values[:0], pic)
		if first == nil {
			first = slices.Clone(values)
		}
	}
}

func BenchmarkPNG28(b *testing.B) {
	tensorBenchmark(b, goldenImages(b)["digit-28.png"], untrimmed(), nil)
}

// untrimmed only resizes and scales.
func untrimmed() *Preprocessor {
	p := mnistLike()
	p.Trim, p.Margin, p.Invert = false, 0, InvertNever
	return p
}

func BenchmarkPNG28Trimmed(b *testing.B) {
	tensorBenchmark(b, goldenImages(b)["digit-28.png"], mnistLike(), nil)
}

func BenchmarkPNG280Drawn(b *testing.B) {
	tensorBenchmark(b, goldenImages(b)["digit-280.png"], mnistLike(), nil)
}

func BenchmarkJPEG640(b *testing.B) { photographBenchmark(b, 640, 480) }

// BenchmarkJPEG12M has 4000 × 3000 pixels, 4:2:0.
func BenchmarkJPEG12M(b *testing.B) { photographBenchmark(b, 4000, 3000) }

// photographBenchmark makes the tensor with libvips and without.
func photographBenchmark(b *testing.B, width, height int) {
	b.Helper()
	data := jpegOf(b, photograph(b, width, height))
	for name, v := range map[string]*Vips{"libvips": testVips(b), "go": nil} {
		b.Run(name, func(b *testing.B) { tensorBenchmark(b, data, imageNetLike(), v) })
	}
}

// imageNetLike prepares as most models of photographs want it.
func imageNetLike() *Preprocessor {
	return &Preprocessor{
		Width: 224, Height: 224, Layout: LayoutNCHW, Color: ColorRGB, Resize: ResizeStretch, Filter: FilterBicubic,
		Scale: 1.0 / 255, Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.229, 0.224, 0.225}, Invert: InvertNever,
	}
}

// BenchmarkNative finds where libvips overtakes Go's decoders: the bounds of each nativeCodec.
func BenchmarkNative(b *testing.B) {
	v := testVips(b)
	for _, width := range []int{64, 96, 128, 160, 224, 320, 640, 1600} {
		pic := photograph(b, width, width*3/4)
		for name, data := range map[string][]byte{"JPEG": jpegOf(b, pic), "PNG": pngOf(b, pic)} {
			nativeBenchmark(b, fmt.Sprintf("%s/%d", name, width), data, v)
		}
	}
	for name, data := range map[string][]byte{
		"WebP/45": goldenImages(b)["lossy.webp"], "WebP/640": Photographs(b)["lossy.webp"],
		"WebP, lossless/240": Photographs(b)["lossless.webp"], "PNG, drawn/280": goldenImages(b)["digit-280.png"],
	} {
		nativeBenchmark(b, name, data, v)
	}
}

// nativeBenchmark decodes in full, by libvips however small the picture is.
func nativeBenchmark(b *testing.B, name string, data []byte, v *Vips) {
	b.Helper()
	s, err := Inspect(data, testPixels<<1, v)
	if err != nil {
		b.Fatal(err)
	}
	s = fromAnySize(s)
	b.Run(name+"/libvips", func(b *testing.B) {
		for b.Loop() {
			if s.decodeNative(s.Size()) == nil {
				b.Fatal("not read")
			}
		}
	})
	s.vips = nil
	b.Run(name+"/go", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Decode(s.Size()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// photograph is a picture with the details of one: laid out of a smaller one, or that made smaller.
func photograph(b *testing.B, width, height int) *Picture {
	b.Helper()
	pic, err := decode(Photographs(b)["420.jpg"], testPixels<<1)
	if err != nil {
		b.Fatal(err)
	}
	if width <= pic.Width {
		return resize(pic, width, height, wholeOf(pic), FilterBicubic)
	}
	wall := newPicture(width, height, 3)
	for top := 0; top < height; top += pic.Height {
		for left := 0; left < width; left += pic.Width {
			wall.paste(pic, left, top)
		}
	}
	return wall
}

func jpegOf(b *testing.B, pic *Picture) []byte {
	b.Helper()
	var out bytes.Buffer
	if err := jpeg.Encode(&out, pic.image(), &jpeg.Options{Quality: 85}); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

func pngOf(b *testing.B, pic *Picture) []byte {
	b.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, pic.image()); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

// BenchmarkPNG28ToBare compares a digit's tensor with Go's decoding alone.
func BenchmarkPNG28ToBare(b *testing.B) {
	data := goldenImages(b)["digit-28.png"]
	benchtest.Beside(b, 2, benchtest.CostOf(b, tensorOf(b, data, untrimmed(), nil)), benchtest.CostOf(b, bareDecoding(b, data, 28)))
}

func BenchmarkBarePNG28(b *testing.B)  { barePNG(b, "digit-28.png", 28) }
func BenchmarkBarePNG280(b *testing.B) { barePNG(b, "digit-280.png", 280) }

func barePNG(b *testing.B, name string, width int) {
	b.Helper()
	data := goldenImages(b)[name]
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	decode := bareDecoding(b, data, width)
	for b.Loop() {
		decode()
	}
}

// bareDecoding is Go's decoder alone.
func bareDecoding(b *testing.B, data []byte, width int) func() {
	return func() {
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil || img.Bounds().Dx() != width {
			b.Fatal(err)
		}
	}
}

func BenchmarkBareJPEG640(b *testing.B) {
	data := jpegOf(b, photograph(b, 640, 480))
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		img, err := jpeg.Decode(bytes.NewReader(data))
		if err != nil || img.Bounds().Dx() != 640 {
			b.Fatal(err)
		}
	}
}
