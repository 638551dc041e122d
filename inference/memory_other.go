//go:build !linux

package inference

// returnMemory gives the system back what ONNX Runtime has freed, where the C library would keep it.
func returnMemory() {}
