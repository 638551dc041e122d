package inference

import "syscall"

// decode inspects an image and decodes it at once.
func decode(data []byte, maxPixels int) (*Picture, error) {
	s, err := Inspect(data, maxPixels, nil)
	if err != nil {
		return nil, err
	}
	return s.Decode(s.Size())
}

// Thumbnail inspects an image and makes its thumbnail at once.
func Thumbnail(data []byte, size, maxPixels int) (thumbnail []byte, contentType string, err error) {
	s, err := Inspect(data, maxPixels, nil)
	if err != nil {
		return nil, "", err
	}
	return s.Thumbnail(size)
}

// LimitMemory lets this process have no more than so many bytes beside what it has, whatever limitMemory finds.
func LimitMemory(bytes uint64) error {
	most := kilobytes("/proc/self/status", "VmData") + bytes
	return syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: most, Max: most})
}
