package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
)

// glyphs are the digits from 0 to 9 in cells of 5 × 7, a row a string.
var glyphs = [10][7]string{
	{" ### ", "#   #", "#   #", "#   #", "#   #", "#   #", " ### "},
	{"  #  ", " ##  ", "  #  ", "  #  ", "  #  ", "  #  ", " ### "},
	{" ### ", "#   #", "    #", "   # ", "  #  ", " #   ", "#####"},
	{" ### ", "#   #", "    #", "  ## ", "    #", "#   #", " ### "},
	{"   # ", "  ## ", " # # ", "#  # ", "#####", "   # ", "   # "},
	{"#####", "#    ", "#### ", "    #", "    #", "#   #", " ### "},
	{" ### ", "#    ", "#    ", "#### ", "#   #", "#   #", " ### "},
	{"#####", "    #", "   # ", "  #  ", "  #  ", " #   ", " #   "},
	{" ### ", "#   #", "#   #", " ### ", "#   #", "#   #", " ### "},
	{" ### ", "#   #", "#   #", " ####", "    #", "    #", " ### "},
}

const (
	digitSide = 28
	// cell is the side of a glyph's cell in pixels.
	cell = 3
	// variants is how many pictures are drawn of each digit.
	variants = 4
)

// picture is a file to upload.
type picture struct {
	filename string
	png      []byte
}

// drawDigits gives PNGs of 28 × 28 grey pixels: each digit light on dark and dark on light, in two places.
func drawDigits() ([]picture, error) {
	var pictures []picture
	for variant := range variants {
		for digit := range glyphs {
			img := drawDigit(digit, 3+4*(variant%2), 2+3*(variant%2), variant >= 2)
			var b bytes.Buffer
			if err := png.Encode(&b, img); err != nil {
				return nil, err
			}
			name := fmt.Sprintf("digit-%d-%d.png", digit, variant)
			pictures = append(pictures, picture{filename: name, png: b.Bytes()})
		}
	}
	return pictures, nil
}

// drawDigit draws a glyph at a place; soft edges make the file about as large as that of a scanned digit.
func drawDigit(digit, left, top int, dark bool) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, digitSide, digitSide))
	for y := range digitSide {
		for x := range digitSide {
			ink := 0
			for dy := -1; dy <= 1; dy++ {
				for dx := -1; dx <= 1; dx++ {
					ink += inkAt(digit, x-left+dx, y-top+dy)
				}
			}
			value := uint8(ink * 255 / 9)
			if dark {
				value = 255 - value
			}
			img.SetGray(x, y, color.Gray{Y: value})
		}
	}
	return img
}

// inkAt is 1 where a glyph has ink, in pixels from its corner.
func inkAt(digit, x, y int) int {
	if x < 0 || y < 0 || x >= 5*cell || y >= 7*cell || glyphs[digit][y/cell][x/cell] == ' ' {
		return 0
	}
	return 1
}
