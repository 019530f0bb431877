package c8yrest

import (
	"context"
	"net/http"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

// DecodeAlarmPatch reads what a client wants to change of an alarm.
func DecodeAlarmPatch(d iot.Doc) (p telemetry.AlarmPatch, err error) {
	if p.Text, err = textOf(d, "text"); err != nil {
		return p, err
	}
	status, err := textOf(d, "status")
	if err != nil {
		return p, err
	}
	if status != nil {
		s := iot.AlarmStatus(*status)
		p.Status = &s
	}
	severity, err := textOf(d, "severity")
	if err != nil {
		return p, err
	}
	if severity != nil {
		s := iot.Severity(*severity)
		p.Severity = &s
	}
	p.Fragments = d.Without(alarmMembers...)
	return p, nil
}

func updateAlarm(c *call) error {
	id, err := c.id("id", "alarm")
	if err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	patch, err := DecodeAlarmPatch(d)
	if err != nil {
		return err
	}
	a, err := c.s.Telemetry.PatchAlarm(c.passing(), c.p, id, patch)
	if err != nil {
		return err
	}
	return c.storedAlarm(http.StatusOK, a)
}

func updateAlarms(c *call) error {
	q, err := c.alarmQuery()
	if err != nil {
		return err
	}
	// resolved stands for statuses here, so that the change itself ends what it selects.
	if q.Resolved != nil {
		q.Statuses = []iot.AlarmStatus{iot.Cleared}
		if !*q.Resolved {
			q.Statuses = []iot.AlarmStatus{iot.Active, iot.Acknowledged}
		}
		q.Resolved = nil
	}
	if len(c.query) == 0 {
		return fault.E(fault.Op("c8yrest.UpdateAlarms"), fault.Invalid, "at least one parameter must select the alarms")
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	status, err := textOf(d, "status")
	if err != nil {
		return err
	}
	if status == nil {
		return missing("status")
	}
	done, err := c.inBackground(func(ctx context.Context) error {
		_, err := c.s.Telemetry.PatchAlarms(ctx, c.p, q, iot.AlarmStatus(*status))
		return err
	})
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Length", "0")
	if !done { // c8y: much takes long, and goes on
		c.w.WriteHeader(http.StatusAccepted)
		return nil
	}
	c.w.WriteHeader(http.StatusOK)
	return nil
}

func deleteAlarms(c *call) error {
	q, err := c.alarmQuery()
	if err != nil {
		return err
	}
	if q.Source == 0 && q.From.IsZero() && q.To.IsZero() && q.CreatedFrom.IsZero() && q.CreatedTo.IsZero() {
		return fault.E(fault.Op("c8yrest.DeleteAlarms"), fault.Invalid, "at least one of source, dateFrom, dateTo, createdFrom and createdTo is needed")
	}
	if err := c.s.Telemetry.DeleteAlarms(c.ctx, c.p, q); err != nil {
		return err
	}
	return c.noContent()
}

// upsertAlarm creates an alarm or changes the open one: c8y: 201 or 200, and the state before.
func upsertAlarm(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	a, err := DecodeAlarm(d)
	if err != nil {
		return err
	}
	before, after, err := c.s.Telemetry.UpsertAlarm(c.passing(), c.p, a, c.flag("incrementCount", true))
	if err != nil {
		return err
	}
	c.heard(after.Source)
	status, location := http.StatusOK, ""
	if before == nil {
		status, location = http.StatusCreated, alarmURL(c.base(), after.ID)
	}
	return c.stored(status, "alarmUpsertResponse", location, func() ([]byte, error) {
		name := c.name(after.Source)
		var o object
		o.open()
		o.key("alarm")
		writeAlarm(&o, c.base(), &after, name)
		o.key("previousState")
		if before == nil {
			o.item([]byte("null"))
		} else {
			writeAlarm(&o, c.base(), before, name)
		}
		o.close()
		return o.b, nil
	})
}
