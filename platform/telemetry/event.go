package telemetry

import (
	"context"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// EventChange is what is published when an event is created, updated or deleted. Of a deleted event only ID and Source are set.
type EventChange struct {
	Action iot.Action
	Event  iot.Event
}

// EventPatch changes an event: nil is left alone, fragments replace whole members, null removes one.
type EventPatch struct {
	Text      *string
	Fragments iot.Doc
}

// CreateEvent stores an event. It needs ROLE_EVENT_ADMIN or ownership of the source. In a mode that does not store it has no id.
func (tm *Telemetry) CreateEvent(ctx context.Context, p iot.Principal, mode iot.ProcessingMode, e iot.Event) (iot.Event, error) {
	const op = fault.Op("telemetry.CreateEvent")
	err := mandatory(op, unless(e.Source != 0, "source"), unless(!e.Time.IsZero(), "time"), unless(e.Type != "", "type"))
	if err == nil {
		err = storable(op, e.Fragments, e.Type, e.Text)
	}
	if err != nil {
		return iot.Event{}, err
	}
	if _, err := tm.d.Registry.Check(ctx, p, e.Source, access.Event, access.Admin, access.Names(p, e.Fragments)...); err != nil {
		return iot.Event{}, err
	}
	rev := tm.revision(ctx, p)
	e.ID, e.CreationTime, e.LastUpdated = 0, rev.At, rev.At
	e.Time, e.Fragments = iot.FromMillis(e.Time.UnixMilli()), e.Fragments.WithoutNulls()
	if mode.Stores() {
		if e.ID, err = tm.d.Store.NextID(ctx, p.Tenant); err == nil {
			err = tm.d.Store.CreateEvent(tm.d.Bus.Noting(iot.WithMode(ctx, mode), p.Tenant), p.Tenant, e, rev)
		}
		tm.books.count(p.Tenant, e.Source, err) // transient ones do not count
		if err != nil {
			return iot.Event{}, sqlkit.Fault(op, err)
		}
	}
	tm.publish(p.Tenant, iot.KindEvent, iot.Created, e.Source, mode, EventChange{iot.Created, e})
	return e, nil
}

// Event returns one event.
func (tm *Telemetry) Event(ctx context.Context, p iot.Principal, id iot.ID) (iot.Event, error) {
	return tm.event(ctx, p, id, access.Read)
}

func (tm *Telemetry) event(ctx context.Context, p iot.Principal, id iot.ID, l access.Level) (iot.Event, error) {
	e, err := tm.d.Store.Event(ctx, p.Tenant, id)
	if err != nil {
		return iot.Event{}, noDocument("telemetry.Event", "event", id.String(), err)
	}
	if err := tm.checkSource(ctx, p, e.Source, access.Event, l, access.Names(p, e.Fragments)...); err != nil {
		return iot.Event{}, err
	}
	return e, nil
}

// Events returns a page of what p may read, and the number of all of it if q.Count.
func (tm *Telemetry) Events(ctx context.Context, p iot.Principal, q EventQuery) ([]iot.Event, int, error) {
	scope, few, err := tm.readable(ctx, p, access.Event)
	if err != nil {
		return nil, 0, err
	}
	if q, err = tm.resolveEvents(ctx, p, q); err != nil {
		return nil, 0, err
	}
	if q.Sources == nil {
		q.Sources = few
	}
	events, n, err := tm.d.Store.Events(ctx, p.Tenant, scope, q)
	return events, n, sqlkit.Fault("telemetry.Events", err)
}

// resolveEvents turns what only the face knows into what a driver does.
func (tm *Telemetry) resolveEvents(ctx context.Context, p iot.Principal, q EventQuery) (EventQuery, error) {
	window(&q.From, &q.To)
	window(&q.CreatedFrom, &q.CreatedTo)
	window(&q.UpdatedFrom, &q.UpdatedTo)
	var err error
	q.Sources, err = tm.below(ctx, p.Tenant, q.Source, q.Sources, q.WithAssets, q.WithDevices, q.WithAdditions)
	return q, err
}

// LatestEvent returns the newest event of a source and type, a fault of kind NotFound if there is none.
func (tm *Telemetry) LatestEvent(ctx context.Context, p iot.Principal, source iot.ID, typ string) (iot.Event, error) {
	events, _, err := tm.Events(ctx, p, EventQuery{Source: source, Type: typ, Limit: 1})
	if err != nil {
		return iot.Event{}, err
	}
	if len(events) == 0 {
		return iot.Event{}, fault.E(fault.Op("telemetry.LatestEvent"), fault.NotFound, fault.Subject(typ), "the source has no event of that type")
	}
	return events[0], nil
}

// PatchEvent changes text and fragments of an event. A patch that changes nothing stores and publishes nothing. In a mode that does not store (iot.ModeOf)
// it publishes and returns what the event would be.
func (tm *Telemetry) PatchEvent(ctx context.Context, p iot.Principal, id iot.ID, patch EventPatch) (iot.Event, error) {
	const op = fault.Op("telemetry.PatchEvent")
	text := ""
	if patch.Text != nil {
		text = *patch.Text
	}
	if err := storable(op, patch.Fragments, "", text); err != nil {
		return iot.Event{}, err
	}
	e, err := tm.event(ctx, p, id, access.Admin)
	if err == nil { // what somebody may change for the sake of its fragments must stay so
		err = tm.checkSource(ctx, p, e.Source, access.Event, access.Admin, access.Names(p, e.Fragments.Merge(patch.Fragments))...)
	}
	if err != nil {
		return iot.Event{}, err
	}
	if !iot.ModeOf(ctx).Stores() {
		next := patch.apply(e)
		next.LastUpdated = tm.now()
		tm.publish(p.Tenant, iot.KindEvent, iot.Updated, e.Source, iot.ModeOf(ctx), EventChange{iot.Updated, next})
		return next, nil
	}
	return tm.changeEvent(ctx, op, p, id, func(e iot.Event) (iot.Event, error) { return patch.apply(e), nil })
}

func (x EventPatch) apply(e iot.Event) iot.Event {
	if x.Text != nil {
		e.Text = *x.Text
	}
	e.Fragments = e.Fragments.Merge(x.Fragments)
	return e
}

func (tm *Telemetry) changeEvent(ctx context.Context, op fault.Op, p iot.Principal, id iot.ID, change func(iot.Event) (iot.Event, error)) (iot.Event, error) {
	e, written, err := tm.d.Store.UpdateEvent(tm.d.Bus.Noting(ctx, p.Tenant), p.Tenant, id, tm.revision(ctx, p), change)
	if err != nil {
		return iot.Event{}, noDocument(op, "event", id.String(), err)
	}
	if written {
		tm.publish(p.Tenant, iot.KindEvent, iot.Updated, e.Source, iot.ModeOf(ctx), EventChange{iot.Updated, e})
	}
	return e, nil
}

// DeleteEvent removes one event with its attachment.
func (tm *Telemetry) DeleteEvent(ctx context.Context, p iot.Principal, id iot.ID) error {
	const op = fault.Op("telemetry.DeleteEvent")
	if _, err := tm.event(ctx, p, id, access.Admin); err != nil {
		return err
	}
	return tm.deleteEvents(ctx, op, p, access.Scope{All: true}, EventQuery{IDs: []iot.ID{id}})
}

// DeleteEvents removes what q selects, whatever its Offset and Limit; it must name a source or a bound of time or creation. It needs
// ROLE_EVENT_ADMIN, or ownership of the source that it names.
func (tm *Telemetry) DeleteEvents(ctx context.Context, p iot.Principal, q EventQuery) error {
	const op = fault.Op("telemetry.DeleteEvents")
	if q.Source == 0 && len(q.Sources) == 0 && q.From.IsZero() && q.To.IsZero() && q.CreatedFrom.IsZero() && q.CreatedTo.IsZero() {
		return fault.E(op, fault.Invalid, "a deletion must name a source, dateFrom, dateTo, createdFrom or createdTo")
	}
	scope, err := tm.writable(ctx, p, access.Event, q.Source)
	if err != nil {
		return err
	}
	if q, err = tm.resolveEvents(ctx, p, q); err != nil {
		return err
	}
	return tm.deleteEvents(ctx, op, p, scope, q)
}

func (tm *Telemetry) deleteEvents(ctx context.Context, op fault.Op, p iot.Principal, scope access.Scope, q EventQuery) error {
	rev := tm.revision(ctx, p)
	for {
		gone, err := tm.d.Store.DeleteEvents(tm.d.Bus.Noting(ctx, p.Tenant), p.Tenant, scope, q, rev)
		if err != nil {
			return sqlkit.Fault(op, err)
		}
		detach(ctx, tm.d, p.Tenant, gone)
		for _, e := range gone {
			tm.publish(p.Tenant, iot.KindEvent, iot.Deleted, e.Source, iot.ModeOf(ctx), EventChange{iot.Deleted, iot.Event{ID: e.ID, Source: e.Source}})
		}
		if len(gone) < DeleteBatch {
			return nil
		}
	}
}
