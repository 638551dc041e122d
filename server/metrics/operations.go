package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"sibyl/server/transport"
)

// Clients choose the names of their operations, so that only so many become labels, and none that is long.
const (
	maxOperationNames    = 100
	maxOperationNameSize = 64
	otherOperations      = "(other)"
)

type operations struct {
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec

	mu    sync.Mutex
	names map[string]bool // guarded by mu
}

func newOperations() *operations {
	return &operations{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sibyl_graphql_operations_total",
			Help: "GraphQL operations that were answered, by extensions.code of the first error; none: OK.",
		}, []string{"type", "operation", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sibyl_graphql_operation_duration_seconds",
			Help:    "Time from an operation's request to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"type", "operation"}),
		names: make(map[string]bool),
	}
}

// Operation counts an answered request.
func (m *Metrics) Operation(o transport.Observation) {
	name, code := m.operations.label(o.Name), string(o.Code)
	if code == "" {
		code = "OK"
	}
	m.operations.total.WithLabelValues(o.Type, name, code).Inc()
	m.operations.duration.WithLabelValues(o.Type, name).Observe(o.Duration.Seconds())
}

// label is the name, if it is one of the first that came.
func (o *operations) label(name string) string {
	if len(name) > maxOperationNameSize {
		return otherOperations
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.names[name] {
		if len(o.names) >= maxOperationNames {
			return otherOperations
		}
		o.names[name] = true
	}
	return name
}
