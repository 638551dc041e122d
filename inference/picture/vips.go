package picture

/*
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

// The functions of libvips and glib that are used, in the order of vips_names. Loaders take options up to a null name.
typedef int vips_loader(void *data, size_t size, void **image, ...);

static struct {
	int (*init)(const char *name);
	int (*version)(int part);
	void (*concurrency_set)(int threads);
	void (*cache_set_max)(int operations);
	void (*block_untrusted_set)(int blocked);
	void (*operation_block_set)(const char *class, int blocked);
	void (*error_clear)(void);
	void (*set_log)(void (*handler)(const char *, int, const char *, void *), void *);
	vips_loader *loaders[4];
	int (*width)(void *image);
	int (*height)(void *image);
	int (*bands)(void *image);
	int (*format)(void *image);
	void *(*region_new)(void *image);
	unsigned char *(*region_fetch)(void *region, int left, int top, int width, int height, size_t *size);
	void (*unref)(void *object);
	void (*free)(void *memory);
} vips;

static const char *vips_names[] = {
	"vips_init", "vips_version", "vips_concurrency_set", "vips_cache_set_max", "vips_block_untrusted_set",
	"vips_operation_block_set", "vips_error_clear", "g_log_set_default_handler",
	"vips_jpegload_buffer", "vips_pngload_buffer", "vips_webpload_buffer", "vips_heifload_buffer",
	"vips_image_get_width", "vips_image_get_height", "vips_image_get_bands", "vips_image_get_format",
	"vips_region_new", "vips_region_fetch", "g_object_unref", "g_free",
};
_Static_assert(sizeof vips_names / sizeof *vips_names == sizeof vips / sizeof(void *), "a name for each function");

// Only these of libvips' loaders can be reached, even from inside it, and no savers.
static const char *vips_allowed[] = {
	"VipsForeignLoadJpegBuffer", "VipsForeignLoadPngBuffer", "VipsForeignLoadWebpBuffer", "VipsForeignLoadHeifBuffer",
};

static void vips_ignore(const char *domain, int level, const char *message, void *user) {}

// vips_open loads the library, for the rest of the process's life. It returns what is wrong, to be freed, or null.
static char *vips_open(const char *path) {
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return strdup(dlerror());
	for (size_t i = 0; i < sizeof vips_names / sizeof *vips_names; i++) {
		void *function = dlsym(library, vips_names[i]);
		if (!function)
			return strdup(vips_names[i]);
		memcpy((char *)&vips + i * sizeof function, &function, sizeof function);
	}
	vips.set_log(vips_ignore, NULL);
	if (vips.init("sibyl"))
		return strdup("it does not start");
	vips.concurrency_set(1);
	vips.cache_set_max(0);
	vips.block_untrusted_set(1);
	vips.operation_block_set("VipsForeign", 1);
	for (size_t i = 0; i < sizeof vips_allowed / sizeof *vips_allowed; i++)
		vips.operation_block_set(vips_allowed[i], 0);
	return NULL;
}

static int vips_version_part(int part) { return vips.version(part); }

struct vips_shape { int width, height, bands, format; };

// vips_load reads a header: null where it is broken, else what vips_close takes. It refers to data.
static void *vips_load(int loader, void *data, size_t size, int shrink, struct vips_shape *shape) {
	const int sequential = 1, fail_on_warning = 3;
	void *image = NULL;
	// The options end early where there is nothing to shrink: only JPEG knows that option.
	const char *option = shrink > 1 ? "shrink" : NULL;
	if (vips.loaders[loader](data, size, &image,
			"access", sequential, "fail_on", fail_on_warning, option, shrink, (void *)NULL)) {
		vips.error_clear();
		return NULL;
	}
	shape->width = vips.width(image);
	shape->height = vips.height(image);
	shape->bands = vips.bands(image);
	shape->format = vips.format(image);
	return image;
}

// vips_read decodes the picture a few rows at a time, on this thread. It returns 0 where it is whole.
static int vips_read(void *image, struct vips_shape shape, size_t row, int rows, unsigned char *pixels) {
	void *region = vips.region_new(image);
	int failed = !region;
	for (int y = 0; y < shape.height && !failed; y += rows) {
		int count = shape.height - y < rows ? shape.height - y : rows;
		size_t size = 0;
		unsigned char *strip = vips.region_fetch(region, 0, y, shape.width, count, &size);
		failed = !strip || size != row * count;
		if (!failed)
			memcpy(pixels + row * y, strip, size);
		vips.free(strip);
	}
	if (region)
		vips.unref(region);
	if (failed)
		vips.error_clear();
	return failed;
}

static void vips_close(void *image) { vips.unref(image); }
*/
import "C"

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"
)

// vipsLoader is one of libvips' readers of files in memory.
type vipsLoader int

// The loaders, in the order of the C code's.
const (
	vipsJPEG vipsLoader = iota
	vipsPNG
	vipsWebP
	vipsHEIF
)

// libvips is the process's, which is never unloaded.
var libvips struct {
	// mu guards what follows.
	mu sync.Mutex
	// path is empty until it is loaded.
	path, version string
}

// loadVips loads libvips into the process, once, and gives its version. It is safe for concurrent use.
func loadVips(path string) (version string, err error) {
	libvips.mu.Lock()
	defer libvips.mu.Unlock()
	switch libvips.path {
	case path:
		return libvips.version, nil
	case "":
	default:
		return "", fmt.Errorf("libvips is loaded from %s already", libvips.path)
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	if failure := C.vips_open(name); failure != nil {
		defer C.free(unsafe.Pointer(failure))
		return "", fmt.Errorf("libvips in %s, 8.13 or later is needed: %s", path, C.GoString(failure))
	}
	libvips.path = path
	libvips.version = fmt.Sprintf("%d.%d.%d",
		C.vips_version_part(0), C.vips_version_part(1), C.vips_version_part(2))
	return libvips.version, nil
}

// vipsImage is an image of which libvips has read the header. It must be closed.
type vipsImage struct {
	handle unsafe.Pointer
	shape  C.struct_vips_shape
	pinned runtime.Pinner
}

// openVips reads the header of an image, which libvips is to make smaller by shrink while it decodes; nil where it is
// broken. libvips must be loaded.
func openVips(loader vipsLoader, data []byte, shrink int) *vipsImage {
	if len(data) == 0 {
		return nil
	}
	i := new(vipsImage)
	i.pinned.Pin(&data[0])
	i.handle = C.vips_load(C.int(loader), unsafe.Pointer(&data[0]), C.size_t(len(data)), C.int(shrink), &i.shape)
	if i.handle == nil {
		i.pinned.Unpin()
		return nil
	}
	return i
}

func (i *vipsImage) size() Size { return Size{int(i.shape.width), int(i.shape.height)} }

// read decodes the pixels; nil where the image is broken, or of a kind that no picture can hold. memory may be nil.
func (i *vipsImage) read(memory *Arena) *Picture {
	const strip = 1 << 18 // stays in the processor's cache
	const uchar, ushort = 0, 2
	p := &Picture{Image: Image{Width: int(i.shape.width), Height: int(i.shape.height)}, Channels: int(i.shape.bands)}
	row := p.Width * p.Channels
	switch {
	case p.Channels != 1 && p.Channels != 3 && p.Channels != 4:
		return nil
	case i.shape.format == ushort:
		row *= 2
	case i.shape.format != uchar:
		return nil
	}
	p.Pix = memory.take(row * p.Height)
	rows := min(max(strip/row, 1), p.Height)
	if C.vips_read(i.handle, i.shape, C.size_t(row), C.int(rows), (*C.uchar)(&p.Pix[0])) != 0 {
		return nil
	}
	if i.shape.format == ushort {
		p.Pix = highHalves(p.Pix)
	}
	return p
}

// highHalves keeps the upper byte of 16-bit values in the machine's order, in place.
func highHalves(values []uint8) []uint8 {
	for at := range len(values) / 2 {
		values[at] = uint8(*(*uint16)(unsafe.Pointer(&values[2*at])) >> 8)
	}
	return values[:len(values)/2]
}

func (i *vipsImage) close() {
	C.vips_close(i.handle)
	i.pinned.Unpin()
}

// decodeVips decodes an image; nil where it is broken. memory may be nil.
func decodeVips(loader vipsLoader, data []byte, shrink int, memory *Arena) *Picture {
	image := openVips(loader, data, shrink)
	if image == nil {
		return nil
	}
	defer image.close()
	return image.read(memory)
}
