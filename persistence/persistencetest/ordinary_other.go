//go:build !linux

package persistencetest

import (
	"os/exec"
	"testing"
)

// ordinary changes nothing here: nobody runs tests as root.
func ordinary(*testing.T, *exec.Cmd, string, string) {}
