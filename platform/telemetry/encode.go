package telemetry

import (
	"encoding/json"
	"strconv"

	"github.com/isobar-iot/isobar/iot"
)

// MeasurementBatch is what is published of measurements: those of one tenant that one commit stored, or that were deleted. Of deleted ones
// only Source, Time and Seq are set; a deletion of more than 1,000 names none.
//
// It has a JSON form of its own, because it is on the hottest path: a sample is the array [fragment, series, unit, value], a time is
// Unix milliseconds. Both encoding/json and, faster, DecodeMeasurements read it.
type MeasurementBatch struct {
	Action       iot.Action
	Measurements []iot.Measurement
}

const batchEnd = "]}"

func appendBatchStart(b []byte, a iot.Action) []byte {
	b = append(b, `{"Action":"`...)
	b = append(b, a...)
	return append(b, `","Measurements":[`...)
}

// MarshalJSON implements json.Marshaler.
func (x MeasurementBatch) MarshalJSON() ([]byte, error) { return x.AppendTo(nil), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (x *MeasurementBatch) UnmarshalJSON(b []byte) (err error) {
	*x, err = DecodeMeasurements(append([]byte(nil), b...))
	return err
}

// AppendTo appends the JSON form.
func (x MeasurementBatch) AppendTo(b []byte) []byte {
	b = appendBatchStart(b, x.Action)
	for i := range x.Measurements {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendMeasurement(b, &x.Measurements[i])
	}
	return append(b, batchEnd...)
}

// AppendMeasurement appends the JSON form of one measurement in a MeasurementBatch.
func AppendMeasurement(b []byte, m *iot.Measurement) []byte {
	b = append(b, `{"Source":`...)
	b = strconv.AppendUint(b, uint64(m.Source), 10)
	b = append(b, `,"Time":`...)
	b = strconv.AppendInt(b, m.Time.UnixMilli(), 10)
	b = append(b, `,"Seq":`...)
	b = strconv.AppendUint(b, uint64(m.Seq), 10)
	if m.Type != "" {
		b = append(b, `,"Type":`...)
		b = iot.AppendText(b, m.Type)
	}
	if len(m.Samples) > 0 {
		b = append(b, `,"Samples":[`...)
		for i := range m.Samples {
			s := &m.Samples[i]
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, '[')
			b = append(iot.AppendText(b, s.Fragment), ',')
			b = append(iot.AppendText(b, s.Series), ',')
			b = append(iot.AppendText(b, s.Unit), ',')
			b = append(s.Value.AppendTo(b), ']')
		}
		b = append(b, ']')
	}
	if len(m.Extra) > 0 {
		b = append(b, `,"Extra":`...)
		b = m.Extra.AppendTo(b)
	}
	return append(b, '}')
}

// DecodeMeasurements reads what MeasurementBatch.AppendTo wrote. Free members alias data, which must not be written to afterwards.
func DecodeMeasurements(data []byte) (MeasurementBatch, error) {
	d := decoder{b: data, names: map[string]string{}}
	var x MeasurementBatch
	d.object(func(key string) {
		switch key {
		case "Action":
			x.Action = iot.Action(d.text())
		case "Measurements":
			d.array(func() { x.Measurements = append(x.Measurements, d.measurement()) })
		default:
			d.skip()
		}
	})
	if d.space(); d.err == nil && d.i != len(d.b) {
		d.fail()
	}
	return x, d.err
}

func (d *decoder) measurement() (m iot.Measurement) {
	d.object(func(key string) {
		switch key {
		case "Source":
			m.Source = iot.ID(d.integer())
		case "Time":
			m.Time = iot.FromMillis(d.integer())
		case "Seq":
			m.Seq = uint32(d.integer())
		case "Type":
			m.Type = d.text()
		case "Samples":
			d.array(func() { m.Samples = append(m.Samples, d.sample()) })
		case "Extra":
			m.Extra = d.doc()
		default:
			d.skip()
		}
	})
	return m
}

func (d *decoder) sample() (s iot.Sample) {
	n := 0
	d.array(func() {
		switch n++; n {
		case 1:
			s.Fragment = d.text()
		case 2:
			s.Series = d.text()
		case 3:
			s.Unit = d.text()
		case 4:
			s.Value = d.number()
		default:
			d.skip()
		}
	})
	if n < 4 {
		d.fail()
	}
	return s
}

var _ json.Unmarshaler = (*MeasurementBatch)(nil)
