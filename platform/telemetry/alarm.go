package telemetry

import (
	"context"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
)

// AlarmChange is what is published when an alarm is created, updated or deleted. Of a deleted alarm only ID and Source are set.
type AlarmChange struct {
	Action iot.Action
	Alarm  iot.Alarm
}

// RaiseAlarm stores an alarm, or counts it at the open one of the same source and type: then its count and time change, nothing else, and
// created is false. If the source is in maintenance or the tenant drops alarms of that type, nothing is stored, and the alarm that is
// returned has no id. In a mode that does not store (iot.ModeOf) it has none either, and is published as a new one. It needs ROLE_ALARM_ADMIN or ownership of
// the source.
func (tm *Telemetry) RaiseAlarm(ctx context.Context, p iot.Principal, a iot.Alarm) (out iot.Alarm, created bool, err error) {
	const op = fault.Op("telemetry.RaiseAlarm")
	if err := mandatory(op, unless(a.Source != 0, "source"), unless(!a.Time.IsZero(), "time"), unless(a.Type != "", "type"), unless(a.Severity != "", "severity")); err != nil {
		return iot.Alarm{}, false, err
	}
	a, drop, err := tm.fresh(ctx, op, p, a)
	if err != nil || drop {
		return a, false, err
	}
	before, after, err := tm.raise(ctx, op, p, a, func(open iot.Alarm) iot.Alarm { return again(open, a) })
	return after, err == nil && before == nil, err
}

// UpsertAlarm is RaiseAlarm, but an open alarm takes over what a says, and is counted only if count is set. Severity, status and time have
// defaults. before is nil if the alarm was created (or dropped, then after has no id).
func (tm *Telemetry) UpsertAlarm(ctx context.Context, p iot.Principal, a iot.Alarm, count bool) (before *iot.Alarm, after iot.Alarm, err error) {
	const op = fault.Op("telemetry.UpsertAlarm")
	if err := mandatory(op, unless(a.Source != 0, "source"), unless(a.Type != "", "type")); err != nil {
		return nil, iot.Alarm{}, err
	}
	given := a
	if a.Time.IsZero() {
		a.Time = tm.now()
	}
	if a.Severity == "" {
		a.Severity = iot.Major
	}
	a, drop, err := tm.fresh(ctx, op, p, a)
	if err != nil || drop {
		return nil, a, err
	}
	before, after, err = tm.raise(ctx, op, p, a, func(open iot.Alarm) iot.Alarm {
		next := open
		if count {
			next = again(open, a)
		}
		if given.Severity != "" {
			next.Severity = a.Severity
		}
		if given.Status != "" {
			next.Status = a.Status
		}
		if given.Text != "" {
			next.Text = a.Text
		}
		if !given.Time.IsZero() {
			next.Time = a.Time
		}
		next.Fragments = open.Fragments.Merge(given.Fragments)
		return next
	})
	if err == nil && before != nil {
		tm.auditAlarm(ctx, p, *before, after)
	}
	return before, after, err
}

// again is an open alarm that was raised once more.
func again(open, a iot.Alarm) iot.Alarm {
	if open.Count++; open.FirstOccurrence.IsZero() {
		open.FirstOccurrence = open.Time
	}
	open.Time = a.Time
	return open
}

// fresh checks a new alarm and completes it. drop is true if it must not be stored.
func (tm *Telemetry) fresh(ctx context.Context, op fault.Op, p iot.Principal, a iot.Alarm) (out iot.Alarm, drop bool, err error) {
	if err := storable(op, a.Fragments, a.Type, a.Text); err != nil {
		return iot.Alarm{}, false, err
	}
	if a.Status == "" {
		a.Status = iot.Active
	}
	if a.Severity, err = severity(op, a.Severity); err == nil {
		a.Status, err = status(op, a.Status)
	}
	if err != nil {
		return iot.Alarm{}, false, err
	}
	source, err := tm.d.Registry.Check(ctx, p, a.Source, access.Alarm, access.Admin, access.Names(p, a.Fragments)...)
	if err != nil {
		return iot.Alarm{}, false, err
	}
	now := tm.now()
	a.ID, a.Count, a.CreationTime, a.LastUpdated = 0, 1, now, now
	a.Time, a.Fragments = iot.FromMillis(a.Time.UnixMilli()), a.Fragments.WithoutNulls()
	a, drop = tm.mapped(ctx, p.Tenant, a)
	return a, drop || source.Maintenance, nil
}

const (
	mappingCategory = "alarm.type.mapping"
	maxPrefix       = 128 // bytes of a type that a mapping can name
)

// mapped applies the tenant's mapping of the longest prefix of the alarm's type. c8y: its value is SEVERITY|text, empty parts keep what
// the alarm says, NONE drops the alarm.
func (tm *Telemetry) mapped(ctx context.Context, t iot.TenantID, a iot.Alarm) (out iot.Alarm, drop bool) {
	if tm.d.Option == nil {
		return a, false
	}
	for n := min(len(a.Type), maxPrefix); n > 0; n-- {
		value, ok := tm.d.Option(ctx, t, mappingCategory, a.Type[:n])
		if !ok {
			continue
		}
		sev, text, _ := strings.Cut(value, "|")
		sev = strings.ToUpper(strings.TrimSpace(sev))
		if s := iot.Severity(sev); s.Valid() {
			a.Severity = s
		}
		if text != "" {
			a.Text = text
		}
		return a, sev == "NONE"
	}
	return a, false
}

func (tm *Telemetry) raise(ctx context.Context, op fault.Op, p iot.Principal, a iot.Alarm, merge func(iot.Alarm) iot.Alarm) (*iot.Alarm, iot.Alarm, error) {
	if mode := iot.ModeOf(ctx); !mode.Stores() {
		tm.publish(p.Tenant, iot.KindAlarm, iot.Created, a.Source, mode, AlarmChange{iot.Created, a})
		return nil, a, nil
	}
	var err error
	if a.ID, err = tm.d.Store.NextID(ctx, p.Tenant); err != nil {
		return nil, iot.Alarm{}, sqlkit.Fault(op, err)
	}
	before, after, err := tm.d.Store.Raise(tm.d.Bus.Noting(ctx, p.Tenant), p.Tenant, a, tm.revision(ctx, p), merge)
	tm.books.count(p.Tenant, a.Source, err)
	if err != nil {
		return nil, iot.Alarm{}, sqlkit.Fault(op, err)
	}
	switch {
	case before == nil:
		tm.recount(ctx, p.Tenant, a.Source)
		tm.publish(p.Tenant, iot.KindAlarm, iot.Created, a.Source, iot.ModeOf(ctx), AlarmChange{iot.Created, after})
	case !sameAlarm(*before, after):
		if moves(*before, after) {
			tm.recount(ctx, p.Tenant, a.Source)
		}
		tm.publish(p.Tenant, iot.KindAlarm, iot.Updated, a.Source, iot.ModeOf(ctx), AlarmChange{iot.Updated, after})
	}
	return before, after, nil
}

// sameAlarm reports whether a change made no difference.
func sameAlarm(a, b iot.Alarm) bool {
	return a.Text == b.Text && a.Severity == b.Severity && a.Status == b.Status && a.Count == b.Count && a.Time.Equal(b.Time) && a.Fragments.Equal(b.Fragments)
}

// moves reports whether a change can move the counters of the source.
func moves(a, b iot.Alarm) bool { return a.Severity != b.Severity || a.Status != b.Status }

// recount sets the counters of a source. Whoever writes last looks again afterwards, so that of several changes at once, on any nodes, the
// counters that stay are right.
func (tm *Telemetry) recount(ctx context.Context, t iot.TenantID, source iot.ID) {
	ctx = context.WithoutCancel(ctx) // the change is durable; its consequence must not depend on the client
	const tries = 10
	var written registry.Counters
	for i := range tries {
		counters, err := tm.d.Store.OpenAlarms(ctx, t, source)
		if err == nil && i > 0 && counters == written {
			return
		}
		if err == nil {
			written = counters
			err = tm.d.Registry.SetAlarms(ctx, t, source, counters)
		}
		if err != nil {
			tm.d.Log.Error("set the counters of alarms", "tenant", t, "device", source, "err", err)
			return
		}
	}
}

func severity(op fault.Op, s iot.Severity) (iot.Severity, error) {
	if up := iot.Severity(strings.ToUpper(string(s))); up.Valid() {
		return up, nil
	}
	return s, fault.Errorf(op, fault.Invalid, "the severity %.40q is none of CRITICAL, MAJOR, MINOR, WARNING", s)
}

func status(op fault.Op, s iot.AlarmStatus) (iot.AlarmStatus, error) {
	if up := iot.AlarmStatus(strings.ToUpper(string(s))); up.Valid() {
		return up, nil
	}
	return s, fault.Errorf(op, fault.Invalid, "the status %.40q is none of ACTIVE, ACKNOWLEDGED, CLEARED", s)
}
