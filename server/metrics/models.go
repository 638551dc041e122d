package metrics

import (
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sibyl/inference"
)

// modelCollector tells of every version that answers. Source: Triton's metrics and its statistics extension.
type modelCollector func() []inference.Statistics

var (
	versionLabels = []string{"model", "version", "provider"}

	requestSuccess  = modelMetric("inference_request_success_total", "Requests that were answered.")
	requestFailure  = modelMetric("inference_request_failure_total", "Requests that ended with an error.", "reason")
	requestDuration = modelMetric("inference_request_duration_seconds_total", "Time of answered requests in the engine.")
	stageDuration   = modelMetric("inference_stage_duration_seconds_total",
		"Parts of the time of answered requests: each image of a batch has all of the batch's.", "stage")
	batchCount    = modelMetric("inference_batch_total", "Runs, by the bucket that they were padded to.", "size")
	batchImages   = modelMetric("inference_batch_images_total", "Images in those runs.", "size")
	batchDuration = modelMetric("inference_batch_duration_seconds_total", "Time of those runs.", "size")
	waiting       = modelMetric("inference_pending_requests", "Requests that wait for an instance.")
	instances     = modelMetric("inference_instances", "Runs that may go on at the same time.")
)

func modelMetric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("sibyl_"+name, help, slices.Concat(versionLabels, labels), nil)
}

// Describe is prometheus.Collector's.
func (c modelCollector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		requestSuccess, requestFailure, requestDuration, stageDuration, batchCount, batchImages, batchDuration,
		waiting, instances,
	} {
		descriptions <- d
	}
}

// Collect is prometheus.Collector's.
func (c modelCollector) Collect(metrics chan<- prometheus.Metric) {
	for _, s := range c() {
		v := versionMetrics{metrics, []string{s.Model, strconv.Itoa(s.Version), s.ExecutionProvider}}
		v.requests(&s)
		v.batches(&s)
	}
}

// versionMetrics are those of one version.
type versionMetrics struct {
	to     chan<- prometheus.Metric
	labels []string
}

func (v versionMetrics) send(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
	v.to <- prometheus.MustNewConstMetric(d, kind, value, slices.Concat(v.labels, labels)...)
}

func (v versionMetrics) requests(s *inference.Statistics) {
	v.send(requestSuccess, prometheus.CounterValue, float64(s.Success))
	for reason, count := range s.Failures {
		v.send(requestFailure, prometheus.CounterValue, float64(count), string(reason))
	}
	v.send(requestDuration, prometheus.CounterValue, s.Total.Seconds())
	for stage, took := range map[string]time.Duration{
		"decode": s.Decode, "queue": s.Queue,
		"compute_input": s.ComputeInput, "compute_infer": s.ComputeInfer, "compute_output": s.ComputeOutput,
	} {
		v.send(stageDuration, prometheus.CounterValue, took.Seconds(), stage)
	}
	v.send(waiting, prometheus.GaugeValue, float64(s.Waiting))
	v.send(instances, prometheus.GaugeValue, float64(s.Instances))
}

func (v versionMetrics) batches(s *inference.Statistics) {
	for _, b := range s.Batches {
		size := strconv.Itoa(b.Size)
		v.send(batchCount, prometheus.CounterValue, float64(b.Count), size)
		v.send(batchImages, prometheus.CounterValue, float64(b.Images), size)
		took := b.ComputeInput + b.ComputeInfer + b.ComputeOutput
		v.send(batchDuration, prometheus.CounterValue, took.Seconds(), size)
	}
}
