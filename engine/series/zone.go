package series

import (
	"sync"
	"time"
	_ "time/tzdata" // machines and containers without a zone database know the zones as well

	"github.com/isobar-iot/isobar/fault"
)

// zones caches the time zones that were asked for, since each one costs a look into the zone database; only valid names get in, and
// there are a few hundred of those.
var zones sync.Map // string -> *time.Location

// ParseZone returns the time zone of an IANA name such as Europe/Berlin, or UTC. Anything else is fault.Invalid.
func ParseZone(name string) (*time.Location, error) {
	if z, ok := zones.Load(name); ok {
		return z.(*time.Location), nil
	}
	if name != "" && name != "Local" && len(name) <= 64 {
		if z, err := time.LoadLocation(name); err == nil {
			zones.Store(name, z)
			return z, nil
		}
	}
	if len(name) > 64 {
		name = name[:64] + "..."
	}
	return nil, fault.Errorf("series.Zone", fault.Invalid, "%q is no time zone: it must be a name of the IANA database, for example Europe/Berlin or UTC", name)
}

// BucketIn is Bucket by the clocks of a time zone; nil means UTC. Days, weeks, months, quarters and years begin at local midnight, so a
// day has 23 or 25 hours when clocks change. Widths up to an hour always last as long as they say (on the day with 25 hours there are
// 25 buckets of an hour), except that a bucket ends when clocks change by less. Wider ones begin where the local clock shows a multiple
// of the width.
func (v Interval) BucketIn(ms int64, zone *time.Location) (start, end int64) {
	if zone == nil || zone == time.UTC || v == (Interval{}) {
		return v.Bucket(ms)
	}
	if width := v.millis(); width > 0 && width <= hourMillis {
		return elapsed(ms, width, zone)
	}
	t := time.UnixMilli(ms).In(zone)
	_, offset := t.Zone()
	low, high := v.Bucket(ms + int64(offset)*1000)
	start, end = wall(low, zone), wall(high, zone)
	// Where clocks went back over a boundary, the same wall clock lies on both sides of it.
	for ms < start {
		_, end = 0, start
		low, _ = v.Bucket(low - 1)
		start = wall(low, zone)
	}
	for ms >= end {
		start = end
		_, high = v.Bucket(high)
		end = wall(high, zone)
	}
	return start, end
}

// elapsed returns a bucket of a fixed width, aligned with the local clock and cut where clocks change.
func elapsed(ms, width int64, zone *time.Location) (start, end int64) {
	t := time.UnixMilli(ms).In(zone)
	_, seconds := t.Zone()
	offset := int64(seconds) * 1000
	start = floorDiv(ms+offset, width)*width - offset
	end = start + width
	from, to := zoneBounds(t)
	if !from.IsZero() {
		start = max(start, from.UnixMilli())
	}
	if !to.IsZero() {
		end = min(end, to.UnixMilli())
	}
	return start, end
}

// wall returns the first moment at which the local clock has reached a reading, given as if it were UTC. If clocks jump over the reading,
// that is the moment of the jump.
func wall(reading int64, zone *time.Location) int64 {
	// No zone is more than 16 hours away from UTC, so this moment lies before.
	t := time.UnixMilli(reading - 26*hourMillis).In(zone)
	for {
		_, seconds := t.Zone()
		at := reading - int64(seconds)*1000
		_, until := zoneBounds(t)
		if until.IsZero() || at < until.UnixMilli() {
			return max(at, t.UnixMilli())
		}
		t = until.In(zone)
	}
}

// zoneBounds is t.ZoneBounds with bounds that lie around t. On 31 December of a leap year Go's end of a rule that goes on for ever may lie
// before the time it was asked for; the clocks of no zone change there, so that a day later is as good.
func zoneBounds(t time.Time) (from, to time.Time) {
	from, to = t.ZoneBounds()
	if from.After(t) {
		from = time.Time{}
	}
	if !to.IsZero() && !to.After(t) {
		to = t.Add(24 * time.Hour)
	}
	return from, to
}
