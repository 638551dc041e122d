package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	// reloadConnections is how many predict while the model is loaded again and again.
	reloadConnections = 8
	// reloadPause lies between two of these.
	reloadPause = 500 * time.Millisecond
	// maxReloadRatio is how much longer the slowest of a hundred may take meanwhile.
	maxReloadRatio = 3.0
)

// repositoryOf copies the model of a file <repository>/<model>/<version>/model.onnx into a repository of its own.
func repositoryOf(file, directory string) error {
	model := filepath.Dir(filepath.Dir(file))
	name, err := filepath.Abs(model)
	if err != nil {
		return err
	}
	return os.CopyFS(filepath.Join(directory, filepath.Base(name)), os.DirFS(model))
}

// reloads makes the server load its model again until ctx ends, and says how often it did.
func (s *sibyl) reloads(ctx context.Context) (n int, err error) {
	configs, err := filepath.Glob(filepath.Join(s.models(), "*", "config.yaml"))
	if err != nil || len(configs) != 1 {
		return 0, errors.Join(err, fmt.Errorf("reload: %d models with a config.yaml, want one", len(configs)))
	}
	config, err := os.ReadFile(configs[0])
	if err != nil {
		return 0, err
	}
	for ; ctx.Err() == nil; n++ {
		if err := os.WriteFile(configs[0], fmt.Appendf(config, "\n# %d\n", n), 0o644); err != nil {
			return n, err
		}
		if err := s.reload(); err != nil {
			return n, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(reloadPause):
		}
	}
	return n, nil
}

// reload returns when the server has read its repository.
func (s *sibyl) reload() error {
	const mutation = `{"query": "mutation { reloadModels { versions { state } } }"}`
	response, err := http.Post("http://"+s.address+"/graphql", "application/json", bytes.NewReader([]byte(mutation)))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || !bytes.Contains(body.Bytes(), []byte(`{"versions":[{"state":"READY"}]}`)) {
		return fmt.Errorf("reload: status %d, %.300s", response.StatusCode, body.Bytes())
	}
	return nil
}

// measureReloads measures predictions without and with the model being loaded again and again.
func measureReloads(ctx context.Context, s *sibyl, predict workload, duration time.Duration, r *report) error {
	if err := r.measure(ctx, &s.target, predict, reloadConnections, duration); err != nil {
		return err
	}
	reloading, stop := context.WithCancel(ctx)
	defer stop()
	var n int
	done := make(chan error, 1)
	go func() {
		var err error
		n, err = s.reloads(reloading)
		done <- err
	}()
	predict.name += " while the model is reloaded"
	err := r.measure(ctx, &s.target, predict, reloadConnections, duration)
	stop()
	err = errors.Join(err, <-done)
	r.Reload = &reload{Times: n, Before: r.Loads[len(r.Loads)-2], During: r.Loads[len(r.Loads)-1]}
	return err
}

// reload compares predictions without and with the model being loaded again and again.
type reload struct {
	Times  int         `json:"times"`
	Before measurement `json:"before"`
	During measurement `json:"during"`
}

func (r *reload) table() *table {
	t := &table{title: fmt.Sprintf("The model loaded %d times under load", r.Times)}
	t.add("", "requests/s", "p50 ms", "p99 ms", "errors")
	for _, row := range []struct {
		name string
		m    measurement
	}{{"before", r.Before}, {"during", r.During}} {
		t.add(row.name, number(row.m.PerSecond), number(row.m.P50), number(row.m.P99), strconv.Itoa(row.m.Errors))
	}
	t.add("during/before", ratio(r.During.PerSecond, r.Before.PerSecond), ratio(r.During.P50, r.Before.P50),
		ratio(r.During.P99, r.Before.P99))
	t.add("limit", "", "", number(maxReloadRatio)+" ×", "0")
	return t
}
