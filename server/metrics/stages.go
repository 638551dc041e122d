package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sibyl/persistence"
)

// commit is the stage that a prediction itself does not know.
const commit = "commit"

type stages struct {
	durations *prometheus.HistogramVec
	kept      kept[predictor, []prometheus.Observer] // in the order of Prediction.Stages, and commit
}

// predictor is what the stages of some predictions have in common.
type predictor struct {
	model   string
	version int
	source  persistence.Source
}

func newStages() *stages {
	return &stages{durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "sibyl_prediction_stage_duration_seconds",
		Help:    "Time of a stored prediction's stages: decode, queue (the wait for the model), inference, commit.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 14),
	}, []string{"model", "version", "source", "stage"})}
}

// Prediction counts a stored prediction by its stages.
func (m *Metrics) Prediction(p *persistence.Prediction, committed time.Duration) {
	durations := m.stages.of(p)
	stage := 0
	for _, took := range p.Stages() {
		durations[stage].Observe(took.Seconds())
		stage++
	}
	durations[stage].Observe(committed.Seconds())
}

// of returns the histograms of the prediction's stages.
func (s *stages) of(p *persistence.Prediction) []prometheus.Observer {
	by := predictor{p.ModelName, p.ModelVersion, p.Source}
	durations, found := s.kept.find(by)
	if !found {
		add := func(stage string) {
			o := s.durations.WithLabelValues(by.model, strconv.Itoa(by.version), string(by.source), stage)
			durations = append(durations, o)
		}
		for stage := range p.Stages() {
			add(stage)
		}
		add(commit)
		s.kept.keep(by, durations)
	}
	return durations
}
