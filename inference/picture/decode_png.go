package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image/png"
)

const pngSignature = "\x89PNG\r\n\x1a\n"

// pngHead is what stands before the pixels: the signature and the chunk IHDR.
const pngHead = len(pngSignature) + 8 + 13

func pngHeader(data []byte) (header, error) {
	if len(data) < pngHead {
		return header{}, errTruncated
	}
	switch {
	case string(data[:8]) != pngSignature:
		return header{}, errors.New("the signature is damaged, as by a transfer in text mode")
	case string(data[12:16]) == "CgBI":
		return header{}, unsupported("Apple's variant of it")
	case string(data[12:16]) != "IHDR":
		return header{}, errors.New("it does not begin with the chunk IHDR")
	}
	return header{
		width:       int(binary.BigEndian.Uint32(data[16:])),
		height:      int(binary.BigEndian.Uint32(data[20:])),
		orientation: pngOrientation(data),
	}, nil
}

// decodePNG takes the short way for the usual kinds, and the standard library's for the others and for broken files, so
// that both kinds of file are judged the same.
func decodePNG(data []byte) (*Picture, error) {
	reader := pngReaders.Get().(*pngReader)
	defer pngReaders.Put(reader)
	defer reader.forget()
	if pic := reader.decode(data); pic != nil {
		return pic, nil
	}
	if reader.impossible(data) {
		return nil, errTruncated
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return fromImage(img), nil
}

// eachPNGChunk visits the chunks until one is cut off or visit returns false. Checksums are not looked at.
func eachPNGChunk(data []byte, visit func(name, body, checked []byte, sum uint32) bool) {
	const head, crc = 8, 4
	for at := len(pngSignature); at+head+crc <= len(data); {
		size := int64(binary.BigEndian.Uint32(data[at:]))
		if size > int64(len(data)-at-head-crc) {
			return
		}
		body := at + head
		end := body + int(size)
		if !visit(data[at+4:body], data[body:end], data[at+4:end], binary.BigEndian.Uint32(data[end:])) {
			return
		}
		at = end + crc
	}
}
