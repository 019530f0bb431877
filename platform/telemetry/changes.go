package telemetry

import (
	"context"
	"slices"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// Kinds returns how alarms and events take part in the change log: what was changed or deleted of them. That one came in is data, not a change. Who reads
// alarms for the sake of single fragments sees no changes of them.
func (tm *Telemetry) Kinds() []changes.Kind {
	return []changes.Kind{alarmKind{dataKind{tm, iot.KindAlarm, access.Alarm}}, eventKind{dataKind{tm, iot.KindEvent, access.Event}}}
}

// dataKind is what alarms and events have in common.
type dataKind struct {
	tm     *Telemetry
	kind   iot.Kind
	family access.Family
}

// Name implements changes.Kind.
func (k dataKind) Name() iot.Kind { return k.kind }

// Scope implements changes.Kind.
func (k dataKind) Scope(ctx context.Context, p iot.Principal) (access.Scope, error) {
	s, err := k.tm.d.Policy.Scope(ctx, p, k.family, access.Read)
	return s.Whole(), err
}

// Show implements changes.Kind.
func (dataKind) Show(context.Context, iot.Principal, *changes.Change) error { return nil }

// Judge implements changes.Kind: to take back a change needs the right to change the document as it was and as it is.
func (k dataKind) Judge(ctx context.Context, p iot.Principal, seen []changes.Change) (func(changes.Change) error, error) {
	verdicts := map[string]error{} // by document
	gone := map[iot.ID]bool{}      // sources
	for _, c := range seen {
		if c.Kind != k.kind || verdicts[c.ID] != nil {
			continue
		}
		fragments, err := k.fragments(p, c)
		if err != nil {
			return nil, err
		}
		verdicts[c.ID] = k.tm.checkSource(ctx, p, c.Object, k.family, access.Admin, fragments...)
		if _, known := gone[c.Object]; known {
			continue
		}
		_, err = k.tm.d.Registry.Source(ctx, p.Tenant, c.Object)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		gone[c.Object] = err != nil && !slices.ContainsFunc(seen, func(x changes.Change) bool {
			return x.Kind == iot.KindManagedObject && x.Object == c.Object && x.Action == iot.Deleted // it comes back as well
		})
	}
	return func(c changes.Change) error {
		if gone[c.Object] && c.After != nil {
			return &changes.ConflictError{Conflicts: []changes.Conflict{{Kind: c.Kind, ID: c.ID, Reason: "its source does not exist any more"}}}
		}
		return verdicts[c.ID]
	}, nil
}

// fragments returns those that grants of p must cover to make a change.
func (k dataKind) fragments(p iot.Principal, c changes.Change) (out []string, err error) {
	before, after, err := changes.Versions[struct{ Fragments iot.Doc }](c)
	for _, d := range []*struct{ Fragments iot.Doc }{before, after} {
		if d != nil {
			out = append(out, access.Names(p, d.Fragments)...)
		}
	}
	return out, err
}

// alarmKind implements changes.Kind.
type alarmKind struct{ dataKind }

// Documents implements changes.Kind.
func (k alarmKind) Documents() changes.Documents { return k.tm.d.Store.AlarmDocuments() }

// Announce implements changes.Kind.
func (k alarmKind) Announce(ctx context.Context, p iot.Principal, _ string, done []changes.Change) {
	counted := map[iot.ID]bool{}
	each(k.tm, p, done, func(c changes.Change, before, after *iot.Alarm) {
		if !counted[c.Object] {
			counted[c.Object] = true
			k.tm.recount(ctx, p.Tenant, c.Object)
		}
		now := iot.Alarm{Source: c.Object}
		if after != nil {
			now = *after
		} else {
			now.ID = before.ID
		}
		if before != nil && after != nil {
			k.tm.auditAlarm(ctx, p, *before, *after)
		}
		k.tm.publish(p.Tenant, iot.KindAlarm, c.Action, c.Object, iot.ModeOf(ctx), AlarmChange{c.Action, now})
	})
}

// eventKind implements changes.Kind.
type eventKind struct{ dataKind }

// Documents implements changes.Kind.
func (k eventKind) Documents() changes.Documents { return k.tm.d.Store.EventDocuments() }

// Announce implements changes.Kind.
func (k eventKind) Announce(ctx context.Context, p iot.Principal, _ string, done []changes.Change) {
	each(k.tm, p, done, func(c changes.Change, before, after *iot.Event) {
		now := iot.Event{Source: c.Object}
		if after != nil {
			now = *after
		} else {
			now.ID = before.ID
		}
		k.tm.publish(p.Tenant, iot.KindEvent, c.Action, c.Object, iot.ModeOf(ctx), EventChange{c.Action, now})
	})
}

// each calls tell for what an undo did to documents; those that were made and deleted in one set are left out.
func each[D any](tm *Telemetry, p iot.Principal, done []changes.Change, tell func(c changes.Change, before, after *D)) {
	for _, c := range done {
		before, after, err := changes.Versions[D](c)
		if err != nil {
			tm.d.Log.Error("read what an undo did", "tenant", p.Tenant, "document", c.ID, "err", err)
			continue
		}
		if before != nil || after != nil {
			tell(c, before, after)
		}
	}
}
