package telemetry

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// AlarmAsOf returns an alarm as it was at a time, to who may read it now, and one that was deleted to who may read all alarms. What retention removed has left
// nothing. A fault of kind NotFound if there was no such alarm then.
func (tm *Telemetry) AlarmAsOf(ctx context.Context, p iot.Principal, id iot.ID, at time.Time) (iot.Alarm, error) {
	a, err := tm.alarm(ctx, p, id, access.Read)
	if err == nil && !a.LastUpdated.After(at) {
		return a, nil
	}
	if a, err = former(ctx, tm, p, access.Alarm, id, at, err, tm.d.Store.AlarmHistory); err != nil {
		return iot.Alarm{}, err
	}
	return a, tm.checkSource(ctx, p, a.Source, access.Alarm, access.Read, access.Names(p, a.Fragments)...)
}

// EventAsOf is AlarmAsOf for events. What is attached to an event has no history.
func (tm *Telemetry) EventAsOf(ctx context.Context, p iot.Principal, id iot.ID, at time.Time) (iot.Event, error) {
	e, err := tm.event(ctx, p, id, access.Read)
	if err == nil && !e.LastUpdated.After(at) {
		return e, nil
	}
	if e, err = former(ctx, tm, p, access.Event, id, at, err, tm.d.Store.EventHistory); err != nil {
		return iot.Event{}, err
	}
	return e, tm.checkSource(ctx, p, e.Source, access.Event, access.Read, access.Names(p, e.Fragments)...)
}

// former returns the superseded version that was current at a time. now is the error of reading what is: of what is gone, only who may read all sees anything.
func former[D any](ctx context.Context, tm *Telemetry, p iot.Principal, f access.Family, id iot.ID, at time.Time, now error,
	history func(context.Context, iot.TenantID, iot.ID, time.Time) ([]Version[D], error)) (out D, err error) {
	const op = fault.Op("telemetry.AsOf")
	if now != nil && (!fault.Is(now, fault.NotFound) || tm.d.Policy.Check(ctx, p, f, access.Read, access.Object{}) != nil) {
		return out, now
	}
	versions, err := history(ctx, p.Tenant, id, at)
	switch {
	case err != nil:
		return out, sqlkit.Fault(op, err)
	case len(versions) == 0:
		return out, fault.E(op, fault.NotFound, fault.Subject(id.String()), "there was no such document at that time")
	}
	return versions[0].Document, nil
}
