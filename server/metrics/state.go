package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"sibyl/graph"
	"sibyl/persistence"
)

// state is everything of which there is one number, at one time.
type state struct {
	store      persistence.Statistics
	shadows    graph.ShadowStatistics
	operations int
	bytes      int64
	streams    int
}

// stateCollector asks the sources once for all of their numbers.
type stateCollector struct{ sources Sources }

// number is one of the state's.
type number struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*state) float64
}

func gauge(name, help string, read func(*state) float64) number {
	return number{prometheus.NewDesc("sibyl_"+name, help, nil, nil), prometheus.GaugeValue, read}
}

func counter(name, help string, read func(*state) float64) number {
	return number{prometheus.NewDesc("sibyl_"+name, help, nil, nil), prometheus.CounterValue, read}
}

var numbers = []number{
	gauge("operations_in_flight", "GraphQL operations that run.",
		func(s *state) float64 { return float64(s.operations) }),
	gauge("request_bytes_in_flight", "Bytes of requests and images that are held in memory.",
		func(s *state) float64 { return float64(s.bytes) }),

	counter("commit_groups_total", "Transactions of the group commit.",
		func(s *state) float64 { return float64(s.store.Groups) }),
	counter("commit_rows_total", "Predictions stored by the group commit.",
		func(s *state) float64 { return float64(s.store.Rows) }),
	gauge("commit_pending_rows", "Predictions that wait to be stored.",
		func(s *state) float64 { return float64(s.store.PendingRows) }),
	gauge("commit_pending_bytes", "Bytes that wait to be stored.",
		func(s *state) float64 { return float64(s.store.PendingBytes) }),
	gauge("database_connections", "Open connections of the pool.",
		func(s *state) float64 { return float64(s.store.Connections) }),
	gauge("database_connections_acquired", "Connections of the pool that are at work.",
		func(s *state) float64 { return float64(s.store.Acquired) }),
	gauge("database_connections_max", "Most connections of the pool.",
		func(s *state) float64 { return float64(s.store.MaxConnections) }),
	counter("database_empty_acquires_total", "Waits for a connection because all were at work.",
		func(s *state) float64 { return float64(s.store.EmptyAcquires) }),

	gauge("streams", "WebSockets and event streams that are open.",
		func(s *state) float64 { return float64(s.streams) }),
	gauge("subscribers", "Subscriptions to predictions.",
		func(s *state) float64 { return float64(s.store.Subscribers) }),

	counter("shadow_stored_total", "Runs of shadows whose prediction was stored.",
		func(s *state) float64 { return float64(s.shadows.Stored) }),
	counter("shadow_dropped_total", "Runs of shadows that were dropped.",
		func(s *state) float64 { return float64(s.shadows.Dropped) }),
	counter("shadow_failed_total", "Runs of shadows that failed.",
		func(s *state) float64 { return float64(s.shadows.Failed) }),
}

// Describe is prometheus.Collector's.
func (c stateCollector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, n := range numbers {
		descriptions <- n.desc
	}
}

// Collect is prometheus.Collector's.
func (c stateCollector) Collect(metrics chan<- prometheus.Metric) {
	s := state{store: c.sources.Store(), shadows: c.sources.Shadows(), streams: c.sources.Streams()}
	s.operations, s.bytes = c.sources.InFlight()
	for _, n := range numbers {
		metrics <- prometheus.MustNewConstMetric(n.desc, n.kind, n.read(&s))
	}
}
