package inference

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

// load_library keeps a library loaded for the life of the process.
static int load_library(const char *name) { return dlopen(name, RTLD_LAZY | RTLD_LOCAL) != NULL; }

// cuda_devices is how many GPUs NVIDIA's driver offers; -1 where it does not work.
static int cuda_devices(void) {
	enum { no_device = 100 };
	int n = 0;
	void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
	if (driver == NULL) return -1;
	int (*init)(unsigned) = (int (*)(unsigned))dlsym(driver, "cuInit");
	int (*count)(int *) = (int (*)(int *))dlsym(driver, "cuDeviceGetCount");
	if (init == NULL || count == NULL) return -1;
	int status = init(0);
	if (status == no_device) return 0;
	return status == 0 && count(&n) == 0 ? n : -1;
}

// What is needed of Vulkan 1.0, as section 4.2 and 5.1 of its specification lay it out.
typedef struct {
	uint32_t type;
	const void *next;
	uint32_t flags;
	const void *application;
	uint32_t layer_count;
	const char *const *layers;
	uint32_t extension_count;
	const char *const *extensions;
} instance_info;

typedef struct {
	uint32_t api, driver, vendor, device, type;
	char name[256];
	uint64_t rest[256]; // more than the identifier and the limits, which are of no interest here
} device_properties;

enum { most_adapters = 16, instance_info_type = 1, device_type_cpu = 4 };

typedef struct {
	int count;
	char names[most_adapters][256];
	int software[most_adapters];
} adapter_list;

// vulkan_adapters lists the adapters; 0 where there is no Vulkan loader. Nothing is unloaded: drivers keep threads.
static int vulkan_adapters(adapter_list *list) {
	list->count = 0;
	void *vulkan = dlopen("libvulkan.so.1", RTLD_LAZY | RTLD_LOCAL);
	if (vulkan == NULL) return 0;
	int (*create)(const instance_info *, const void *, void **) =
		(int (*)(const instance_info *, const void *, void **))dlsym(vulkan, "vkCreateInstance");
	void (*destroy)(void *, const void *) = (void (*)(void *, const void *))dlsym(vulkan, "vkDestroyInstance");
	int (*enumerate)(void *, uint32_t *, void **) =
		(int (*)(void *, uint32_t *, void **))dlsym(vulkan, "vkEnumeratePhysicalDevices");
	void (*describe)(void *, device_properties *) =
		(void (*)(void *, device_properties *))dlsym(vulkan, "vkGetPhysicalDeviceProperties");
	if (create == NULL || destroy == NULL || enumerate == NULL || describe == NULL) return 0;
	instance_info info = {.type = instance_info_type};
	void *instance = NULL;
	if (create(&info, NULL, &instance) != 0) return 1; // no driver
	void *devices[most_adapters];
	uint32_t n = most_adapters;
	if (enumerate(instance, &n, devices) < 0) n = 0;
	device_properties *properties = calloc(1, sizeof *properties);
	for (uint32_t i = 0; i < n && properties != NULL; i++, list->count++) {
		describe(devices[i], properties);
		for (int c = 0; c < 255; c++) list->names[i][c] = properties->name[c];
		list->names[i][255] = 0;
		list->software[i] = properties->type == device_type_cpu;
	}
	free(properties);
	destroy(instance, NULL);
	return 1;
}
*/
import "C"

import (
	"errors"
	"sync"
	"unsafe"
)

// loadLibrary loads a library into the process for good. It tells whether that could be done.
func loadLibrary(name string) bool {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	return C.load_library(text) != 0
}

// cudaDevices is how many GPUs NVIDIA's driver offers.
func cudaDevices() (int, error) {
	n := int(C.cuda_devices())
	if n < 0 {
		return 0, errors.New("NVIDIA's driver does not work")
	}
	return n, nil
}

// graphicsAdapters are those on which WebGPU can run, asked of Vulkan as WebGPU will ask it.
var graphicsAdapters = sync.OnceValues(func() ([]adapter, error) {
	list := (*C.adapter_list)(C.calloc(1, C.sizeof_adapter_list))
	defer C.free(unsafe.Pointer(list))
	if C.vulkan_adapters(list) == 0 {
		return nil, errors.New("missing libvulkan.so.1")
	}
	var adapters []adapter
	for i := range int(list.count) {
		adapters = append(adapters, adapter{C.GoString(&list.names[i][0]), list.software[i] != 0})
	}
	return adapters, nil
})
