package c8yrest

import (
	"encoding/json"
	"net/http"
	"strings"

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

// seriesOf returns the valid series of a fragment; ok is false if there is none.
func seriesOf(fragment iot.Member) ([]iot.Sample, bool) {
	if len(fragment.Raw) == 0 || fragment.Raw[0] != '{' || strings.ContainsAny(fragment.Name, " .,*[]()@$") {
		return nil, false
	}
	d, err := iot.ParseDoc(fragment.Raw, iot.MaxDepth)
	if err != nil {
		return nil, false
	}
	var out []iot.Sample
	for _, s := range d {
		if s.Raw[0] != '{' || strings.ContainsAny(s.Name, " .,*[]()@$") {
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

// AppendMeasurement appends the representation of a measurement.
func AppendMeasurement(b []byte, base string, m *iot.Measurement) []byte {
	o := object{b: b}
	writeMeasurement(&o, base, m)
	return o.b
}

func writeMeasurement(o *object, base string, m *iot.Measurement) {
	id := m.ID().String()
	o.open()
	o.text("id", id)
	o.text("self", base+"/measurement/measurements/"+id)
	o.begin("source")
	o.id("id", m.Source)
	o.text("self", objectURL(base, m.Source))
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
		c.heard(ms[i].Source)
	}
	if bulk {
		return c.stored(http.StatusCreated, "measurementcollection", "", func() ([]byte, error) {
			var o object
			o.open()
			o.list("measurements")
			for i := range ms {
				writeMeasurement(&o, c.base(), &ms[i])
			}
			o.endList()
			o.close()
			return o.b, nil
		})
	}
	return c.stored(http.StatusCreated, "measurement", c.base()+"/measurement/measurements/"+ms[0].ID().String(), func() ([]byte, error) {
		return AppendMeasurement(nil, c.base(), &ms[0]), nil
	})
}

// parseDocs reads a list of objects.
func parseDocs(raw json.RawMessage, name string) ([]iot.Doc, error) {
	items, err := iot.ParseArray(raw, iot.MaxDepth)
	if err != nil {
		return nil, fault.E(fault.Op("c8yrest.Body"), fault.Invalid, name+" must be a list of objects")
	}
	out := make([]iot.Doc, len(items))
	for i, item := range items {
		if out[i], err = parseDoc(item); err != nil {
			return nil, err
		}
	}
	return out, nil
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
	if strings.Contains(c.r.Header.Get("Accept"), "text/csv") {
		return c.measurementCSV(ms)
	}
	p.total = n
	return c.collection("measurementcollection", "measurements", p, func(o *object) error {
		for i := range ms {
			writeMeasurement(o, c.base(), &ms[i])
		}
		return nil
	})
}

// measurementCSV answers with one row per value: c8y: time,source,device_name,fragment.series,value,unit.
func (c *call) measurementCSV(ms []iot.Measurement) error {
	b := []byte("time,source,device_name,fragment.series,value,unit\r\n")
	for i := range ms {
		m := &ms[i]
		src, err := c.s.Registry.Source(c.ctx, c.p.Tenant, m.Source)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		for _, s := range m.Samples {
			b = iot.AppendTime(b, m.Time)
			b = append(b, ',')
			b = append(b, m.Source.String()...)
			for _, field := range []string{src.Name, s.Fragment + "." + s.Series, s.Value.String(), s.Unit} {
				b = append(b, ',')
				b = appendCSV(b, field)
			}
			b = append(b, '\r', '\n')
		}
	}
	c.w.Header().Set("Content-Type", "text/csv;charset=UTF-8")
	_, err := c.w.Write(b)
	return err
}

func appendCSV(b []byte, s string) []byte {
	if !strings.ContainsAny(s, ",\"\r\n") {
		return append(b, s...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(s, `"`, `""`)...)
	return append(b, '"')
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
