package telemetry

import (
	"context"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"slices"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// AlarmPatch changes an alarm: nil is left alone, fragments replace whole members, null removes one.
type AlarmPatch struct {
	Text      *string
	Status    *iot.AlarmStatus
	Severity  *iot.Severity
	Fragments iot.Doc
}

func (x AlarmPatch) checked(op fault.Op) (AlarmPatch, error) {
	text := ""
	if x.Text != nil {
		text = *x.Text
	}
	if err := storable(op, x.Fragments, "", text); err != nil {
		return x, err
	}
	if x.Status != nil {
		s, err := status(op, *x.Status)
		if err != nil {
			return x, err
		}
		x.Status = &s
	}
	if x.Severity != nil {
		s, err := severity(op, *x.Severity)
		if err != nil {
			return x, err
		}
		x.Severity = &s
	}
	return x, nil
}

func (x AlarmPatch) apply(a iot.Alarm) iot.Alarm {
	if x.Text != nil {
		a.Text = *x.Text
	}
	if x.Status != nil {
		a.Status = *x.Status
	}
	if x.Severity != nil {
		a.Severity = *x.Severity
	}
	a.Fragments = a.Fragments.Merge(x.Fragments)
	return a
}

// PatchAlarm changes an alarm. A patch that changes nothing stores, publishes and audits nothing. In a mode that does not store (iot.ModeOf) it publishes and
// returns what the alarm would be.
func (tm *Telemetry) PatchAlarm(ctx context.Context, p iot.Principal, id iot.ID, patch AlarmPatch) (iot.Alarm, error) {
	const op = fault.Op("telemetry.PatchAlarm")
	patch, err := patch.checked(op)
	if err != nil {
		return iot.Alarm{}, err
	}
	old, err := tm.alarm(ctx, p, id, access.Admin)
	if err == nil { // what somebody may change for the sake of its fragments must stay so
		err = tm.checkSource(ctx, p, old.Source, access.Alarm, access.Admin, access.Names(p, old.Fragments.Merge(patch.Fragments))...)
	}
	if err != nil {
		return iot.Alarm{}, err
	}
	if mode := iot.ModeOf(ctx); !mode.Stores() {
		next := patch.apply(old)
		next.LastUpdated = tm.now()
		tm.publish(p.Tenant, iot.KindAlarm, iot.Updated, old.Source, mode, AlarmChange{iot.Updated, next})
		return next, nil
	}
	updates, err := tm.changeAlarms(ctx, op, p, []iot.ID{id}, patch)
	if err != nil {
		return iot.Alarm{}, err
	}
	if len(updates) == 0 { // deleted in between
		return iot.Alarm{}, noDocument(op, "alarm", id.String(), fault.E(op, fault.NotFound))
	}
	return updates[0].After, nil
}

// PatchAlarms sets the status of all alarms that q selects, whatever its Offset and Limit, and returns how many it changed. q must have a
// condition. It needs ROLE_ALARM_ADMIN, or ownership of the source that q names.
func (tm *Telemetry) PatchAlarms(ctx context.Context, p iot.Principal, q AlarmQuery, to iot.AlarmStatus) (int, error) {
	const op = fault.Op("telemetry.PatchAlarms")
	if q.unbounded() && q.Resolved == nil && len(q.Statuses)+len(q.Severities)+len(q.Types) == 0 && q.UpdatedFrom.IsZero() && q.UpdatedTo.IsZero() {
		return 0, fault.E(op, fault.Invalid, "a change of many alarms must have at least one filter")
	}
	patch, err := AlarmPatch{Status: &to}.checked(op)
	if err != nil {
		return 0, err
	}
	scope, err := tm.writable(ctx, p, access.Alarm, q.Source)
	if err != nil {
		return 0, err
	}
	if q, err = tm.resolveAlarms(ctx, p, q); err != nil {
		return 0, err
	}
	if q.Resolved != nil { // it overrides statuses, and would do so in the list that shrinks below
		q.Statuses = []iot.AlarmStatus{iot.Cleared}
		if !*q.Resolved {
			q.Statuses = []iot.AlarmStatus{iot.Active, iot.Acknowledged}
		}
		q.Resolved = nil
	}
	// Those that have the status already are left out, so that every page holds only what is still to do.
	if len(q.Statuses) == 0 {
		q.Statuses = []iot.AlarmStatus{iot.Active, iot.Acknowledged, iot.Cleared}
	}
	q.Statuses = slices.DeleteFunc(q.Statuses, func(s iot.AlarmStatus) bool { return s == *patch.Status })
	q.Order, q.Offset, q.Limit, q.Count = nil, 0, DeleteBatch, false
	n := 0
	for len(q.Statuses) > 0 {
		todo, _, err := tm.d.Store.Alarms(ctx, p.Tenant, scope, q)
		if err != nil || len(todo) == 0 {
			return n, sqlkit.Fault(op, err)
		}
		ids := make([]iot.ID, len(todo))
		for i := range todo {
			ids[i] = todo[i].ID
		}
		updates, err := tm.changeAlarms(ctx, op, p, ids, patch)
		if err != nil {
			return n, err
		}
		for i := range updates {
			if updates[i].Written {
				n++
			}
		}
	}
	return n, nil
}

// changeAlarms changes alarms and does what follows from it: counters, audit, facts.
func (tm *Telemetry) changeAlarms(ctx context.Context, op fault.Op, p iot.Principal, ids []iot.ID, patch AlarmPatch) ([]AlarmUpdate, error) {
	updates, err := tm.d.Store.UpdateAlarms(tm.d.Bus.Noting(ctx, p.Tenant), p.Tenant, ids, tm.revision(ctx, p), patch.apply)
	if err != nil {
		return nil, sqlkit.Fault(op, err)
	}
	counted := map[iot.ID]bool{}
	for _, u := range updates {
		if u.Written && moves(u.Before, u.After) && !counted[u.After.Source] {
			counted[u.After.Source] = true
			tm.recount(ctx, p.Tenant, u.After.Source)
		}
	}
	for _, u := range updates {
		if u.Written {
			tm.auditAlarm(ctx, p, u.Before, u.After)
			tm.publish(p.Tenant, iot.KindAlarm, iot.Updated, u.After.Source, iot.ModeOf(ctx), AlarmChange{iot.Updated, u.After})
		}
	}
	return updates, nil
}

// auditAlarm records a change of status, severity or text. c8y: the source of the record is the alarm, the device is in a fragment.
func (tm *Telemetry) auditAlarm(ctx context.Context, p iot.Principal, before, after iot.Alarm) {
	var changes []iot.AttributeChange
	note := func(attribute, typ, from, to string) {
		if from != to {
			changes = append(changes, iot.AttributeChange{Attribute: attribute, Type: typ, Previous: from, New: to})
		}
	}
	note("status", "com.cumulocity.model.event.CumulocityAlarmStatuses", string(before.Status), string(after.Status))
	note("severity", "com.cumulocity.model.event.CumulocitySeverities", string(before.Severity), string(after.Severity))
	note("text", "java.lang.String", before.Text, after.Text)
	if len(changes) == 0 {
		return
	}
	device := iot.Doc{}.SetText("id", after.Source.String()).AppendTo(nil)
	tm.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "Alarm", Activity: "Alarm updated", Text: "Alarm '" + after.Type + "' of device " + after.Source.String() + " updated",
		Source: after.ID, Severity: string(after.Severity), Changes: changes, Fragments: iot.Doc{{Name: "com_cumulocity_model_event_AuditSourceDevice", Raw: device}}})
}
