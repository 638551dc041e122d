package picture

import (
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// GoldenCase is a line of testdata/golden/cases.json.
type GoldenCase struct {
	Image   string
	Compare string // "each" value; "most" and none by more than one again; the "mean", where codecs may differ
	Width   int
	Height  int
	Color   Color
	Resize  Resize
	Filter  Filter
	Invert  Invert
	Trim    bool
	Margin  int
}

func (c GoldenCase) String() string {
	return fmt.Sprintf("%s %dx%d %s %s %s invert=%s trim=%t margin=%d",
		c.Image, c.Width, c.Height, c.Color, c.Resize, c.Filter, c.Invert, c.Trim, c.Margin)
}

// preprocessor gives 0 … 255 in NHWC, as the references are.
func (c GoldenCase) preprocessor() *Preprocessor {
	return &Preprocessor{
		Width: c.Width, Height: c.Height, Layout: LayoutNHWC, Color: c.Color, Resize: c.Resize,
		Filter: cmp.Or(c.Filter, FilterBicubic), Scale: 1, Mean: []float64{0}, Std: []float64{1},
		Invert: c.Invert, Trim: c.Trim, Margin: c.Margin,
	}
}

func (c GoldenCase) Values(t *testing.T) []float32 {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "golden", "images", c.Image))
	if err != nil {
		t.Fatal(err)
	}
	pic, err := decode(data, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return c.preprocessor().AppendTensor(nil, pic)
}

// TestGolden holds decoding and pre-processing to what Pillow makes of the same files; testdata/golden/make_golden.py
// makes both.
func TestGolden(t *testing.T) {
	const tolerance = 2 // of 255
	cases, expected := LoadGolden(t, "cases.json", "expected.gz")
	if len(cases) < 60 {
		t.Fatalf("only %d cases", len(cases))
	}
	exact := 0
	for _, c := range cases {
		size := c.Width * c.Height * (&Preprocessor{Color: c.Color}).Channels()
		want := expected[:size]
		expected = expected[size:]
		t.Run(c.String(), func(t *testing.T) {
			worst, mean, beyond := distance(t, c.Values(t), want, tolerance)
			good := worst <= tolerance
			switch c.Compare {
			case "most":
				good = worst <= tolerance+1 && beyond*1000 <= size
			case "mean":
				good = mean <= tolerance
			}
			if !good {
				t.Errorf("worst %.0f of 255, mean %.3f, %d values of %d beyond tolerance", worst, mean, beyond, size)
			}
			if worst == 0 {
				exact++
			}
		})
	}
	t.Logf("%d of %d are equal to Pillow's", exact, len(cases))
}

func LoadGolden(t *testing.T, list, values string) ([]GoldenCase, []byte) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "golden", list))
	if err != nil {
		t.Fatal(err)
	}
	var cases []GoldenCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join("testdata", "golden", values))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	expected, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	return cases, expected
}

// distance is how far got is from want: at worst, on average, and how many values by more than the tolerance.
func distance(t *testing.T, got []float32, want []byte, tolerance float64) (worst, mean float64, beyond int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	for i, v := range got {
		d := math.Abs(float64(v) - float64(want[i]))
		worst, mean = max(worst, d), mean+d
		if d > tolerance {
			beyond++
		}
	}
	return worst, mean / float64(len(got)), beyond
}

// Config is the case as a model's config.yaml.
func (c GoldenCase) Config() string {
	text := fmt.Sprintf("input: {layout: NHWC, scale: 1, size: [%d, %d], color: %s", c.Height, c.Width, c.Color)
	for _, key := range []struct{ name, value string }{
		{"resize", string(c.Resize)}, {"filter", string(c.Filter)}, {"invert", string(c.Invert)},
	} {
		if key.value != "" {
			text += fmt.Sprintf(", %s: %s", key.name, key.value)
		}
	}
	if c.Trim || c.Margin > 0 {
		text += fmt.Sprintf(", trim: %t, margin: %d", c.Trim, c.Margin)
	}
	return text + "}\nmax_batch_size: 1\n"
}
