package c8ymqtt_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

// plain replaces what differs from run to run.
func (p *player) plain(s string) string { return strings.ReplaceAll(s, string(p.tenant), "TENANT") }

func (p *player) name(id iot.ID) string {
	serial, err := p.b.registry.SerialOf(ctx, p.tenant, id)
	if err != nil || serial == "" {
		return "#" + id.String()
	}
	return serial
}

// state <serial>... prints all that the platform knows of objects; those without serial are found below theirs.
func (p *player) state(rest string) {
	p.b.flush()
	for _, serial := range strings.Fields(rest) {
		id, err := p.b.registry.Lookup(ctx, p.tenant, iot.SerialType, serial)
		if err != nil {
			p.say("%s: none", serial)
			continue
		}
		p.object(serial, id)
	}
}

func (p *player) object(serial string, id iot.ID) {
	p.t.Helper()
	system := iot.System(p.tenant)
	o := must(p.b.registry.Get(ctx, system, id))(p.t)
	p.say("%s: type=%s name=%q owner=%s %s", serial, o.Type, o.Name, o.Owner, o.Fragments.AppendTo(nil))
	if s := o.State; s.Availability+s.Connection != "" {
		last := "never"
		if !s.LastMessage.IsZero() {
			last = p.b.clock.Now().Sub(s.LastMessage).String() + " ago"
		}
		p.say("  availability=%s connection=%s last=%s", s.Availability, s.Connection, last)
	}
	var others []iot.ID
	for _, r := range must(p.b.registry.Neighbours(ctx, system, []iot.ID{id}, false))(p.t) {
		p.say("  %s %s", r.Kind, p.name(r.Child))
		if strings.HasPrefix(p.name(r.Child), "#") {
			others = append(others, r.Child)
		}
	}
	p.telemetry(id)
	for _, id := range others {
		p.object(p.name(id), id)
	}
}

func (p *player) telemetry(id iot.ID) {
	p.t.Helper()
	system := iot.System(p.tenant)
	ms, _, err := p.b.telemetry.Measurements(ctx, system, telemetry.MeasurementQuery{Source: id, Limit: 100})
	must(ms, err)(p.t)
	for _, m := range ms {
		var b strings.Builder
		for _, s := range m.Samples {
			fmt.Fprintf(&b, " %s.%s=%s%s", s.Fragment, s.Series, s.Value.AppendTo(nil), s.Unit)
		}
		p.say("  measurement %s %s%s%s", m.Type, iot.FormatTime(m.Time), b.String(), extra(m.Extra))
	}
	alarms, _, err := p.b.telemetry.Alarms(ctx, system, telemetry.AlarmQuery{Source: id, Limit: 100})
	must(alarms, err)(p.t)
	slices.Reverse(alarms)
	for _, a := range alarms {
		p.say("  alarm %s %s %s %q %s count=%d%s", a.Type, a.Severity, a.Status, a.Text, iot.FormatTime(a.Time), a.Count, extra(a.Fragments))
	}
	events, _, err := p.b.telemetry.Events(ctx, system, telemetry.EventQuery{Source: id, Limit: 100})
	must(events, err)(p.t)
	slices.Reverse(events)
	for _, e := range events {
		p.say("  event %s %q %s%s", e.Type, e.Text, iot.FormatTime(e.Time), extra(e.Fragments))
	}
}

func extra(d iot.Doc) string {
	if len(d) == 0 {
		return ""
	}
	return " " + string(d.AppendTo(nil))
}

func (p *player) operations() []iot.Operation {
	p.t.Helper()
	ops, _, err := p.b.operations.List(ctx, iot.System(p.tenant), devicemgmt.Query{Limit: 100})
	return must(ops, err)(p.t)
}

// ops prints all operations.
func (p *player) ops(string) {
	for i, o := range p.operations() {
		agent := ""
		if o.Agent != o.Device {
			agent = " agent=" + p.name(o.Agent)
		}
		reason := ""
		if o.FailureReason != "" {
			reason = fmt.Sprintf(" %q", o.FailureReason)
		}
		p.say("%d: %s%s %s%s delivery=%s%s", i+1, p.name(o.Device), agent, o.Status, reason, o.Delivery.Status, extra(o.Fragments))
	}
}

// cancel <n> lets a person end the n-th operation.
func (p *player) cancel(n string) {
	var i int
	_, _ = fmt.Sscan(n, &i)
	failed := iot.Failed
	must(p.b.operations.Update(ctx, iot.System(p.tenant), p.operations()[i-1].ID, devicemgmt.Patch{Status: &failed}))(p.t)
}
