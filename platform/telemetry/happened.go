package telemetry

import (
	"context"
	"slices"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Happened returns those measurements of an encoded batch that are stored, as they are stored, or those that are gone if the batch is of
// deleted ones; nil if there are none. It is for who kept a batch that was under way when the process died.
func (tm *Telemetry) Happened(ctx context.Context, t iot.TenantID, data []byte) ([]byte, error) {
	batch, err := DecodeMeasurements(data)
	if err != nil {
		tm.d.Log.Error("decode measurements", "tenant", t, "err", err)
		return nil, nil
	}
	out := MeasurementBatch{Action: batch.Action}
	used := map[iot.MeasurementID]bool{}
	for i := range batch.Measurements {
		m := &batch.Measurements[i]
		if batch.Action == iot.Deleted {
			there := false
			if err := tm.d.Series.Scan(ctx, t, series.One(m.ID()), func(*iot.Measurement) bool { there = true; return false }); err != nil {
				return nil, sqlkit.Fault("telemetry.Happened", err)
			}
			if !there {
				out.Measurements = append(out.Measurements, *m)
			}
			continue
		}
		at := series.Bound(m.Time)
		err := tm.d.Series.Scan(ctx, t, series.Query{Source: m.Source, From: at, To: series.Bound(m.Time.Add(1e6))}, func(x *iot.Measurement) bool {
			if used[x.ID()] || !sameValues(m, x) {
				return true
			}
			used[x.ID()] = true
			kept := *x
			kept.Samples, kept.Extra = slices.Clone(x.Samples), slices.Clone(x.Extra)
			out.Measurements = append(out.Measurements, kept)
			return false
		})
		if err != nil {
			return nil, sqlkit.Fault("telemetry.Happened", err)
		}
	}
	if len(out.Measurements) == 0 {
		return nil, nil
	}
	return out.AppendTo(nil), nil
}

// sameValues compares what a client says of a measurement.
func sameValues(a, b *iot.Measurement) bool {
	if a.Type != b.Type || len(a.Samples) != len(b.Samples) || !a.Extra.Equal(b.Extra) {
		return false
	}
	for _, s := range a.Samples {
		if !slices.Contains(b.Samples, s) {
			return false
		}
	}
	return true
}
