package inference

import (
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// proofModel adds up each 3×3 neighbourhood of a 4×4 image, x to y, [1,1,4,4]: a convolution, for which the providers
// load more than for other nodes.
//
//go:embed models/proof.onnx
var proofModel []byte

// proofTime bounds the proof, which on TensorRT builds an engine.
const proofTime = time.Minute

// errWrong keeps a provider from being used whose driver miscalculates.
var errWrong = errors.New("its results are wrong")

// prove runs a small model on the target and nowhere else. Its error tells why that does not work.
func prove(t target) error {
	if !t.provider.onGPU() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), proofTime)
	defer cancel()
	m, err := parseONNX(proofModel)
	if err != nil {
		return err
	}
	t.whole = true
	s, err := openSession(ctx, modelSource{data: proofModel}, m.inputs, m.outputs, t)
	if err != nil {
		return err
	}
	return errors.Join(runProof(ctx, s), s.close())
}

func runProof(ctx context.Context, s *session) error {
	shapes := [][]int{{1, 1, 4, 4}}
	b, err := s.newBinding(shapes, shapes)
	if err != nil {
		return err
	}
	defer func() { _ = b.close() }() // never fails
	for ones := b.inputs[0].data; len(ones) > 0; ones = ones[4:] {
		binary.NativeEndian.PutUint32(ones, math.Float32bits(1))
	}
	if err := s.run(ctx, b); err != nil {
		return err
	}
	neighbours := []float64{
		4, 6, 6, 4,
		6, 9, 9, 6,
		6, 9, 9, 6,
		4, 6, 6, 4,
	}
	for i, want := range neighbours {
		if got := b.results[0].float(i, fp32); got != want {
			return fmt.Errorf("%w: %v instead of %v", errWrong, got, want)
		}
	}
	return nil
}
