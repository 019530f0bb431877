package c8yrest

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/isobar-iot/isobar/platform/telemetry"
)

// getLedger tells how complete the data of a device is.
func getLedger(c *call) error {
	id, err := c.id("id", "managedObject")
	if err != nil {
		return err
	}
	l, err := c.s.Telemetry.Ledger(c.ctx, c.p, id)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.ledger(c.base(), l)
	o.close()
	return c.json(200, "", o.b)
}

func listLedgers(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	all, err := c.s.Telemetry.Ledgers(c.ctx, c.p, p.offset(), p.size)
	if err != nil {
		return err
	}
	return c.collection("", "ledgers", p, func(o *object) error {
		for _, l := range all {
			var one object
			one.open()
			one.ledger(c.base(), l)
			one.close()
			o.item(one.b)
		}
		return nil
	})
}

// ledger writes the members of a ledger. Durations are seconds.
func (o *object) ledger(base string, l telemetry.Ledger) {
	o.begin("source")
	o.id("id", l.Source)
	o.text("self", base+"/inventory/managedObjects/"+l.Source.String())
	o.close()
	for _, n := range []struct {
		name  string
		value int64
	}{{"received", l.Received}, {"stored", l.Stored}, {"refused", l.Refused}, {"duplicate", l.Duplicate}, {"expired", l.Expired}, {"late", l.Late},
		{"skewed", l.Skewed}, {"gaps", l.Counts.Gaps}} {
		o.int(n.name, n.value)
	}
	o.begin("reasons")
	for _, reason := range slices.Sorted(maps.Keys(l.Reasons)) {
		o.int(reason, l.Reasons[reason])
	}
	o.close()
	if l.Received == 0 {
		return
	}
	o.time("since", l.Since)
	o.time("lastReceived", l.LastReceived)
	if !l.Newest.IsZero() {
		o.time("newest", l.Newest)
		o.seconds("interval", l.Step)
		o.seconds("lag", l.Lag)
	}
	o.list("latestGaps")
	for _, g := range l.Gaps {
		var one object
		one.open()
		one.time("from", g.From)
		one.time("to", g.To)
		one.int("filled", g.Filled)
		one.close()
		o.item(one.b)
	}
	o.endList()
}

// seconds writes a duration as a number of seconds.
func (o *object) seconds(k string, d time.Duration) {
	o.raw(k, strconv.AppendFloat(nil, d.Seconds(), 'f', -1, 64))
}
