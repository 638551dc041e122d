// Package metrics tells Prometheus what the service does: the names and units follow its conventions, and where Triton
// has a metric of the same meaning, its name with our prefix.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sibyl/graph"
	"sibyl/inference"
	"sibyl/persistence"
)

// Sources are asked each time that metrics are read. Every field is required.
type Sources struct {
	Models  func() []inference.Statistics
	Store   func() persistence.Statistics
	Shadows func() graph.ShadowStatistics
	// InFlight are the operations that run, and the bytes of their requests.
	InFlight func() (operations int, bytes int64)
	// Streams is how many connections are open for subscriptions.
	Streams func() int
}

// Metrics are what is counted. They are safe for concurrent use.
type Metrics struct {
	registry   *prometheus.Registry
	operations *operations
	stages     *stages
}

// New returns metrics in which nothing has been counted yet.
func New(s Sources) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), operations: newOperations(), stages: newStages()}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.operations.total, m.operations.duration, m.stages.durations, modelCollector(s.Models), stateCollector{s},
	)
	return m
}

// Handler serves them in Prometheus' formats.
func (m *Metrics) Handler() http.Handler {
	return promhttp.InstrumentMetricHandler(m.registry, promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
}
