package c8yrest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

// sourceID reads {"id": "..."}; c8y: the id may also be a number.
func sourceID(raw json.RawMessage) (iot.ID, error) {
	const op = fault.Op("c8yrest.Source")
	if id, ok := plainID(raw); ok {
		return id, nil
	}
	var v struct {
		ID json.RawMessage `json:"id"`
	}
	if json.Unmarshal(raw, &v) != nil || v.ID == nil {
		return 0, fault.E(op, fault.Invalid, "Following mandatory fields should be included: source.id")
	}
	text := strings.Trim(string(v.ID), `"`)
	id, ok := iot.ParseID(text)
	if !ok {
		return 0, fault.E(op, fault.NotFound, "Finding device data from database failed : No managedObject for id '"+clip(text)+"'!")
	}
	return id, nil
}

// plainID reads an object that has nothing but an id, which is what devices send with every measurement; ok is false for anything else.
func plainID(raw []byte) (iot.ID, bool) {
	const space = " \t\r\n"
	inner, ok := bytes.CutPrefix(bytes.TrimSuffix(raw, []byte("}")), []byte("{"))
	inner, named := bytes.CutPrefix(bytes.Trim(inner, space), []byte(`"id"`))
	inner, valued := bytes.CutPrefix(bytes.TrimLeft(inner, space), []byte(":"))
	if !ok || !named || !valued {
		return 0, false
	}
	inner = bytes.TrimLeft(inner, space)
	if n := len(inner); n > 2 && inner[0] == '"' && inner[n-1] == '"' {
		inner = inner[1 : n-1]
	}
	if len(inner) > len("18446744073709551615") {
		return 0, false
	}
	return iot.ParseID(string(inner))
}

func timeOf(name string, raw json.RawMessage) (time.Time, error) {
	s, _ := iot.RawText(raw)
	t, err := iot.ParseTime(s)
	if err != nil {
		return t, fault.E(fault.Op("c8yrest.Time"), fault.Invalid, name+" must be a date-time such as 2026-01-31T12:00:00.000Z")
	}
	return t, nil
}

func textOf(d iot.Doc, name string) (*string, error) {
	raw := d.Get(name)
	if raw == nil || iot.IsNull(raw) {
		return nil, nil
	}
	s, ok := iot.RawText(raw)
	if !ok {
		return nil, fault.E(fault.Op("c8yrest.Text"), fault.Invalid, name+" must be a string")
	}
	return &s, nil
}

// field is a member of a document that is a text, and where it goes.
type field struct {
	name string
	to   *string
}

// textsOf reads members that are texts; those that are absent leave their place as it is.
func textsOf(d iot.Doc, fields ...field) error {
	for _, f := range fields {
		s, err := textOf(d, f.name)
		if err != nil {
			return err
		}
		set(f.to, s)
	}
	return nil
}

// set copies a text that was given.
func set[T ~string](to *T, from *string) {
	if from != nil {
		*to = T(*from)
	}
}

var eventMembers = []string{"id", "self", "source", "type", "text", "time", "creationTime", "lastUpdated"}

// DecodeEvent reads the representation of an event. Source and Time are left zero if the document has none.
func DecodeEvent(d iot.Doc) (e iot.Event, err error) {
	if raw := d.Get("source"); raw != nil {
		if e.Source, err = sourceID(raw); err != nil {
			return e, err
		}
	}
	if raw := d.Get("time"); raw != nil {
		if e.Time, err = timeOf("time", raw); err != nil {
			return e, err
		}
	}
	if err := textsOf(d, field{"type", &e.Type}, field{"text", &e.Text}); err != nil {
		return e, err
	}
	if raw := d.Get("text"); raw == nil || iot.IsNull(raw) {
		return e, missing("text")
	}
	e.Fragments = d.Without(eventMembers...).WithoutNulls()
	return e, nil
}

func missing(names ...string) error {
	return fault.E(fault.Op("c8yrest.Decode"), fault.Invalid, fault.Reason("validation"), "Following mandatory fields should be included: "+strings.Join(names, ","))
}

// AppendEvent appends the representation of an event.
func AppendEvent(b []byte, base string, e *iot.Event, sourceName string) []byte {
	o := object{b: b}
	writeEvent(&o, base, e, sourceName)
	return o.b
}

func eventURL(base string, id iot.ID) string {
	if id == 0 {
		return base + "/event/events/null" // of an event that was not stored, as alarms have it
	}
	return base + "/event/events/" + id.String()
}

func writeEvent(o *object, base string, e *iot.Event, sourceName string) {
	o.open()
	if e.ID != 0 {
		o.id("id", e.ID)
	}
	o.text("self", eventURL(base, e.ID))
	writeSource(o, base, e.Source, sourceName)
	o.text("type", e.Type)
	o.text("text", e.Text)
	o.time("time", e.Time)
	o.time("creationTime", e.CreationTime)
	o.time("lastUpdated", e.LastUpdated)
	o.members(e.Fragments)
	o.close()
}

func writeSource(o *object, base string, id iot.ID, name string) {
	o.begin("source")
	o.id("id", id)
	o.some("name", name)
	o.text("self", objectURL(base, id))
	o.close()
}

// name returns the name of a source for its representation; empty if it has gone.
func (c *call) name(id iot.ID) string {
	s, err := c.s.Registry.Source(c.ctx, c.p.Tenant, id)
	if err != nil {
		return ""
	}
	return s.Name
}

func createEvent(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	e, err := DecodeEvent(d)
	if err != nil {
		return err
	}
	if e, err = c.s.Telemetry.CreateEvent(c.ctx, c.p, c.mode, e); err != nil {
		return err
	}
	if err := c.keep(); err != nil {
		return err
	}
	c.heard(e.Source)
	return c.storedEvent(http.StatusCreated, e)
}

func (c *call) storedEvent(status int, e iot.Event) error {
	location := ""
	if status == http.StatusCreated {
		location = eventURL(c.base(), e.ID)
	}
	return c.stored(status, "event", location, func() ([]byte, error) { return AppendEvent(nil, c.base(), &e, c.name(e.Source)), nil })
}

func (c *call) eventQuery() (q telemetry.EventQuery, err error) {
	q = telemetry.EventQuery{Source: c.idParam("source"), Type: c.query.Get("type"), Fragment: c.query.Get("fragmentType"), FragmentValue: c.query.Get("fragmentValue")}
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
	return q, nil
}

func (c *call) withChildren() (assets, devices, additions bool) {
	all := c.flag("withSourceChildren", false)
	return all || c.flag("withSourceAssets", false), all || c.flag("withSourceDevices", false), all || c.flag("withSourceAdditions", false)
}

func listEvents(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	q, err := c.eventQuery()
	if err != nil {
		return err
	}
	q.Offset, q.Limit, q.Count = p.offset(), p.size, p.count()
	events, n, err := c.s.Telemetry.Events(c.ctx, c.p, q)
	if err != nil {
		return err
	}
	p.total = n
	return c.collection("eventcollection", "events", p, func(o *object) error {
		for i := range events {
			writeEvent(o, c.base(), &events[i], c.name(events[i].Source))
		}
		return nil
	})
}

func getEvent(c *call) error {
	id, err := c.id("id", "event")
	if err != nil {
		return err
	}
	e, err := past(c, id, c.s.Telemetry.Event, c.s.Telemetry.EventAsOf)
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, "event", AppendEvent(nil, c.base(), &e, c.name(e.Source)))
}

func updateEvent(c *call) error {
	id, err := c.id("id", "event")
	if err != nil {
		return err
	}
	d, err := c.doc()
	if err != nil {
		return err
	}
	var patch telemetry.EventPatch
	if patch.Text, err = textOf(d, "text"); err != nil {
		return err
	}
	patch.Fragments = d.Without(eventMembers...)
	e, err := c.s.Telemetry.PatchEvent(c.passing(), c.p, id, patch)
	if err != nil {
		return err
	}
	return c.storedEvent(http.StatusOK, e)
}

func deleteEvent(c *call) error {
	id, err := c.id("id", "event")
	if err != nil {
		return err
	}
	if err := c.s.Telemetry.DeleteEvent(c.ctx, c.p, id); err != nil {
		return err
	}
	return c.noContent()
}

func deleteEvents(c *call) error {
	q, err := c.eventQuery()
	if err != nil {
		return err
	}
	if q.Source == 0 && q.From.IsZero() && q.To.IsZero() && q.CreatedFrom.IsZero() && q.CreatedTo.IsZero() {
		return fault.E(fault.Op("c8yrest.DeleteEvents"), fault.Invalid, "at least one of source, dateFrom, dateTo, createdFrom and createdTo is needed")
	}
	if err := c.s.Telemetry.DeleteEvents(c.ctx, c.p, q); err != nil {
		return err
	}
	return c.noContent()
}
