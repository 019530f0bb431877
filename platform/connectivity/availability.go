package connectivity

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/registry/query"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

// UnavailabilityAlarm is the type of the alarm of a device that was not heard of in time.
const UnavailabilityAlarm = telemetry.Unavailability

// startGrace is how long devices have to come back after a start before those that were not heard of count as overdue: while the platform
// was away nobody could be heard of.
const startGrace = 2 * time.Minute

// judge makes a device that is heard of again available, and clears its alarm. The alarm goes first: a device that is available is not
// looked at again.
func (p *presence) judge(ctx context.Context, d device, t registry.Touch) registry.Touch {
	if t.LastMessage.IsZero() {
		return t
	}
	src, err := p.c.d.Registry.Source(ctx, d.t, d.id)
	if err != nil || !src.Monitored || src.Maintenance {
		return t
	}
	mo, err := p.c.d.Registry.Get(ctx, iot.System(d.t), d.id)
	// With another interval a device counts as available while its alarm is still there.
	if err != nil || mo.State.Availability == registry.Available && mo.State.Alarms == (registry.Counters{}) {
		return t
	}
	if err := p.clearAlarm(ctx, d); err != nil {
		p.c.d.Log.Warn("clear alarm", "tenant", d.t, "device", d.id, "err", err)
		return t
	}
	if mo.State.Availability != registry.Available {
		t.Availability = registry.Available
	}
	return t
}

func (p *presence) clearAlarm(ctx context.Context, d device) error {
	alarm, err := p.c.d.Telemetry.ActiveAlarm(ctx, iot.System(d.t), d.id, UnavailabilityAlarm)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	cleared := iot.Cleared
	_, err = p.c.d.Telemetry.PatchAlarm(ctx, iot.System(d.t), alarm.ID, telemetry.AlarmPatch{Status: &cleared})
	return err
}

// watched returns the tenants whose devices may be overdue: all of them, because a device that is silent since this process started is
// heard of by nobody.
func (p *presence) watched(ctx context.Context) []iot.TenantID {
	if p.c.d.Tenants != nil {
		all, err := p.c.d.Tenants(ctx)
		if err == nil {
			return all
		}
		p.c.d.Log.Warn("list tenants", "err", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]iot.TenantID, 0, len(p.tenants))
	for t := range p.tenants {
		out = append(out, t)
	}
	return out
}

// overdue marks devices that were not heard of in time, and raises their alarm.
func (p *presence) overdue() {
	p.flush() // whoever was heard of just now is not overdue
	ctx := context.Background()
	now := p.c.d.Clock.Now()
	if now.Sub(p.started) < startGrace {
		return
	}
	for _, t := range p.watched(ctx) {
		ids, err := p.c.d.Registry.Overdue(ctx, t, now)
		if err != nil {
			p.c.d.Log.Warn("look for overdue devices", "tenant", t, "err", err)
			continue
		}
		for _, id := range ids {
			p.unavailable(ctx, t, id, now)
		}
	}
}

// unavailable raises the alarm first: what was not marked is found again, and the alarm, which is there then, only counts.
func (p *presence) unavailable(ctx context.Context, t iot.TenantID, id iot.ID, now time.Time) {
	_, _, err := p.c.d.Telemetry.RaiseAlarm(ctx, iot.System(t), iot.Alarm{Source: id, Type: UnavailabilityAlarm, Severity: iot.Major, Status: iot.Active, Time: now,
		Text: "No data received from device within required interval."})
	if fault.Is(err, fault.NotFound) {
		return
	}
	if err == nil {
		err = p.c.d.Registry.Touch(ctx, t, map[iot.ID]registry.Touch{id: {Availability: registry.Unavailable}})
	}
	if err != nil {
		p.c.d.Log.Warn("mark unavailable", "tenant", t, "device", id, "err", err)
	}
}

// forgetConnections sets devices right that a process which died left connected. It runs before the first connection.
func (p *presence) forgetConnections(ctx context.Context) {
	const page = 500
	q := registry.Query{Limit: page}
	q.Filter = query.Compare{Path: query.Path{iot.FragmentConnection, "status"}, Op: query.Eq, Value: query.Value{Kind: query.Text, Text: registry.Connected}}
	for _, t := range p.watched(ctx) {
		for last := iot.ID(0); ; {
			found, _, err := p.c.d.Registry.List(ctx, iot.System(t), q)
			if err == nil && (len(found) == 0 || found[0].ID <= last) { // the order is by id: what is found again could not be changed
				break
			}
			touches := make(map[iot.ID]registry.Touch, len(found))
			for _, o := range found {
				touches[o.ID], last = registry.Touch{Connection: registry.Disconnected}, max(last, o.ID)
			}
			if err == nil {
				err = p.c.d.Registry.Touch(ctx, t, touches)
			}
			if err != nil {
				p.c.d.Log.Warn("set connections right", "tenant", t, "err", err)
				break
			}
		}
	}
}
