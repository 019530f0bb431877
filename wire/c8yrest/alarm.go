package c8yrest

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry/query"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

var alarmMembers = append([]string{"severity", "status", "count", "firstOccurrenceTime", "history"}, eventMembers...)

// DecodeAlarm reads the representation of an alarm. Source and Time are left zero if the document has none.
func DecodeAlarm(d iot.Doc) (a iot.Alarm, err error) {
	if raw := d.Get("source"); raw != nil {
		if a.Source, err = sourceID(raw); err != nil {
			return a, err
		}
	}
	if raw := d.Get("time"); raw != nil {
		if a.Time, err = timeOf("time", raw); err != nil {
			return a, err
		}
	}
	var severity, status string
	if err := textsOf(d, field{"type", &a.Type}, field{"text", &a.Text}, field{"severity", &severity}, field{"status", &status}); err != nil {
		return a, err
	}
	a.Severity, a.Status = iot.Severity(severity), iot.AlarmStatus(status)
	a.Fragments = d.Without(alarmMembers...).WithoutNulls()
	return a, nil
}

// AppendAlarm appends the representation of an alarm.
func AppendAlarm(b []byte, base string, a *iot.Alarm, sourceName string) []byte {
	o := object{b: b}
	writeAlarm(&o, base, a, sourceName)
	return o.b
}

func alarmURL(base string, id iot.ID) string {
	if id == 0 {
		return base + "/alarm/alarms/null" // c8y: of an alarm that was not stored because its device is in maintenance
	}
	return base + "/alarm/alarms/" + id.String()
}

func writeAlarm(o *object, base string, a *iot.Alarm, sourceName string) {
	o.open()
	if a.ID != 0 {
		o.id("id", a.ID)
	}
	o.text("self", alarmURL(base, a.ID))
	writeSource(o, base, a.Source, sourceName)
	o.text("type", a.Type)
	o.text("text", a.Text)
	o.text("severity", string(a.Severity))
	o.text("status", string(a.Status))
	o.time("time", a.Time)
	o.time("creationTime", a.CreationTime)
	o.time("lastUpdated", a.LastUpdated)
	if a.Count > 1 && !a.FirstOccurrence.IsZero() {
		o.time("firstOccurrenceTime", a.FirstOccurrence)
	}
	o.int("count", a.Count)
	o.begin("history")
	o.list("auditRecords")
	o.endList()
	o.text("self", base+"/audit/auditRecords")
	o.close()
	o.members(a.Fragments)
	o.close()
}

func createAlarm(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	a, err := DecodeAlarm(d)
	if err != nil {
		return err
	}
	var absent []string
	for _, name := range []string{"severity", "text", "time", "type", "source"} {
		if raw := d.Get(name); raw == nil || iot.IsNull(raw) {
			absent = append(absent, name)
		}
	}
	if len(absent) > 0 {
		return missing(absent...)
	}
	if a, _, err = c.s.Telemetry.RaiseAlarm(c.passing(), c.p, a); err != nil {
		return err
	}
	if err := c.keep(); err != nil {
		return err
	}
	c.heard(a.Source)
	return c.storedAlarm(http.StatusCreated, a)
}

func (c *call) storedAlarm(status int, a iot.Alarm) error {
	location := ""
	if status == http.StatusCreated {
		location = alarmURL(c.base(), a.ID)
	}
	return c.stored(status, "alarm", location, func() ([]byte, error) { return AppendAlarm(nil, c.base(), &a, c.name(a.Source)), nil })
}

func (c *call) alarmQuery() (q telemetry.AlarmQuery, err error) {
	q = telemetry.AlarmQuery{Source: c.idParam("source"), Types: c.list("type")}
	for _, v := range c.list("status") {
		q.Statuses = append(q.Statuses, iot.AlarmStatus(strings.ToUpper(v)))
	}
	for _, v := range c.list("severity") {
		q.Severities = append(q.Severities, iot.Severity(strings.ToUpper(v)))
	}
	if c.query.Get("resolved") != "" {
		resolved := c.flag("resolved", false)
		q.Resolved = &resolved
	}
	if q.From, q.To, err = c.span("dateFrom", "dateTo"); err != nil {
		return q, err
	}
	if q.CreatedFrom, q.CreatedTo, err = c.span("createdFrom", "createdTo"); err != nil {
		return q, err
	}
	if q.UpdatedFrom, q.UpdatedTo, err = c.span("lastUpdatedFrom", "lastUpdatedTo"); err != nil {
		return q, err
	}
	q.Ascending = c.flag("revert", false) && (!q.From.IsZero() || !q.To.IsZero())
	q.WithAssets, q.WithDevices, q.WithAdditions = c.withChildren()
	return q, c.alarmOrder(&q)
}

// alarmOrder reads the order in the parameter query, which the official web applications send.
func (c *call) alarmOrder(q *telemetry.AlarmQuery) error {
	text := c.query.Get("query")
	if text == "" {
		return nil
	}
	parsed, err := query.Parse(text)
	if err != nil {
		return fault.E(fault.Op("c8yrest.Alarms"), fault.Invalid, "Query '"+clip(text)+"' could not be understood. "+err.Error())
	}
	for _, o := range parsed.Order {
		field := strings.TrimSuffix(strings.Join(o.Path, "."), ".date")
		q.Order = append(q.Order, telemetry.AlarmOrder{Field: field, Desc: o.Desc})
	}
	return nil
}

func listAlarms(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	q, err := c.alarmQuery()
	if err != nil {
		return err
	}
	q.Offset, q.Limit, q.Count = p.offset(), p.size, p.count()
	alarms, n, err := c.s.Telemetry.Alarms(c.ctx, c.p, q)
	if err != nil {
		return err
	}
	p.total = n
	return c.collection("alarmcollection", "alarms", p, func(o *object) error {
		for i := range alarms {
			writeAlarm(o, c.base(), &alarms[i], c.name(alarms[i].Source))
		}
		return nil
	})
}

func countAlarms(c *call) error {
	q, err := c.alarmQuery()
	if err != nil {
		return err
	}
	n, err := c.s.Telemetry.CountAlarms(c.ctx, c.p, q)
	if err != nil {
		return err
	}
	return c.number(n)
}

// number answers with a bare number.
func (c *call) number(n int) error {
	return c.json(http.StatusOK, "", strconv.AppendInt(nil, int64(n), 10))
}

func getAlarm(c *call) error {
	id, err := c.id("id", "alarm")
	if err != nil {
		return err
	}
	a, err := past(c, id, c.s.Telemetry.Alarm, c.s.Telemetry.AlarmAsOf)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, "alarm", AppendAlarm(nil, c.base(), &a, c.name(a.Source)))
}
