package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTick is the unit of the times in /proc/<pid>/stat: Linux shows them to programs in hundredths of a second.
const clockTick = 10 * time.Millisecond

// cpuTime is processor time used since the processes began: user and system.
type cpuTime struct {
	// service is the service's own, without PostgreSQL's.
	service time.Duration
	// database is PostgreSQL's, with all its processes.
	database time.Duration
	// generator is this process's.
	generator time.Duration
}

func (t cpuTime) minus(earlier cpuTime) cpuTime {
	return cpuTime{t.service - earlier.service, t.database - earlier.database, t.generator - earlier.generator}
}

// stat is what is read of a process.
type stat struct {
	parent int
	// used is the processor time of the process and of those of its children that have ended.
	used time.Duration
}

// measureCPU adds up the processes below service and below database, the latter's not counted as the service's.
func measureCPU(service, database int) (cpuTime, error) {
	processes, err := readProcesses()
	if err != nil {
		return cpuTime{}, err
	}
	t := cpuTime{database: treeTime(processes, database, 0), service: treeTime(processes, service, database)}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return cpuTime{}, err
	}
	t.generator = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	return t, nil
}

// treeTime adds up a process and its descendants, except those from a given one on.
func treeTime(processes map[int]stat, root, except int) time.Duration {
	if root == except {
		return 0
	}
	sum := processes[root].used
	for pid, p := range processes {
		if p.parent == root {
			sum += treeTime(processes, pid, except)
		}
	}
	return sum
}

// readProcesses reads every process that lives.
func readProcesses() (map[int]stat, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("CPU time: there is no /proc here")
	}
	processes := make(map[int]stat, len(files))
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		pid, p, err := parseStat(line)
		if err != nil {
			return nil, err
		}
		processes[pid] = p
	}
	return processes, nil
}

// parseStat reads a line of /proc/<pid>/stat (proc_pid_stat(5)). The second field is the command in parentheses, which
// may hold anything.
func parseStat(line []byte) (pid int, p stat, err error) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return 0, stat{}, fmt.Errorf("process status %q", line)
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(line[:open])))
	fields := strings.Fields(string(line[end+1:])) // from the third on
	if err != nil || len(fields) < 15 {
		return 0, stat{}, fmt.Errorf("process status %q", line)
	}
	p.parent, err = strconv.Atoi(fields[1])
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		ticks, parseErr := strconv.ParseInt(field, 10, 64)
		err = errors.Join(err, parseErr)
		p.used += time.Duration(ticks) * clockTick
	}
	return pid, p, err
}
