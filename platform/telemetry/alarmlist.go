package telemetry

import (
	"context"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"slices"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// Alarm returns one alarm.
func (tm *Telemetry) Alarm(ctx context.Context, p iot.Principal, id iot.ID) (iot.Alarm, error) {
	return tm.alarm(ctx, p, id, access.Read)
}

func (tm *Telemetry) alarm(ctx context.Context, p iot.Principal, id iot.ID, l access.Level) (iot.Alarm, error) {
	a, err := tm.d.Store.Alarm(ctx, p.Tenant, id)
	if err != nil {
		return iot.Alarm{}, noDocument("telemetry.Alarm", "alarm", id.String(), err)
	}
	if err := tm.checkSource(ctx, p, a.Source, access.Alarm, l, access.Names(p, a.Fragments)...); err != nil {
		return iot.Alarm{}, err
	}
	return a, nil
}

// Alarms returns a page of what p may read, and the number of all of it if q.Count.
func (tm *Telemetry) Alarms(ctx context.Context, p iot.Principal, q AlarmQuery) ([]iot.Alarm, int, error) {
	scope, q, err := tm.seenAlarms(ctx, p, q)
	if err != nil {
		return nil, 0, err
	}
	alarms, n, err := tm.d.Store.Alarms(ctx, p.Tenant, scope, q)
	return alarms, n, sqlkit.Fault("telemetry.Alarms", err)
}

// eachAlarm calls each with all alarms that q selects and p may read, and with their versions.
func (tm *Telemetry) eachAlarm(ctx context.Context, p iot.Principal, q AlarmQuery, each func(iot.Alarm, []Version[iot.Alarm]) error) error {
	scope, q, err := tm.seenAlarms(ctx, p, q)
	if err != nil {
		return err
	}
	return sqlkit.Fault("telemetry.Alarms", tm.d.Store.EachAlarm(ctx, p.Tenant, scope, q, each))
}

// seenAlarms is what of the alarms that q selects p may read.
func (tm *Telemetry) seenAlarms(ctx context.Context, p iot.Principal, q AlarmQuery) (access.Scope, AlarmQuery, error) {
	scope, few, err := tm.readable(ctx, p, access.Alarm)
	if err != nil {
		return scope, q, err
	}
	if q, err = tm.resolveAlarms(ctx, p, q); err == nil && q.Sources == nil {
		q.Sources = few
	}
	return scope, q, err
}

// CountAlarms returns the number of alarms that q selects and p may read.
func (tm *Telemetry) CountAlarms(ctx context.Context, p iot.Principal, q AlarmQuery) (int, error) {
	q.Count, q.Limit = true, 0
	_, n, err := tm.Alarms(ctx, p, q)
	return n, err
}

// ActiveAlarm returns the open alarm of a source and type that a device means: ACTIVE first, then ACKNOWLEDGED, the newest. A fault of kind
// NotFound if there is none.
func (tm *Telemetry) ActiveAlarm(ctx context.Context, p iot.Principal, source iot.ID, typ string) (iot.Alarm, error) {
	open := false
	alarms, _, err := tm.Alarms(ctx, p, AlarmQuery{Source: source, Types: []string{typ}, Resolved: &open, Order: []AlarmOrder{{Field: "status"}}, Limit: 1})
	if err != nil {
		return iot.Alarm{}, err
	}
	if len(alarms) == 0 {
		return iot.Alarm{}, fault.E(fault.Op("telemetry.ActiveAlarm"), fault.NotFound, fault.Subject(typ), "the source has no open alarm of that type")
	}
	return alarms[0], nil
}

// orderable reports whether alarms can be ordered by a member.
func orderable(field string) bool {
	switch field {
	case "status", "severity", "time", "text", "type", "creationTime", "lastUpdated":
		return true
	}
	return false
}

// resolveAlarms turns what only the face knows into what a driver does.
func (tm *Telemetry) resolveAlarms(ctx context.Context, p iot.Principal, q AlarmQuery) (AlarmQuery, error) {
	const op = fault.Op("telemetry.Alarms")
	window(&q.From, &q.To)
	window(&q.CreatedFrom, &q.CreatedTo)
	window(&q.UpdatedFrom, &q.UpdatedTo)
	var err error
	q.Statuses = slices.Clone(q.Statuses)
	for i := range q.Statuses {
		if q.Statuses[i], err = status(op, q.Statuses[i]); err != nil {
			return q, err
		}
	}
	q.Severities = slices.Clone(q.Severities)
	for i := range q.Severities {
		if q.Severities[i], err = severity(op, q.Severities[i]); err != nil {
			return q, err
		}
	}
	for _, o := range q.Order {
		if !orderable(o.Field) {
			return q, fault.Errorf(op, fault.Invalid, "alarms cannot be ordered by %.40q", o.Field)
		}
	}
	if q.Resolved != nil {
		q.Statuses = []iot.AlarmStatus{iot.Cleared}
		if !*q.Resolved {
			q.Statuses = []iot.AlarmStatus{iot.Active, iot.Acknowledged}
		}
	}
	q.Sources, err = tm.below(ctx, p.Tenant, q.Source, q.Sources, q.WithAssets, q.WithDevices, q.WithAdditions)
	return q, err
}

func (q AlarmQuery) unbounded() bool {
	return q.Source == 0 && len(q.Sources) == 0 && q.From.IsZero() && q.To.IsZero() && q.CreatedFrom.IsZero() && q.CreatedTo.IsZero()
}

// DeleteAlarms removes what q selects, whatever its Offset and Limit; it must name a source or a bound of time or creation. It needs
// ROLE_ALARM_ADMIN, or ownership of the source that it names.
func (tm *Telemetry) DeleteAlarms(ctx context.Context, p iot.Principal, q AlarmQuery) error {
	const op = fault.Op("telemetry.DeleteAlarms")
	if q.unbounded() {
		return fault.E(op, fault.Invalid, "a deletion must name a source, dateFrom, dateTo, createdFrom or createdTo")
	}
	scope, err := tm.writable(ctx, p, access.Alarm, q.Source)
	if err != nil {
		return err
	}
	if q, err = tm.resolveAlarms(ctx, p, q); err != nil {
		return err
	}
	rev := tm.revision(ctx, p)
	for {
		gone, err := tm.d.Store.DeleteAlarms(tm.d.Bus.Noting(ctx, p.Tenant), p.Tenant, scope, q, rev)
		if err != nil {
			return sqlkit.Fault(op, err)
		}
		counted := map[iot.ID]bool{}
		for _, a := range gone {
			if a.Status != iot.Cleared && !counted[a.Source] {
				counted[a.Source] = true
				tm.recount(ctx, p.Tenant, a.Source)
			}
			tm.publish(p.Tenant, iot.KindAlarm, iot.Deleted, a.Source, iot.ModeOf(ctx), AlarmChange{iot.Deleted, iot.Alarm{ID: a.ID, Source: a.Source}})
		}
		if len(gone) < DeleteBatch {
			return nil
		}
	}
}
