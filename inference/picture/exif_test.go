package picture

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// exifBlock has an orientation among other tags.
func exifBlock(order binary.AppendByteOrder, kind uint16, value uint32) []byte {
	mark := "II*\x00"
	if order.String() == "BigEndian" {
		mark = "MM\x00*"
	}
	block := order.AppendUint32([]byte(mark), 8)
	block = order.AppendUint16(block, 2)
	block = order.AppendUint16(block, 271) // the camera's maker
	block = order.AppendUint16(block, 2)
	block = order.AppendUint32(block, 4)
	block = append(block, "ABC\x00"...)
	block = order.AppendUint16(block, tagOrientation)
	block = order.AppendUint16(block, kind)
	block = order.AppendUint32(block, 1)
	if kind == tiffShort {
		block = order.AppendUint16(order.AppendUint16(block, uint16(value)), 0)
	} else {
		block = order.AppendUint32(block, value)
	}
	return order.AppendUint32(block, 0)
}

func TestEXIFOrientation(t *testing.T) {
	little, big := binary.LittleEndian, binary.BigEndian
	cases := []struct {
		name  string
		block []byte
		want  int
	}{
		{"little-endian", exifBlock(little, tiffShort, 6), 6},
		{"big-endian", exifBlock(big, tiffShort, 8), 8},
		{"a LONG", exifBlock(big, tiffLong, 3), 3},
		{"with its header", append([]byte("Exif\x00\x00"), exifBlock(big, tiffShort, 5)...), 5},
		{"zero", exifBlock(little, tiffShort, 0), 1},
		{"nine", exifBlock(little, tiffShort, 9), 1},
		{"of another kind", exifBlock(little, 5, 6), 1},
		{"empty", nil, 1},
		{"cut off", exifBlock(little, tiffShort, 6)[:30], 1},
		{"directory out of range", []byte("II*\x00\xff\xff\xff\xff\x00\x00"), 1},
		{"not TIFF", []byte("Exif\x00\x00garbage and more garbage"), 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := exifOrientation(c.block); got != c.want {
				t.Errorf("orientation %d, want %d", got, c.want)
			}
		})
	}
}

// TestBrokenEXIF holds that bad metadata does not spoil a picture.
func TestBrokenEXIF(t *testing.T) {
	data := goldenImages(t)["exif-6.jpg"]
	at := bytes.Index(data, exifHeader) + len(exifHeader)
	for i := at; i < at+20; i++ {
		broken := bytes.Clone(data)
		broken[i] ^= 0xff
		if _, err := decode(broken, testPixels); err != nil {
			t.Errorf("byte %d: %v", i-at, err)
		}
	}
}

func TestNumbersOutOfRange(t *testing.T) {
	d, err := readIFD(exifBlock(binary.LittleEndian, tiffShort, 6))
	if err != nil {
		t.Fatal(err)
	}
	d.entries[999] = ifdEntry{kind: tiffLong, count: 100, value: []byte{0xff, 0xff, 0xff, 0xff}}
	if v := d.numbers(999, 1000); v != nil {
		t.Errorf("values from outside the data: %v", v)
	}
	if v := d.numbers(999, 10); v != nil {
		t.Errorf("more values than allowed: %v", v)
	}
}

// FuzzEXIF feeds any bytes: an orientation, never a panic.
func FuzzEXIF(f *testing.F) {
	f.Add(exifBlock(binary.LittleEndian, tiffShort, 6))
	f.Add(exifBlock(binary.BigEndian, tiffLong, 3))
	f.Add(append(bytes.Clone(exifHeader), exifBlock(binary.BigEndian, tiffShort, 8)...))
	f.Add([]byte("II*\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, block []byte) {
		if v := exifOrientation(block); v < 1 || v > 8 {
			t.Fatalf("orientation %d", v)
		}
		if v := pngOrientation(block); v < 1 || v > 8 {
			t.Fatalf("orientation %d in a PNG", v)
		}
	})
}
