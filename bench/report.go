package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// report is all that a run measured.
type report struct {
	Machine machine       `json:"machine"`
	Loads   []measurement `json:"loads"`
	Reload  *reload       `json:"reload,omitempty"`
	Lists   []listing     `json:"lists,omitempty"`
	Limits  []limit       `json:"limits,omitempty"`
	Full    *full         `json:"full,omitempty"`
}

// write prints the tables that there are figures for.
func (r *report) write(w io.Writer) error {
	if _, err := fmt.Fprintln(w, r.Machine); err != nil {
		return err
	}
	tables := []*table{r.loadTable()}
	if r.Reload != nil {
		tables = append(tables, r.Reload.table())
	}
	if len(r.Lists) > 0 {
		tables = append(tables, listTable(r.Lists))
	}
	if len(r.Limits) > 0 {
		tables = append(tables, r.limitTable())
	}
	if r.Full != nil {
		tables = append(tables, r.Full.table())
	}
	if r.Machine.Peer != "" {
		tables = append(tables, r.peerTable())
	}
	for _, t := range tables {
		if err := t.write(w); err != nil {
			return err
		}
	}
	return nil
}

func (r *report) loadTable() *table {
	t := &table{title: "Closed loop, generator on the same cores; CPU is a request's, of the server with PostgreSQL"}
	t.add("", "connections", "requests/s", "p50 ms", "p99 ms", "CPU ms", "PostgreSQL's", "generator ms", "errors")
	for _, m := range r.Loads {
		t.add(m.Server+" "+m.Workload, strconv.Itoa(m.Connections), number(m.PerSecond), number(m.P50), number(m.P99),
			number(m.CPU), number(m.DatabaseCPU), number(m.GeneratorCPU), strconv.Itoa(m.Errors))
	}
	return t
}

func (r *report) limitTable() *table {
	best := r.best()
	t := &table{title: fmt.Sprintf("Limits, each alone on all cores; Sibyl's share at %d connections", best.Connections)}
	t.add("", "per second", "", "Sibyl's share")
	for _, l := range r.Limits {
		t.add(l.Name, number(l.PerSecond), l.Unit, share(best.PerSecond, l.PerSecond))
	}
	return t
}

// best is Sibyl's measurement of most predictions a second.
func (r *report) best() (best measurement) {
	for _, m := range r.Loads {
		if m.Workload == predictName && m.PerSecond > best.PerSecond {
			best = m
		}
	}
	return best
}

// peerTable compares the two servers at each number of connections.
func (r *report) peerTable() *table {
	t := &table{title: "Sibyl beside the peer"}
	t.add("connections", "requests/s: Sibyl", "peer", "Sibyl/peer", "CPU ms: Sibyl", "peer", "peer/Sibyl",
		"p50 ms: Sibyl", "peer")
	for i := 0; i+1 < len(r.Loads); i += 2 {
		s, p := r.Loads[i], r.Loads[i+1]
		t.add(strconv.Itoa(s.Connections), number(s.PerSecond), number(p.PerSecond), ratio(s.PerSecond, p.PerSecond),
			number(s.CPU), number(p.CPU), ratio(p.CPU, s.CPU), number(s.P50), number(p.P50))
	}
	return t
}

// save writes the report as JSON, making the directory.
func (r *report) save(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// failures is an error where any request had a wrong answer or none: figures with such are no figures.
func (r *report) failures() error {
	loads := slices.Clone(r.Loads)
	for _, l := range r.Lists {
		loads = append(loads, l.ByHand)
	}
	if r.Full != nil {
		loads = append(loads, r.Full.Few, r.Full.Many)
	}
	var errs []error
	for _, m := range loads {
		if m.Errors > 0 || m.Requests == 0 {
			errs = append(errs, fmt.Errorf("%s %s, %d connections: %d of %d requests failed: %s",
				m.Server, m.Workload, m.Connections, m.Errors, m.Requests+m.Errors, m.FirstError))
		}
	}
	return errors.Join(errs...)
}
