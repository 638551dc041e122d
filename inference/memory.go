package inference

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// availableMemory is how many bytes this process may still use before the system or its control group ends processes;
// 0 where that cannot be told, as on other systems than Linux.
func availableMemory() uint64 {
	available := kilobytes("/proc/meminfo", "MemAvailable")
	group, err := os.ReadFile("/proc/self/cgroup")
	_, path, unified := strings.Cut(string(group), "0::")
	if err != nil || !unified {
		return available
	}
	path, _, _ = strings.Cut(path, "\n")
	dir := filepath.Join("/sys/fs/cgroup", path)
	most, ok := number(filepath.Join(dir, "memory.max"))
	used, known := number(filepath.Join(dir, "memory.current"))
	if !ok || !known {
		return available // no limit, or no group of its own
	}
	return min(available, most-min(used, most))
}

// number reads a file that holds a number alone.
func number(file string) (uint64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// kilobytes reads, in bytes, the line `name: 123 kB` of a file of /proc; 0 where there is none.
func kilobytes(file, name string) uint64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == name+":" {
			n, _ := strconv.ParseUint(fields[1], 10, 64)
			return n << 10
		}
	}
	return 0
}
