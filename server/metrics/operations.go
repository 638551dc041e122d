package metrics

import (
	"cmp"
	"strings"
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
	kept     kept[outcome, answered]

	mu    sync.Mutex
	names map[string]bool // guarded by mu
}

func newOperations() *operations {
	return &operations{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sibyl_graphql_operations_total",
			Help: "GraphQL operations that were answered, by extensions.code of the first error; none: OK; their client had gone: CANCELLED.",
		}, []string{"type", "operation", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sibyl_graphql_operation_duration_seconds",
			Help:    "Time from an operation's request to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"type", "operation"}),
		names: make(map[string]bool),
	}
}

// outcome is what some operations have in common.
type outcome struct{ kind, name, code string }

// answered are the metrics of those.
type answered struct {
	total    prometheus.Counter
	duration prometheus.Observer
}

// Operation counts an answered request.
func (m *Metrics) Operation(o transport.Observation) {
	answered := m.operations.of(outcome{o.Type, o.Name, cmp.Or(string(o.Code), "OK")})
	answered.total.Inc()
	answered.duration.Observe(o.Duration.Seconds())
}

// of returns the metrics of an operation whose name need not have become a label.
func (o *operations) of(labels outcome) answered {
	metrics, found := o.kept.find(labels)
	if !found {
		labels.name = strings.Clone(o.label(labels.name)) // it is a part of the document
		metrics = answered{
			o.total.WithLabelValues(labels.kind, labels.name, labels.code),
			o.duration.WithLabelValues(labels.kind, labels.name),
		}
		o.kept.keep(labels, metrics)
	}
	return metrics
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
		o.names[strings.Clone(name)] = true
	}
	return name
}
