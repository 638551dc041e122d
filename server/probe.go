package main

import (
	"os"

	"sibyl/inference"
)

// probeCommand is the process in which the engine tries models before it loads them.
type probeCommand struct{}

// Run tries what it is asked to on the standard input, until that ends.
func (probeCommand) Run() error { return inference.ServeProbe(os.Stdin, os.Stdout) }

// probeItself is the command that makes this program such a process; nil where it cannot be found.
func probeItself() []string {
	const itself = "/proc/self/exe" // on Linux also where the file was replaced since it started
	if _, err := os.Stat(itself); err == nil {
		return []string{itself, "probe"}
	}
	program, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{program, "probe"}
}
