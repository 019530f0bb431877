package c8yrest

import (
	"math"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/iot"
)

// conversion turns a value of a metric unit into one of an imperial unit: value * factor + offset.
type conversion struct {
	unit           string
	factor, offset float64
}

// imperial are the units that the API converts.
var imperial = map[string]conversion{
	"m": {"ft", 1 / 0.3048, 0}, "km": {"mi", 1 / 1.609344, 0}, "cm": {"in", 1 / 2.54, 0}, "°C": {"°F", 1.8, 32}, "K": {"°R", 1.8, 0},
	"g": {"oz", 1 / 28.349523125, 0}, "kg": {"lb", 1 / 0.45359237, 0},
}

// inUnits returns a measurement in the system of units that the client asked for. c8y: only on GET, by a header.
func (c *call) inUnits(m iot.Measurement) iot.Measurement {
	if !strings.EqualFold(c.r.Header.Get("X-Cumulocity-System-Of-Units"), "imperial") {
		return m
	}
	samples := make([]iot.Sample, len(m.Samples))
	for i, s := range m.Samples {
		if to, ok := imperial[s.Unit]; ok {
			s.Unit, s.Value = to.unit, converted(s.Value, to)
		}
		samples[i] = s
	}
	m.Samples = samples
	return m
}

// converted rounds to 12 significant digits, so that what was exact does not end in a tail of nines.
func converted(n iot.Number, to conversion) iot.Number {
	v := n.Float()*to.factor + to.offset
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return n
	}
	out, err := iot.ParseNumber(strconv.FormatFloat(v, 'g', 12, 64))
	if err != nil {
		return n
	}
	return out
}
