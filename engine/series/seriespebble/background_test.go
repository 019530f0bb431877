package seriespebble_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriespebble"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
)

// metric returns the sum of a metric's values, and the names of all metrics.
func metric(t *testing.T, reg *prometheus.Registry, name string) (sum float64, names []string) {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		names = append(names, f.GetName())
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum, names
}

func TestBackgroundSealsWhatIsOldEnough(t *testing.T) {
	now := clock.NewManual(time.UnixMilli(1_770_000_000_000))
	reg := prometheus.NewRegistry()
	s, err := seriespebble.Open(t.TempDir(), seriespebble.Options{Registerer: reg, Clock: now, SealEvery: time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	var batch []series.Entry
	for i := range int64(300) {
		m := &iot.Measurement{Source: 1, Time: now.Now().Add(time.Duration(i-300) * time.Second), Type: "t", Samples: []iot.Sample{{Fragment: "f", Series: "s"}}}
		batch = append(batch, series.Entry{Tenant: "main", M: m})
	}
	must(t, s.Append(context.Background(), batch))
	now.Advance(11 * time.Minute)
	deadline := time.After(20 * time.Second)
	for sealed := 0.0; sealed < 256; sealed, _ = metric(t, reg, "isobar_series_sealed_rows_total") {
		select {
		case <-deadline:
			t.Fatalf("%v rows were sealed", sealed)
		default:
		}
	}
	points, names := metric(t, reg, "isobar_series_appended_points_total")
	commits, _ := metric(t, reg, "isobar_series_commit_duration_seconds")
	chunks, _ := metric(t, reg, "isobar_series_sealed_chunks_total")
	if points != 300 || commits != 1 || chunks != 1 {
		t.Errorf("%v points, %v commits, %v chunks", points, commits, chunks)
	}
	must(t, s.Close())
	if _, names2 := metric(t, reg, ""); len(names2) != 0 || !slices.Contains(names, "isobar_series_disk_bytes") {
		t.Errorf("metrics %v, after Close %v", names, names2)
	}
}

func TestErrorsAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := open(t, t.TempDir(), seriespebble.Options{Registerer: reg})
	err := s.Append(context.Background(), []series.Entry{{Tenant: "main", M: &iot.Measurement{}}})
	if n, _ := metric(t, reg, "isobar_series_errors_total"); n != 1 || !fault.Is(err, fault.Invalid) {
		t.Errorf("%v errors, %v", n, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	s, err := seriespebble.Open(dir, seriespebble.Options{SealEvery: -1})
	must(t, err)
	if _, err := seriespebble.Open(dir, seriespebble.Options{}); err == nil {
		t.Error("one folder was opened twice")
	}
	must(t, s.DB().Set([]byte("mformat"), []byte("4"), nil))
	must(t, s.Close())
	if _, err := seriespebble.Open(dir, seriespebble.Options{}); !fault.Is(err, fault.Unsupported) {
		t.Errorf("a newer format: %v", err)
	}
}
