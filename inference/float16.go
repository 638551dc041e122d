package inference

import "math"

// float32ToFloat16 rounds to the nearest IEEE 754 binary16, ties to even; what is too large becomes infinite.
func float32ToFloat16(value float32) uint16 {
	bits := math.Float32bits(value)
	sign := uint16(bits >> 16 & 0x8000)
	magnitude := bits & 0x7fffffff
	switch {
	case magnitude > 0x7f800000:
		return sign | 0x7e00 // NaN
	case magnitude >= 0x47800000:
		return sign | 0x7c00 // 65536 and above, infinity
	case magnitude < 0x38800000:
		// Below 2^-14 a binary16 counts in steps of 2^-24; adding 0.5 to a float32 leaves exactly those bits, rounded.
		return sign | uint16(math.Float32bits(math.Float32frombits(magnitude)+0.5)-math.Float32bits(0.5))
	}
	// The exponent is biased by 15 instead of 127; 13 bits of the mantissa go, the last that stays decides a tie. A carry
	// runs into the exponent, as it should.
	magnitude += 0xfff + magnitude>>13&1
	return sign | uint16(magnitude>>13-(127-15)<<10)
}

// float16ToFloat32 widens an IEEE 754 binary16, which is exact.
func float16ToFloat32(half uint16) float32 {
	sign := uint32(half&0x8000) << 16
	magnitude := uint32(half & 0x7fff)
	switch {
	case magnitude >= 0x7c00:
		return math.Float32frombits(sign | 0x7f800000 | magnitude<<13)
	case magnitude < 0x400:
		return math.Float32frombits(sign | math.Float32bits(float32(magnitude)*0x1p-24))
	}
	return math.Float32frombits(sign | magnitude<<13 + (127-15)<<23)
}
