package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sibyl/persistence"
)

func newStages() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "sibyl_prediction_stage_duration_seconds",
		Help:    "Time of a stored prediction's stages: decode, queue (the wait for the model), inference, commit.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 14),
	}, []string{"model", "version", "source", "stage"})
}

// Prediction counts a stored prediction by its stages.
func (m *Metrics) Prediction(p *persistence.Prediction, commit time.Duration) {
	version := strconv.Itoa(p.ModelVersion)
	for stage, took := range p.Stages() {
		m.stages.WithLabelValues(p.ModelName, version, string(p.Source), stage).Observe(took.Seconds())
	}
	m.stages.WithLabelValues(p.ModelName, version, string(p.Source), "commit").Observe(commit.Seconds())
}
