package smartrest

import (
	"slices"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

// single is a measurement with room for its samples, so that both are one allocation: nearly all measurements have one sample.
type single struct {
	iot.Measurement
	samples [1]iot.Sample
}

func one(kind string, at time.Time, s iot.Sample) Message {
	m := &single{samples: [1]iot.Sample{s}}
	m.Type, m.Time, m.Samples = kind, at, m.samples[:]
	return Measure{&m.Measurement}
}

func measureOne(a args) (Message, *LineError) {
	var s iot.Sample
	s.Fragment, s.Series, s.Value = a.need("fragment"), a.need("series"), a.needNumber("value")
	s.Unit = a.text()
	at := a.time()
	if a.err != nil {
		return nil, a.err
	}
	return one(s.Fragment, at, s), nil
}

// needNumber returns a mandatory number.
func (a *args) needNumber(name string) iot.Number {
	s := a.need(name)
	if s == "" {
		return iot.Number{}
	}
	return a.parseNumber(name, s)
}

func measureMany(a args) (Message, *LineError) {
	m := &iot.Measurement{Type: a.need("type"), Time: a.time()}
	for g := make([]string, 4); a.err == nil && a.group(g); {
		s := iot.Sample{Fragment: g[0], Series: g[1], Unit: g[3]}
		switch "" {
		case s.Fragment:
			a.missing("fragment")
		case s.Series:
			a.missing("series")
		case g[2]:
			a.missing("value")
		default:
			s.Value = a.parseNumber("value", g[2])
		}
		m.Samples = append(m.Samples, s)
	}
	if len(m.Samples) == 0 {
		a.missing("fragment")
	}
	m.Samples = tidy(m.Samples)
	return Measure{m}, a.err
}

// tidy makes the samples those of a JSON object: series of one fragment stand together, in the order of first appearance,
// and a repeated series keeps its last value only.
func tidy(samples []iot.Sample) []iot.Sample {
	if isTidy(samples) {
		return samples
	}
	type series struct{ fragment, name string }
	order := make(map[string]int, 4)
	at := make(map[series]int, len(samples))
	out := samples[:0]
	for _, s := range samples {
		k := series{s.Fragment, s.Series}
		if i, ok := at[k]; ok {
			out[i] = s
			continue
		}
		if _, ok := order[s.Fragment]; !ok {
			order[s.Fragment] = len(order)
		}
		at[k] = len(out)
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(x, y iot.Sample) int { return order[x.Fragment] - order[y.Fragment] })
	return out
}

// isTidy spares the usual, short measurement the maps; it compares all pairs and so gives up on long ones.
func isTidy(samples []iot.Sample) bool {
	if len(samples) > 32 {
		return false
	}
	for i, s := range samples {
		for j := range i {
			if s.Fragment == samples[j].Fragment && (s.Series == samples[j].Series || s.Fragment != samples[i-1].Fragment) {
				return false
			}
		}
	}
	return true
}

func measureSignal(a args) (Message, *LineError) {
	const kind = "c8y_SignalStrength"
	m := &iot.Measurement{Type: kind}
	if n, ok := a.number("rssi"); ok {
		m.Samples = append(m.Samples, iot.Sample{Fragment: kind, Series: "rssi", Unit: "dBm", Value: n})
	}
	if n, ok := a.number("ber"); ok {
		m.Samples = append(m.Samples, iot.Sample{Fragment: kind, Series: "ber", Unit: "%", Value: n})
	}
	if len(m.Samples) == 0 {
		a.missing("rssi")
	}
	m.Time = a.time()
	return Measure{m}, a.err
}

func measureTemperature(a args) (Message, *LineError) {
	const kind = "c8y_TemperatureMeasurement"
	s := iot.Sample{Fragment: kind, Series: "T", Unit: "C", Value: a.needNumber("temperature")}
	m := one(kind, a.time(), s)
	return m, a.err
}

func measureBattery(a args) (Message, *LineError) {
	const kind = "c8y_Battery"
	s := iot.Sample{Fragment: kind, Series: "level", Unit: "%", Value: a.needNumber("battery")}
	m := one(kind, a.time(), s)
	return m, a.err
}
