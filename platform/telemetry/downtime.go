package telemetry

import (
	"context"
	"slices"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// Unavailability is the type of the alarm that the platform raises for a device that was not heard of in time.
const Unavailability = "c8y_UnavailabilityAlarm"

// maxSpells is from how many spells of a source on they are joined.
const maxSpells = 64

// spell is a time from one instant to another one, in Unix milliseconds, to exclusive.
type spell struct{ from, to int64 }

// Downtime returns how long sources were down between two times, up to now: as long as they had a critical alarm or Unavailability that was not cleared.
// Several alarms at once count once. A source that was not down is left out. source is one, or zero for all whose alarms p may read. Alarms that were
// removed count no longer. It needs ROLE_ALARM_READ or what stands in for it.
func (tm *Telemetry) Downtime(ctx context.Context, p iot.Principal, source iot.ID, from, to time.Time) (map[iot.ID]time.Duration, error) {
	const op = fault.Op("telemetry.Downtime")
	if from.IsZero() || to.IsZero() {
		return nil, fault.E(op, fault.Invalid, "Following mandatory parameters should be included: dateFrom, dateTo")
	}
	if source != 0 {
		if _, err := tm.d.Registry.Check(ctx, p, source, access.Alarm, access.Read); err != nil {
			return nil, err
		}
	}
	if now := tm.d.Clock.Now(); to.After(now) {
		to = now
	}
	window := spell{from.UnixMilli(), to.UnixMilli()}
	spells := map[iot.ID][]spell{}
	for _, resolved := range []bool{false, true} { // what is cleared meanwhile comes twice, which does no harm
		q := AlarmQuery{Source: source, Resolved: &resolved} // also those created later: the device may have known before
		if resolved {
			q.UpdatedFrom = from
		}
		if err := tm.eachAlarm(ctx, p, q, func(a iot.Alarm, versions []Version[iot.Alarm]) error {
			if found := downOf(a, versions, window); len(found) > 0 {
				spells[a.Source] = join(spells[a.Source], found)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	out := make(map[iot.ID]time.Duration, len(spells))
	for id, list := range spells {
		for _, x := range union(list) {
			out[id] += time.Duration(x.to-x.from) * time.Millisecond
		}
	}
	return out, nil
}

// down reports whether a source is down while an alarm is like this.
func down(a iot.Alarm) bool {
	return a.Status != iot.Cleared && (a.Severity == iot.Critical || a.Type == Unavailability)
}

// downOf returns when an alarm says that its source was down, within a window, out of its versions.
func downOf(a iot.Alarm, versions []Version[iot.Alarm], window spell) (out []spell) {
	began := a.CreationTime
	first := a
	if len(versions) > 0 {
		first = versions[0].Document
	}
	if first.Time.Before(began) {
		began = first.Time // the device knew before the platform did
	}
	add := func(like iot.Alarm, from, to time.Time) {
		x := spell{max(from.UnixMilli(), window.from), min(to.UnixMilli(), window.to)}
		if down(like) && x.from < x.to {
			out = append(out, x)
		}
	}
	for _, v := range versions {
		add(v.Document, began, v.Until.At)
		began = v.Until.At
	}
	add(a, began, time.UnixMilli(window.to))
	return out
}

// join adds spells to those of a source, of which there are never many more than lie apart from each other.
func join(list, more []spell) []spell {
	full := len(list) == cap(list)
	if list = append(list, more...); full && len(list) > maxSpells {
		list = union(list)
	}
	return list
}

// union sorts spells and joins those that overlap or touch.
func union(list []spell) []spell {
	slices.SortFunc(list, func(a, b spell) int { return int(min(max(a.from-b.from, -1), 1)) })
	out := list[:0]
	for _, x := range list {
		if n := len(out); n > 0 && x.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, x.to)
			continue
		}
		out = append(out, x)
	}
	return out
}
