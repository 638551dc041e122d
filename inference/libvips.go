package inference

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"path"
	"path/filepath"
	"runtime"
)

// vips is what an engine knows of the process's libvips. nil is none: then Go's decoders read everything.
type vips struct {
	path, version string
	// avif and heic say what this build of it decodes.
	avif, heic bool
}

var vipsLibrary = nativeLibrary{
	packaged: path.Join("@img", "sharp-libvips-"+runtime.GOOS+"-"+nodeArchitecture(), "lib"),
	names: perSystem([]string{"libvips-cpp.so*", "libvips.so.42"},
		"libvips-cpp.*.dylib", "libvips.42.dylib"),
}

// Pictures of 16 × 16 pixels, by which it is found out what libvips decodes.
var (
	//go:embed probes/probe.avif
	probeAVIF []byte
	//go:embed probes/probe.heic
	probeHEIC []byte
)

// openVipsLibrary loads libvips: the one at the path, none where that is `off`, or where it is empty the one that is
// found as FindLibrary finds ONNX Runtime's. Only one that was asked for and cannot be had is an error; the log tells
// which it is.
func openVipsLibrary(ctx context.Context, explicit string, log *slog.Logger) (*vips, error) {
	if explicit == "off" {
		log.InfoContext(ctx, "no libvips", "reason", "it is off")
		return nil, nil
	}
	found := explicit
	if found == "" {
		if found = vipsLibrary.find(); found == "" {
			log.InfoContext(ctx, "no libvips", "reason", "it was not found: run `npm ci --ignore-scripts`")
			return nil, nil
		}
	} else if !isFile(found) {
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
	log.InfoContext(ctx, "libvips", "version", v.version, "path", v.path, "avif", v.avif, "heic", v.heic)
	return v, nil
}

// newVips loads the library and finds out what it can do.
func newVips(file string) (*vips, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	v := &vips{path: file}
	if v.version, err = loadVips(file); err != nil {
		return nil, err
	}
	v.avif = decodeVips(vipsHEIF, probeAVIF, 1, nil) != nil
	v.heic = decodeVips(vipsHEIF, probeHEIC, 1, nil) != nil
	return v, nil
}

// readTypes are the types that are read, for messages.
func (v *vips) readTypes() string {
	switch {
	case v == nil || !v.avif:
		return "PNG, JPEG, GIF, WebP, BMP and TIFF are"
	case !v.heic:
		return "PNG, JPEG, GIF, WebP, AVIF, BMP and TIFF are"
	}
	return "PNG, JPEG, GIF, WebP, AVIF, HEIC, BMP and TIFF are"
}

// reads returns ErrUnsupportedMediaType where a type that libvips alone can read is not read.
func (v *vips) reads(c *codec) error {
	switch {
	case v == nil:
		return fmt.Errorf("%w: this is %s, which needs libvips, and this server runs without it; %s read",
			ErrUnsupportedMediaType, c.name, v.readTypes())
	case c == avifCodec && !v.avif, c == heicCodec && !v.heic:
		return fmt.Errorf("%w: this is %s, which this server's libvips does not decode; %s read",
			ErrUnsupportedMediaType, c.name, v.readTypes())
	}
	return nil
}
