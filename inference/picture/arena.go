package picture

// Arena is memory for the pictures between an image and its tensor, which a task keeps from image to image: for a digit
// of 28 × 28 setting it aside costs as much as all the work on it, for a photograph of 640 × 480 a tenth. nil is none of
// its own. It is not safe for concurrent use.
type Arena struct {
	bytes    []uint8
	pictures [8]Picture
	wide     []int32
	// used and given are how much of bytes and pictures is taken; wanted is what bytes should have had.
	used, given, wanted int
}

// Reset takes all memory back: nothing that came from the arena may be used any more. It grows to what the last image
// wanted, unless that is large.
func (a *Arena) Reset() {
	const keep = 1 << 22
	if a.wanted > len(a.bytes) && a.wanted <= keep {
		a.bytes = make([]uint8, a.wanted+a.wanted/2)
	}
	clear(a.pictures[:a.given])
	a.used, a.given, a.wanted = 0, 0, 0
}

// take is memory for n bytes; what they hold is anything.
func (a *Arena) take(n int) []uint8 {
	if a == nil {
		return make([]uint8, n)
	}
	a.wanted += n
	if n > len(a.bytes)-a.used {
		return make([]uint8, n)
	}
	taken := a.bytes[a.used : a.used+n : a.used+n]
	a.used += n
	return taken
}

// picture is a picture whose pixels are anything.
func (a *Arena) picture(width, height, channels int) *Picture {
	p := a.next()
	*p = Picture{
		Image: Image{Width: width, Height: height}, Pix: a.take(width * height * channels), Channels: channels, memory: a,
	}
	return p
}

func (a *Arena) next() *Picture {
	if a.given == len(a.pictures) {
		return new(Picture)
	}
	a.given++
	return &a.pictures[a.given-1]
}

// wideRow is memory for n values, until the next call; what they hold is anything.
func (a *Arena) wideRow(n int) []int32 {
	if a == nil || n > 1<<16 {
		return make([]int32, n)
	}
	if n > len(a.wide) {
		a.wide = make([]int32, n)
	}
	return a.wide[:n]
}
