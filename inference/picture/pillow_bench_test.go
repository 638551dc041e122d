package picture

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sibyl/inference/benchtest"
)

// BenchmarkToPillow makes a photograph's tensor of 224 × 224 and lets Pillow and NumPy make it, in turn.
func BenchmarkToPillow(b *testing.B) {
	for _, c := range []struct {
		name          string
		width, height int
		mode          string
		limit         float64
	}{
		{"JPEG640", 640, 480, "plain", 1},
		{"JPEG12M", 4000, 3000, "plain", 1.0 / 3},
		{"JPEG12MDraft", 4000, 3000, "draft", 1.25},
	} {
		b.Run(c.name, func(b *testing.B) {
			data := jpegOf(b, photograph(b, c.width, c.height))
			pillow := startPillow(b, data)
			ours := tensorOf(b, data, imageNetLike(), testVips(b))
			benchtest.Beside(b, c.limit, benchtest.CostOf(b, ours), func() benchtest.Cost { return pillow.tensor(b, c.mode) })
		})
	}
}

// pillow is a Python process that makes a tensor each time it is told to.
type pillow struct {
	orders  io.Writer
	answers *bufio.Reader
}

// startPillow ends with the benchmark, which is skipped where `make bench` could not install Pillow.
func startPillow(b *testing.B, data []byte) *pillow {
	b.Helper()
	python := filepath.Join("..", "..", ".cache", "pillow", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		b.Skip("NOT MEASURED: this needs Pillow, which `make bench` installs where there is Python 3.11 with venv")
	}
	file := filepath.Join(b.TempDir(), "photograph.jpg")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		b.Fatal(err)
	}
	command := exec.Command(python, filepath.Join("testdata", "pillow", "tensor.py"), file)
	command.Stderr = os.Stderr
	orders, err := command.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	answers, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = orders.Close()
		if err := command.Wait(); err != nil {
			b.Error(err)
		}
	})
	return &pillow{orders, bufio.NewReader(answers)}
}

// tensor is what one took.
func (p *pillow) tensor(b *testing.B, mode string) benchtest.Cost {
	b.Helper()
	if _, err := fmt.Fprintln(p.orders, mode); err != nil {
		b.Fatal(err)
	}
	var clock, cpu float64
	if _, err := fmt.Fscanln(p.answers, &clock, &cpu); err != nil {
		b.Fatal(err)
	}
	return benchtest.Cost{Clock: time.Duration(clock * float64(time.Second)), CPU: time.Duration(cpu * float64(time.Second))}
}
