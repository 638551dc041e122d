package picture

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"path"
	"path/filepath"
	"runtime"

	"sibyl/inference/library"
)

// Vips is what an engine knows of the process's libvips. nil is none: then Go's decoders read everything.
type Vips struct {
	Path, Version string
	// AVIF and HEIC say what this build of it decodes.
	AVIF, HEIC bool
}

var vipsLibrary = library.Library{
	Package: path.Join("@img", "sharp-libvips-"+runtime.GOOS+"-"+library.NodeArchitecture(), "lib"),
	Names: library.PerSystem([]string{"libvips-cpp.so*", "libvips.so.42"},
		"libvips-cpp.*.dylib", "libvips.42.dylib"),
}

// Pictures of 16 × 16 pixels, by which it is found out what libvips decodes.
var (
	//go:embed probes/probe.avif
	probeAVIF []byte
	//go:embed probes/probe.heic
	probeHEIC []byte
)

// OpenVips loads libvips: the one at the path, none where that is `off`, or where it is empty the one that is
// found as Library.Find finds it. Only one that was asked for and cannot be had is an error; the log tells
// which it is.
func OpenVips(ctx context.Context, explicit string, log *slog.Logger) (*Vips, error) {
	if explicit == "off" {
		log.InfoContext(ctx, "no libvips", "reason", "it is off")
		return nil, nil
	}
	found := explicit
	if found == "" {
		if found = vipsLibrary.Find(); found == "" {
			log.InfoContext(ctx, "no libvips", "reason", "it was not found: run `npm ci --ignore-scripts`")
			return nil, nil
		}
	} else if !library.IsFile(found) {
		return nil, fmt.Errorf("--libvips: %s is no file", found)
	}
	v, err := newVips(found)
	switch {
	case err != nil && explicit != "":
		return nil, fmt.Errorf("--libvips: %w", err)
	case err != nil:
		log.WarnContext(ctx, "no libvips", "reason", err.Error())
		return nil, nil
	}
	log.InfoContext(ctx, "libvips", "version", v.Version, "path", v.Path, "avif", v.AVIF, "heic", v.HEIC)
	return v, nil
}

// newVips loads the library and finds out what it can do.
func newVips(file string) (*Vips, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	v := &Vips{Path: file}
	if v.Version, err = loadVips(file); err != nil {
		return nil, err
	}
	v.AVIF = decodeVips(vipsHEIF, probeAVIF, 1, nil) != nil
	v.HEIC = decodeVips(vipsHEIF, probeHEIC, 1, nil) != nil
	return v, nil
}

// readTypes are the types that are read, for messages.
func (v *Vips) readTypes() string {
	switch {
	case v == nil || !v.AVIF:
		return "PNG, JPEG, GIF, WebP, BMP and TIFF are"
	case !v.HEIC:
		return "PNG, JPEG, GIF, WebP, AVIF, BMP and TIFF are"
	}
	return "PNG, JPEG, GIF, WebP, AVIF, HEIC, BMP and TIFF are"
}

// reads returns ErrUnsupportedMediaType where a type that libvips alone can read is not read.
func (v *Vips) reads(c *codec) error {
	switch {
	case v == nil:
		return fmt.Errorf("%w: this is %s, which needs libvips, and this server runs without it; %s read",
			ErrUnsupportedMediaType, c.name, v.readTypes())
	case c == avifCodec && !v.AVIF, c == heicCodec && !v.HEIC:
		return fmt.Errorf("%w: this is %s, which this server's libvips does not decode; %s read",
			ErrUnsupportedMediaType, c.name, v.readTypes())
	}
	return nil
}
