package picture

/*
#cgo CFLAGS: -O3
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Compiled twice, for any processor and for those that nearly all are, which multiply eight numbers at a time.
#if defined(__x86_64__) && defined(__GLIBC__)
#define CLONED __attribute__((target_clones("avx2", "default")))
#else
#define CLONED
#endif
#define INLINE static inline __attribute__((always_inline))

enum { weight_bits = 22, half = 1 << (weight_bits - 1) };

// What Go calls span.
struct span { ptrdiff_t start, first, count; };

typedef int32_t four __attribute__((vector_size(16)));

INLINE uint8_t clamped(int32_t sum) {
	sum >>= weight_bits;
	return sum < 0 ? 0 : sum > 255 ? 255 : sum;
}

// squeeze_pixels makes two rows at a time, which share the weights, of pixels of 3 or 4 values. It takes four values for
// a pixel, and the fourth of three is left out at the end. wide has memory for two rows and a value.
INLINE void squeeze_pixels(const int channels, uint8_t *dst, size_t width, size_t rows, const uint8_t *src, size_t row,
		int32_t *wide, const struct span *spans, const int32_t *weights) {
	for (size_t y = 0; y < rows; y += 2) {
		size_t second = y + 1 < rows; // else the last row twice
		const uint8_t *from = src + y * row;
		uint8_t *to = dst + y * width * channels;
		for (size_t i = 0; i < row; i++) {
			wide[i] = from[i];
			wide[row + i] = from[second * row + i];
		}
		for (size_t x = 0; x < width; x++) {
			const int32_t *v = wide + channels * spans[x].start, *w = weights + spans[x].first;
			four a = {half, half, half, half}, b = a, pixel;
			for (ptrdiff_t i = 0; i < spans[x].count; i++, v += channels) {
				memcpy(&pixel, v, sizeof pixel);
				a += pixel * w[i];
				memcpy(&pixel, v + row, sizeof pixel);
				b += pixel * w[i];
			}
			for (int c = 0; c < channels; c++, to++) {
				to[second * width * channels] = clamped(b[c]);
				*to = clamped(a[c]);
			}
		}
	}
}

// squeeze_column makes a column of grey pixels. It has the weights of enlarging, which are four, at hand for all rows.
INLINE void squeeze_column(uint8_t *dst, size_t width, size_t rows, const uint8_t *v, size_t row, const int32_t *w,
		ptrdiff_t count) {
	for (; rows > 0; rows--, dst += width, v += row) {
		int32_t sum = half;
		for (ptrdiff_t i = 0; i < count; i++)
			sum += v[i] * w[i];
		*dst = clamped(sum);
	}
}

// squeeze_grey goes through columns, of so few rows that they stay in the processor's cache.
INLINE void squeeze_grey(uint8_t *dst, size_t width, size_t rows, const uint8_t *src, size_t row,
		const struct span *spans, const int32_t *weights) {
	for (size_t few = 32; rows > 0; rows -= few, dst += few * width, src += few * row) {
		few = rows < few ? rows : few;
		for (size_t x = 0; x < width; x++) {
			const uint8_t *v = src + spans[x].start;
			const int32_t *w = weights + spans[x].first;
			if (spans[x].count == 4)
				squeeze_column(dst + x, width, few, v, row, w, 4);
			else
				squeeze_column(dst + x, width, few, v, row, w, spans[x].count);
		}
	}
}

// squeeze makes rows of width pixels out of rows of so many values.
static CLONED void squeeze(int channels, uint8_t *dst, size_t width, size_t rows, const uint8_t *src, size_t row,
		int32_t *wide, const struct span *spans, const int32_t *weights) {
	if (channels == 1)
		squeeze_grey(dst, width, rows, src, row, spans, weights);
	else if (channels == 3)
		squeeze_pixels(3, dst, width, rows, src, row, wide, spans, weights);
	else
		squeeze_pixels(4, dst, width, rows, src, row, wide, spans, weights);
}

enum { block = 32 };

// stack_block makes a part of a row, of at most so many values as the processor's registers hold the sums of.
INLINE void stack_block(const int columns, uint8_t *dst, const uint8_t *src, size_t row, const int32_t *w,
		ptrdiff_t count) {
	int32_t sums[block];
	for (int x = 0; x < columns; x++)
		sums[x] = half;
	for (ptrdiff_t i = 0; i < count; i++, src += row)
		for (int x = 0; x < columns; x++)
			sums[x] += src[x] * w[i];
	for (int x = 0; x < columns; x++)
		dst[x] = clamped(sums[x]);
}

// stack makes rows out of rows of as many values; top is which one src begins with.
static CLONED void stack(uint8_t *dst, size_t rows, const uint8_t *src, ptrdiff_t top, size_t row,
		const struct span *spans, const int32_t *weights) {
	for (size_t y = 0; y < rows; y++) {
		const uint8_t *from = src + (spans[y].start - top) * row;
		const int32_t *w = weights + spans[y].first;
		size_t left = row;
		for (; left >= block; left -= block, dst += block, from += block)
			stack_block(block, dst, from, row, w, spans[y].count);
		stack_block(left, dst, from, row, w, spans[y].count);
		dst += left;
	}
}
*/
import "C"

import "unsafe"

// weightBits is the fixed point of weights: 32 less 8 bits of value, a sign and one for what filters add up to.
const weightBits = C.weight_bits

// squeezed is the horizontal pass.
func (p *Picture) squeezed(t *taps) *Picture { return p.squeezedRows(0, p.Height, t) }

// squeezedRows is the horizontal pass over some of the rows.
func (p *Picture) squeezedRows(from, to int, t *taps) *Picture {
	out := p.another(len(t.spans), to-from, p.Channels)
	row := p.Width * p.Channels
	wide := p.memory.wideRow(2*row + 1)
	C.squeeze(C.int(p.Channels), values(out.Pix), C.size_t(out.Width), C.size_t(out.Height), values(p.Pix[from*row:]),
		C.size_t(row), (*C.int32_t)(&wide[0]), t.cSpans(), (*C.int32_t)(&t.weights[0]))
	return out
}

// stacked is the vertical pass. p begins at row first of what t is for.
func (p *Picture) stacked(t *taps, first int) *Picture {
	out := p.another(p.Width, len(t.spans), p.Channels)
	C.stack(values(out.Pix), C.size_t(out.Height), values(p.Pix), C.ptrdiff_t(first), C.size_t(p.Width*p.Channels),
		t.cSpans(), (*C.int32_t)(&t.weights[0]))
	return out
}

// cSpans are the spans, which C reads as they are.
func (t *taps) cSpans() *C.struct_span { return (*C.struct_span)(unsafe.Pointer(&t.spans[0])) }

func values(pixels []uint8) *C.uint8_t { return (*C.uint8_t)(&pixels[0]) }
