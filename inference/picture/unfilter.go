package picture

// unfilter undoes a PNG row's filter in place (PNG 1.2, section 6). Both rows begin with the byte that names the
// filter; step is the bytes of a pixel.
func unfilter(row, above []byte, step int) bool {
	kind := row[0]
	row, above = row[1:], above[1:]
	above = above[:len(row)]
	switch kind {
	case 0:
	case 1:
		for i := step; i < len(row); i++ {
			row[i] += row[i-step]
		}
	case 2:
		for i, b := range above {
			row[i] += b
		}
	case 3:
		for i := range min(step, len(row)) {
			row[i] += above[i] / 2
		}
		for i := step; i < len(row); i++ {
			row[i] += uint8((int(row[i-step]) + int(above[i])) / 2)
		}
	case 4:
		for i := range min(step, len(row)) {
			row[i] += above[i]
		}
		for i := step; i < len(row); i++ {
			row[i] += paeth(int(row[i-step]), int(above[i]), int(above[i-step]))
		}
	default:
		return false
	}
	return true
}

// paeth is that of left, up and upper left which is nearest to left + up - upper left.
func paeth(left, up, corner int) uint8 {
	a, b := up-corner, left-corner
	c := abs(a + b)
	a, b = abs(a), abs(b)
	switch {
	case a <= b && a <= c:
		return uint8(left)
	case b <= c:
		return uint8(up)
	}
	return uint8(corner)
}

func abs(v int) int {
	if v < 0 {
		return -v
	}
	return v
}
