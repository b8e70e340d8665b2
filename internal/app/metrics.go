package app

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/keyframe/keyframe/internal/capture"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/snapstore"
)

// metrics are what /metrics shows. Each server has its own registry, so that several can live in one test.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	pauses   *prometheus.HistogramVec
	cuts     *prometheus.CounterVec
}

func newMetrics(db *metastore.DB) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "keyframe_request_seconds", Help: "Time to answer an API request.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"service", "action", "status"}),
		pauses: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "keyframe_snapshot_pause_seconds", Help: "Time for which writes were held to cut several shards at one instant: whole, and added to the slowest fork.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2},
		}, []string{"part"}),
		cuts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyframe_snapshot_cuts_total", Help: "Snapshots of several shards, by what they show: one instant, or each shard its own.",
		}, []string{"consistency"}),
	}
	m.registry.MustRegister(m.requests, m.pauses, m.cuts, &jobCollector{db: db}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *metrics) observe(service, action string, status int, took time.Duration) {
	m.requests.WithLabelValues(service, action, strconv.Itoa(status)).Observe(took.Seconds())
}

// cut counts a snapshot of several shards.
func (m *metrics) cut(c *capture.Cut) {
	if !c.Instant {
		m.cuts.WithLabelValues(string(snapstore.PerShard)).Inc()
		return
	}
	m.cuts.WithLabelValues(string(snapstore.Instant)).Inc()
	m.pauses.WithLabelValues("whole").Observe(c.Pause.Seconds())
	m.pauses.WithLabelValues("added").Observe(c.Added().Seconds())
}

// jobCollector counts jobs when it is asked.
type jobCollector struct{ db *metastore.DB }

var jobsDesc = prometheus.NewDesc("keyframe_jobs", "Jobs of the last day by kind and state.", []string{"kind", "state"}, nil)

func (c *jobCollector) Describe(ch chan<- *prometheus.Desc) { ch <- jobsDesc }

func (c *jobCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := c.db.View(ctx, func(tx *metastore.Tx) error {
		counts, err := job.Counts(tx)
		for _, n := range counts {
			ch <- prometheus.MustNewConstMetric(jobsDesc, prometheus.GaugeValue, float64(n.N), n.Kind, string(n.State))
		}
		return err
	})
	if err != nil {
		ch <- prometheus.NewInvalidMetric(jobsDesc, err)
	}
}
