package inference

import "syscall"

// LimitMemory lets this process have no more than so many bytes beside what it has, whatever limitMemory finds.
func LimitMemory(bytes uint64) error {
	most := kilobytes("/proc/self/status", "VmData") + bytes
	return syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: most, Max: most})
}
