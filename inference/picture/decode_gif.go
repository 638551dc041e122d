package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/gif"
	"io"
)

// gifScreen is the length of a GIF's signature and screen descriptor.
const gifScreen = 13

// gifHeader reads the canvas, which grows to hold the first frame: some writers leave it empty.
func gifHeader(data []byte) (header, error) {
	if len(data) < gifScreen {
		return header{}, errTruncated
	}
	h := header{orientation: 1}
	h.width, h.height = int(binary.LittleEndian.Uint16(data[6:])), int(binary.LittleEndian.Uint16(data[8:]))
	if frame := firstGIFFrame(data); len(frame) >= 9 {
		h.width = max(h.width, int(binary.LittleEndian.Uint16(frame))+int(binary.LittleEndian.Uint16(frame[4:])))
		h.height = max(h.height, int(binary.LittleEndian.Uint16(frame[2:]))+int(binary.LittleEndian.Uint16(frame[6:])))
	}
	return h, nil
}

// firstGIFFrame is what follows the byte that introduces the first frame: left, top, width, height … nil without one.
func firstGIFFrame(data []byte) []byte {
	at := gifScreen
	if fields := data[10]; fields&0x80 != 0 {
		at += 3 << (fields&7 + 1)
	}
	for at < len(data) {
		switch data[at] {
		case ',':
			return data[at+1:]
		case '!': // an extension: its kind, then blocks up to an empty one
			at += 2
			for at < len(data) && data[at] != 0 {
				at += 1 + int(data[at])
			}
			at++
		default:
			return nil
		}
	}
	return nil
}

// decodeGIF reads the first frame on its canvas, which is transparent where the frame does not reach.
func decodeGIF(data []byte) (*Picture, error) {
	h, err := gifHeader(data)
	if err != nil {
		return nil, err
	}
	img, err := gif.Decode(gifWithCanvas(data, h))
	if err != nil {
		return nil, err
	}
	frame := fromImage(img)
	if frame.Width == h.width && frame.Height == h.height {
		return frame, nil
	}
	at := img.Bounds().Min
	return frame.onCanvas(h.width, h.height, at), nil
}

// gifWithCanvas is the file with the canvas that gifHeader found.
func gifWithCanvas(data []byte, h header) io.Reader {
	screen := bytes.Clone(data[:gifScreen])
	binary.LittleEndian.PutUint16(screen[6:], uint16(h.width))
	binary.LittleEndian.PutUint16(screen[8:], uint16(h.height))
	if bytes.Equal(screen, data[:gifScreen]) {
		return bytes.NewReader(data)
	}
	return io.MultiReader(bytes.NewReader(screen), bytes.NewReader(data[gifScreen:]))
}

// onCanvas places the picture on a larger, transparent one.
func (p *Picture) onCanvas(width, height int, at image.Point) *Picture {
	canvas := newPicture(width, height, 4)
	canvas.paste(p.withAlpha(), at.X, at.Y)
	return canvas
}
