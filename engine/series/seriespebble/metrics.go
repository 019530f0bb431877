package seriespebble

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/fault"
)

// metrics are the store's figures. They work unregistered, too.
type metrics struct {
	points  prometheus.Counter
	commits prometheus.Histogram
	chunks  prometheus.Counter
	sealed  prometheus.Counter
	looked  prometheus.Counter
	errors  *prometheus.CounterVec
	disk    prometheus.GaugeFunc
}

func newMetrics(reg prometheus.Registerer, disk func() float64) (*metrics, error) {
	m := &metrics{
		points: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "isobar_series_appended_points_total", Help: "Values of series that were stored."}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "isobar_series_commit_duration_seconds", Help: "Time from the start of an append until it was durable.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 2, 16)}),
		chunks: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "isobar_series_sealed_chunks_total", Help: "Chunks that were made of rows."}),
		sealed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "isobar_series_sealed_rows_total", Help: "Rows that went into chunks."}),
		looked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "isobar_series_retention_sources_total", Help: "Sources at which a deletion over all sources looked for something to delete."}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "isobar_series_errors_total", Help: "Failed operations by operation and kind, without those that the caller ended."},
			[]string{"op", "kind"}),
		disk: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "isobar_series_disk_bytes", Help: "Size of the files of the store."}, disk),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.points, m.commits, m.chunks, m.sealed, m.looked, m.errors, m.disk} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) unregister(reg prometheus.Registerer) {
	if reg == nil {
		return
	}
	for _, c := range []prometheus.Collector{m.points, m.commits, m.chunks, m.sealed, m.looked, m.errors, m.disk} {
		reg.Unregister(c)
	}
}

func (m *metrics) committed(points int, began time.Time) {
	m.points.Add(float64(points))
	m.commits.Observe(time.Since(began).Seconds())
}

func (m *metrics) failed(op fault.Op, err error) {
	if k := fault.KindOf(err); k != 0 && k != fault.Canceled && k != fault.NotFound {
		m.errors.WithLabelValues(string(op), k.String()).Inc()
	}
}
