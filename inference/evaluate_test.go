package inference_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"image"
	"image/png"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sibyl/inference"
)

// Floors of the embedded model, as shares of the images that it reads rightly.
const (
	digitsFloor = 0.985
	kindFloor   = 0.94
	mnistFloor  = 0.995
)

// tally counts what was read rightly, by kind.
type tally struct{ right, all int }

func (c tally) share() float64 { return float64(c.right) / float64(max(c.all, 1)) }

// TestDigits reads digits of our own making, which the training has not seen: drawn, printed, scanned, photographed.
func TestDigits(t *testing.T) {
	engine := open(t, inference.Options{})
	files, err := filepath.Glob("testdata/digits/?_*_*.*")
	if err != nil || len(files) < 200 {
		t.Fatalf("%d digits, %v", len(files), err)
	}
	kinds := map[string]tally{}
	var all tally
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		label, rest, _ := strings.Cut(filepath.Base(file), "_")
		kind, _, _ := strings.Cut(rest, "_")
		c := kinds[kind]
		c.all++
		all.all++
		if read(t, engine, data) == label {
			c.right++
			all.right++
		}
		kinds[kind] = c
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		c := kinds[kind]
		t.Logf("%-12s %3d of %3d, %.1f %%", kind, c.right, c.all, 100*c.share())
		if c.share() < kindFloor {
			t.Errorf("of %s %.1f %% are right, want at least %.1f %%", kind, 100*c.share(), 100*kindFloor)
		}
	}
	t.Logf("%-12s %3d of %3d, %.1f %%", "all", all.right, all.all, 100*all.share())
	if all.share() < digitsFloor {
		t.Errorf("%.1f %% are right, want at least %.1f %%", 100*all.share(), 100*digitsFloor)
	}
}

// TestMNIST reads the test images of MNIST, where SIBYL_MNIST names the directory that has them: `make evaluate`.
func TestMNIST(t *testing.T) {
	dir := os.Getenv("SIBYL_MNIST")
	if dir == "" {
		t.Skip("SIBYL_MNIST names no directory: `make evaluate MNIST=DIR` runs this test")
	}
	engine := open(t, inference.Options{})
	images, rows, columns := readImages(t, filepath.Join(dir, "t10k-images-idx3-ubyte.gz"))
	labels := readIDX(t, filepath.Join(dir, "t10k-labels-idx1-ubyte.gz"), 2049)[4:]
	size := rows * columns
	c := tally{all: len(labels)}
	for i, label := range labels {
		picture := &image.Gray{Pix: images[i*size : (i+1)*size], Stride: columns, Rect: image.Rect(0, 0, columns, rows)}
		var file bytes.Buffer
		if err := png.Encode(&file, picture); err != nil {
			t.Fatal(err)
		}
		if read(t, engine, file.Bytes()) == fmt.Sprint(label) {
			c.right++
		}
	}
	t.Logf("%d of %d, %.2f %%", c.right, c.all, 100*c.share())
	if c.share() < mnistFloor {
		t.Errorf("%.2f %% are right, want at least %.2f %%", 100*c.share(), 100*mnistFloor)
	}
}

// read returns the name of the likeliest class.
func read(t *testing.T, engine *inference.Engine, file []byte) string {
	t.Helper()
	result, err := engine.Predict(t.Context(), "", 0, file)
	if err != nil {
		t.Fatal(err)
	}
	return result.Model.ClassName(inference.Top(result.Model.Scores(result.Outputs), 1)[0])
}

func readImages(t *testing.T, path string) (pixels []byte, rows, columns int) {
	t.Helper()
	rest := readIDX(t, path, 2051)
	rows, columns = int(binary.BigEndian.Uint32(rest[4:])), int(binary.BigEndian.Uint32(rest[8:]))
	return rest[12:], rows, columns
}

// readIDX reads a file of MNIST's format, http://yann.lecun.com/exdb/mnist, and returns what follows its magic number.
func readIDX(t *testing.T, path string, magic uint32) []byte {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(unzipped)
	if err != nil || len(data) < 16 || binary.BigEndian.Uint32(data) != magic {
		t.Fatalf("%s is no such IDX file: %v", path, err)
	}
	return data[4:]
}
