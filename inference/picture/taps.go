package picture

import (
	"math"
	"sync"
)

// taps are the weights of one pass: result i is the sum over the weights of spans[i].
type taps struct {
	spans   []span
	weights []int32
}

// span says that count values from start on are weighted by the weights from first on. C reads it, too.
type span struct{ start, first, count int }

// pass is what taps depend on: [from, to) of a side of the given length becomes out values.
type pass struct {
	length   int
	from, to float32
	out      int
	filter   Filter
}

// knownTaps keeps the taps of small passes, because images of one sender are often of one size: computing the weights
// takes longer than using them on a digit.
var knownTaps struct {
	// mu guards what follows.
	mu   sync.RWMutex
	taps map[pass]*taps
}

// tapsOf gives the weights of a pass, which must not be changed. Safe for concurrent use.
func tapsOf(p pass) *taps {
	const most, largest = 512, 1 << 12 // together 8 MB at most
	knownTaps.mu.RLock()
	t := knownTaps.taps[p]
	knownTaps.mu.RUnlock()
	if t != nil {
		return t
	}
	t = newTaps(p)
	if len(t.weights) > largest {
		return t
	}
	knownTaps.mu.Lock()
	defer knownTaps.mu.Unlock()
	if knownTaps.taps == nil || len(knownTaps.taps) >= most {
		knownTaps.taps = make(map[pass]*taps)
	}
	knownTaps.taps[p] = t
	return t
}

func newTaps(p pass) *taps {
	length, from, to, out, k := p.length, p.from, p.to, p.out, kernels[p.filter]
	scale := float64(to-from) / float64(out)
	stretch := max(scale, 1)
	support := k.support * stretch
	size := int(math.Ceil(support))*2 + 1
	t := &taps{spans: make([]span, out), weights: make([]int32, 0, out*min(size, length))}
	exact := make([]float64, size)
	for i := range out {
		center := float64(from) + (float64(i)+0.5)*scale
		first := max(int(center-support+0.5), 0)
		count := max(min(int(center+support+0.5), length)-first, 0)
		t.spans[i] = span{first, len(t.weights), count}
		sum := 0.0
		for j := range count {
			exact[j] = k.weight((float64(j+first) - center + 0.5) * (1 / stretch))
			sum += exact[j]
		}
		for j := range count {
			if sum != 0 {
				exact[j] /= sum
			}
			t.weights = append(t.weights, fixed(exact[j]))
		}
	}
	return t
}

// fixed rounds half away from zero.
func fixed(w float64) int32 { return int32(math.Copysign(0.5, w) + w*(1<<weightBits)) }

// span is the part of the source that is needed at all.
func (t *taps) span() (from, to int) {
	last := t.spans[len(t.spans)-1]
	return t.spans[0].start, last.start + last.count
}
