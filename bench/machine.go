package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// machine says where and with what figures were measured.
type machine struct {
	Date     time.Time `json:"date"`
	CPU      string    `json:"cpu"`
	Cores    int       `json:"cores"`
	System   string    `json:"system"`
	Load     string    `json:"loadAverage"` // of the last minute, before anything was started
	Commit   string    `json:"commit"`
	Go       string    `json:"go"`
	Sibyl    string    `json:"sibyl"`
	Postgres string    `json:"postgres"`
	Runtime  string    `json:"onnxRuntime,omitempty"` // of the raw limit
	Peer     string    `json:"peer,omitempty"`
}

func describeMachine(ctx context.Context) machine {
	m := machine{
		Date: time.Now().UTC().Truncate(time.Second), CPU: "unknown CPU", Cores: runtime.NumCPU(),
		System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), Load: "unknown", Commit: "unknown",
	}
	if name := cpuModel(); name != "" {
		m.CPU = name
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(b), " ")
	}
	if b, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
		m.Commit = firstLine(b)
	}
	return m
}

// cpuModel is empty where the system does not tell.
func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// String is one or two lines for the head of a report.
func (m machine) String() string {
	s := fmt.Sprintf("%s · %d cores, %s, %s · load average before: %s\n%s, commit %s · bench %s · PostgreSQL %s",
		m.Date.Format(time.RFC3339), m.Cores, m.CPU, m.System, m.Load, m.Sibyl, m.Commit, m.Go, m.Postgres)
	if m.Runtime != "" {
		s += " · ONNX Runtime " + m.Runtime
	}
	if m.Peer != "" {
		s += " · peer: " + m.Peer
	}
	return s
}
