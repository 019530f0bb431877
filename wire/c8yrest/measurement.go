package c8yrest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"unicode"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

// DecodeMeasurement reads the representation of a measurement. c8y: a fragment is an object; its members that are objects with a numeric
// value are series, invalid ones beside valid ones are dropped, and a fragment without any valid one is kept as a free property.
// Source is left zero if the document has none.
func DecodeMeasurement(d iot.Doc) (iot.Measurement, error) {
	var m iot.Measurement
	for _, member := range d {
		switch member.Name {
		case "id", "self":
		case "source":
			id, err := sourceID(member.Raw)
			if err != nil {
				return m, err
			}
			m.Source = id
		case "time":
			t, err := timeOf("time", member.Raw)
			if err != nil {
				return m, err
			}
			m.Time = t
		case "type":
			s, ok := iot.RawText(member.Raw)
			if !ok {
				return m, fault.E(fault.Op("c8yrest.Measurement"), fault.Invalid, "type must be a string")
			}
			m.Type = s
		default:
			samples, ok := seriesOf(member)
			if !ok {
				m.Extra = append(m.Extra, member)
			}
			m.Samples = append(m.Samples, samples...)
		}
	}
	return m, nil
}

// nameable reports whether a fragment or a series can have a name. c8y: what has another one is accepted all the same, but is no series.
func nameable(s string) bool {
	for _, r := range s {
		switch r {
		case '.', ',', '*', '[', ']', '(', ')', '@', '$':
			return false
		}
		if unicode.IsSpace(r) {
			return false
		}
	}
	return s != ""
}

// seriesOf returns the valid series of a fragment; ok is false if there is none. c8y: a fragment with none is kept as it is, as a property of the measurement;
// of one with some, those that are none are left out.
func seriesOf(fragment iot.Member) ([]iot.Sample, bool) {
	if len(fragment.Raw) == 0 || fragment.Raw[0] != '{' || !nameable(fragment.Name) {
		return nil, false
	}
	d, err := iot.ParseDoc(fragment.Raw, iot.MaxDepth)
	if err != nil {
		return nil, false
	}
	out := make([]iot.Sample, 0, len(d))
	for _, s := range d {
		if s.Raw[0] != '{' || !nameable(s.Name) {
			continue
		}
		v, err := iot.ParseDoc(s.Raw, iot.MaxDepth)
		if err != nil {
			continue
		}
		n, err := iot.ParseNumber(string(v.Get("value")))
		if err != nil {
			continue
		}
		unit, _ := v.Text("unit")
		out = append(out, iot.Sample{Fragment: fragment.Name, Series: s.Name, Unit: unit, Value: n})
	}
	return out, len(out) > 0
}

// measurementSize is about what the representation of a measurement takes.
const measurementSize = 400

// AppendMeasurement appends the representation of a measurement.
func AppendMeasurement(b []byte, base string, m *iot.Measurement) []byte {
	o := object{b: b}
	writeMeasurement(&o, base, m)
	return o.b
}

func writeMeasurement(o *object, base string, m *iot.Measurement) {
	id := m.ID()
	o.open()
	o.key("id")
	o.b = append(id.AppendTo(append(o.b, '"')), '"')
	o.comma = true
	o.beginURL("self", base, "/measurement/measurements/")
	o.b = append(id.AppendTo(o.b), '"')
	o.begin("source")
	o.id("id", m.Source)
	o.beginURL("self", base, "/inventory/managedObjects/")
	o.b = append(strconv.AppendUint(o.b, uint64(m.Source), 10), '"')
	o.close()
	o.time("time", m.Time)
	o.text("type", m.Type)
	for i := 0; i < len(m.Samples); {
		fragment := m.Samples[i].Fragment
		o.begin(fragment)
		for ; i < len(m.Samples) && m.Samples[i].Fragment == fragment; i++ {
			s := &m.Samples[i]
			o.begin(s.Series)
			o.key("value")
			o.b = s.Value.AppendTo(o.b)
			o.comma = true
			o.some("unit", s.Unit)
			o.close()
		}
		o.close()
	}
	o.members(m.Extra)
	o.close()
}

func createMeasurements(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	raw := d.Get("measurements")
	bulk := raw != nil && raw[0] == '['
	docs := []iot.Doc{d}
	if bulk {
		if docs, err = parseDocs(raw, "measurements"); err != nil {
			return err
		}
	}
	ms := make([]iot.Measurement, len(docs))
	for i, d := range docs {
		if ms[i], err = DecodeMeasurement(d); err != nil {
			return err
		}
	}
	ms, err = c.s.Telemetry.Record(c.ctx, c.p, c.mode, ms)
	if err != nil {
		return err
	}
	if err := c.keep(); err != nil {
		return err
	}
	for i := range ms {
		if i == 0 || ms[i].Source != ms[i-1].Source {
			c.heard(ms[i].Source)
		}
	}
	base := c.base()
	if bulk {
		return c.stored(http.StatusCreated, "measurementcollection", "", func() ([]byte, error) {
			o := object{b: make([]byte, 0, measurementSize*(len(ms)+1))}
			o.open()
			o.list("measurements")
			for i := range ms {
				writeMeasurement(&o, base, &ms[i])
			}
			o.endList()
			o.close()
			return o.b, nil
		})
	}
	return c.stored(http.StatusCreated, "measurement", base+"/measurement/measurements/"+ms[0].ID().String(), func() ([]byte, error) {
		return AppendMeasurement(make([]byte, 0, measurementSize), base, &ms[0]), nil
	})
}

// parseDocs reads a list of objects.
func parseDocs(raw json.RawMessage, name string) ([]iot.Doc, error) {
	const op = fault.Op("c8yrest.Body")
	if len(raw) == 0 || raw[0] != '[' {
		return nil, fault.E(op, fault.Invalid, name+" must be a list of objects")
	}
	docs, err := iot.ParseDocs(raw, iot.MaxDepth)
	if err != nil {
		return nil, fault.E(op, fault.Invalid, fault.Reason("validation"), "the body is not valid JSON: "+err.Error())
	}
	return docs, nil
}

// measurementQuery reads the parameters that select measurements. c8y: fragmentType is an older name of valueFragmentType.
func (c *call) measurementQuery() (telemetry.MeasurementQuery, error) {
	q := telemetry.MeasurementQuery{Source: c.idParam("source"), Type: c.query.Get("type"), Fragment: c.query.Get("valueFragmentType"), Series: c.query.Get("valueFragmentSeries")}
	if q.Fragment == "" {
		q.Fragment = c.query.Get("fragmentType")
	}
	var err error
	if q.From, q.To, err = c.span("dateFrom", "dateTo"); err != nil {
		return q, err
	}
	q.Reverse = c.flag("revert", false) && (!q.From.IsZero() || !q.To.IsZero())
	return q, nil
}

func listMeasurements(c *call) error {
	if kind := c.tableKind(); kind != nil {
		return c.measurementTable(kind)
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	q, err := c.measurementQuery()
	if err != nil {
		return err
	}
	q.Offset, q.Limit, q.Count = p.offset(), p.size, p.count()
	ms, n, err := c.s.Telemetry.Measurements(c.ctx, c.p, q)
	if err != nil {
		return err
	}
	for i := range ms {
		ms[i] = c.inUnits(ms[i])
	}
	p.total = n
	base := c.base()
	return c.collection("measurementcollection", "measurements", p, func(o *object) error {
		for i := range ms {
			writeMeasurement(o, base, &ms[i])
		}
		return nil
	})
}

func (c *call) measurementID() (iot.MeasurementID, error) {
	v := c.r.PathValue("id")
	id, ok := iot.ParseMeasurementID(v)
	if !ok {
		return id, fault.E(fault.Op("c8yrest.Measurement"), fault.NotFound, fault.Subject(v), "Finding measurement data from database failed : No measurement for gid '"+clip(v)+"'!")
	}
	return id, nil
}

func getMeasurement(c *call) error {
	id, err := c.measurementID()
	if err != nil {
		return err
	}
	m, err := c.s.Telemetry.Measurement(c.ctx, c.p, id)
	if err != nil {
		return err
	}
	m = c.inUnits(m)
	return c.json(http.StatusOK, "measurement", AppendMeasurement(nil, c.base(), &m))
}

func deleteMeasurement(c *call) error {
	id, err := c.measurementID()
	if err != nil {
		return err
	}
	if err := c.s.Telemetry.DeleteMeasurement(c.ctx, c.p, id); err != nil {
		return err
	}
	return c.noContent()
}

func deleteMeasurements(c *call) error {
	q, err := c.measurementQuery()
	if err != nil {
		return err
	}
	if q.Source == 0 && q.From.IsZero() && q.To.IsZero() {
		return fault.E(fault.Op("c8yrest.DeleteMeasurements"), fault.Invalid, "at least one of source, dateFrom and dateTo is needed")
	}
	if err := c.s.Telemetry.DeleteMeasurements(c.ctx, c.p, q); err != nil {
		return err
	}
	return c.noContent()
}
