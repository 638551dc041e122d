package picture

import (
	"encoding/binary"
	"errors"
)

var errHEIF = errors.New("its structure is broken")

// heifCodec is the type of an ISO base media file by its brands (ISO/IEC 23008-12 and AV1's own); nil where it is no
// still image. What says of itself only that it is an image, as mif1 does, is HEIC.
func heifCodec(data []byte) *codec {
	if len(data) < 16 || string(data[4:8]) != "ftyp" {
		return nil
	}
	end := min(int64(binary.BigEndian.Uint32(data)), int64(len(data)))
	brands := data[8:max(end, 12)]
	brand := func(names ...string) bool {
		for at := 0; at+4 <= len(brands); at += 4 {
			for _, name := range names {
				if at != 4 && string(brands[at:at+4]) == name { // the second is the version
					return true
				}
			}
		}
		return false
	}
	switch {
	case brand("avif", "avis"):
		return avifCodec
	case brand("heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"):
		return heicCodec
	}
	return nil
}

// heifHeader asks libvips, which turns the picture as the file says.
func heifHeader(data []byte) (header, error) {
	image := openVips(vipsHEIF, data, 1)
	if image == nil {
		return header{}, errHEIF
	}
	defer image.close()
	s := image.size()
	return header{width: s.width, height: s.height, orientation: 1}, nil
}

func decodeHEIF(data []byte) (*Picture, error) {
	pic := decodeVips(vipsHEIF, data, 1, nil)
	if pic == nil {
		return nil, errHEIF
	}
	if pic.Channels == 4 {
		return fromRGBA(pic.Pix, 4*pic.Width, pic.Width, pic.Height), nil
	}
	pic.dropColor()
	return pic, nil
}
