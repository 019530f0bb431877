package telemetry

import (
	"context"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// intent is what a commit announces, before it, of a tenant in which somebody must hear of every measurement. Measurements do not lie in the
// database of notes: announced only after the commit, one could be lost if the process died between both, because a device that repeats what was
// stored stores nothing again.
type intent struct {
	tenant  iot.TenantID
	promise bus.Promise
}

// intend announces what is to be stored. What cannot be announced is not stored either.
func (b *batcher) intend(batch []submission) (out []intent) {
	if !b.d.Bus.Keeps() {
		return nil
	}
	for _, t := range tenants(batch) {
		p, err := b.d.Bus.Intend(context.Background(), t, iot.KindMeasurement, iot.Created, func() []byte { return created(batch, t) })
		switch {
		case err != nil:
			err = sqlkit.Fault("telemetry.Submit", err)
			for i := range batch {
				if s := &batch[i]; s.tenant == t && public(s) {
					s.err = err
				}
			}
		case p != nil:
			out = append(out, intent{t, p})
		}
	}
	return out
}

// intendRemoval announces what is to be deleted. What it returns is to be called with the outcome.
func (tm *Telemetry) intendRemoval(ctx context.Context, t iot.TenantID, gone MeasurementBatch, fact []byte) (happened func(error), err error) {
	if len(gone.Measurements) > 0 {
		p, err := tm.d.Bus.Intend(ctx, t, iot.KindMeasurement, iot.Deleted, func() []byte { return fact })
		if err != nil {
			return nil, err
		}
		if p != nil {
			return func(err error) {
				if err != nil {
					p.Failed()
				} else {
					p.Happened(fact)
				}
			}, nil
		}
	}
	return func(error) {}, nil
}

// keep tells what became of what was announced.
func keep(batch []submission, intents []intent) {
	for _, x := range intents {
		if data := created(batch, x.tenant); data != nil {
			x.promise.Happened(data)
		} else {
			x.promise.Failed()
		}
	}
}

// public reports whether others than rules may hear of a submission that is stored.
func public(s *submission) bool { return s.mode == iot.Persistent }

// tenants lists the tenants of a batch that have something to tell, each once.
func tenants(batch []submission) (out []iot.TenantID) {
	seen := map[iot.TenantID]bool{}
	for i := range batch {
		if s := &batch[i]; public(s) && !seen[s.tenant] {
			seen[s.tenant] = true
			out = append(out, s.tenant)
		}
	}
	return out
}

// created encodes the measurements of a tenant that are not refused so far; nil if there are none.
func created(batch []submission, t iot.TenantID) []byte {
	all := MeasurementBatch{Action: iot.Created}
	for i := range batch {
		if s := &batch[i]; s.tenant == t && public(s) && s.err == nil {
			s.each(func(m *iot.Measurement) { all.Measurements = append(all.Measurements, *m) })
		}
	}
	if len(all.Measurements) == 0 {
		return nil
	}
	return all.AppendTo(nil)
}
