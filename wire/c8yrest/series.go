package c8yrest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

// functions are the aggregation functions of the API and how to read them from a sum.
var functions = map[string]func(s *series.Stat) []byte{
	"min":       func(s *series.Stat) []byte { return s.Min.AppendTo(nil) },
	"max":       func(s *series.Stat) []byte { return s.Max.AppendTo(nil) },
	"avg":       func(s *series.Stat) []byte { return iot.AppendFloat(nil, s.Avg()) },
	"sum":       func(s *series.Stat) []byte { return iot.AppendFloat(nil, s.Sum) },
	"count":     func(s *series.Stat) []byte { return iot.Number{Mant: s.Count}.AppendTo(nil) },
	"stdDevPop": func(s *series.Stat) []byte { return iot.AppendFloat(nil, s.StdDevPop()) },
	"stdDevSamp": func(s *series.Stat) []byte {
		if d, ok := s.StdDevSamp(); ok {
			return iot.AppendFloat(nil, d)
		}
		return []byte("null")
	},
}

// intervals are the older names of intervals.
var intervals = map[string]string{"DAILY": "1d", "HOURLY": "1h", "MINUTELY": "1m"}

func (c *call) aggregation() (a telemetry.SeriesQuery, wanted []string, err error) {
	const op = fault.Op("c8yrest.Series")
	a.Source = c.idParam("source")
	from, to, err := c.span("dateFrom", "dateTo")
	if err != nil {
		return a, nil, err
	}
	if a.Source == 0 || from.IsZero() || to.IsZero() {
		return a, nil, fault.E(op, fault.Invalid, "Following mandatory parameters should be included: source, dateFrom, dateTo")
	}
	a.From, a.To, a.Reverse = from, to, c.flag("revert", false)
	for _, v := range c.query["series"] {
		fragment, name, ok := strings.Cut(v, ".")
		if !ok || fragment == "" || name == "" {
			return a, nil, fault.E(op, fault.Invalid, "The series parameter '"+clip(v)+"' has wrong format, valid format is: fragment.series")
		}
		a.Series = append(a.Series, series.Key{Fragment: fragment, Series: name})
	}
	text := c.query.Get("aggregationInterval")
	if text == "" {
		if kind := strings.ToUpper(c.query.Get("aggregationType")); kind != "" && kind != "NONE" {
			if text = intervals[kind]; text == "" {
				return a, nil, fault.E(op, fault.Invalid, "aggregationType must be DAILY, HOURLY or MINUTELY")
			}
		}
	}
	if text != "" {
		if a.Interval, err = series.ParseInterval(text); err != nil {
			return a, nil, err
		}
	}
	wanted = c.list("aggregationFunction")
	for _, f := range wanted {
		if functions[f] == nil {
			return a, nil, fault.E(op, fault.Invalid, "aggregationFunction must be min, max, avg, sum, count, stdDevPop or stdDevSamp")
		}
	}
	if len(wanted) > 0 && text == "" {
		return a, nil, fault.E(op, fault.Malformed, "aggregationFunction needs an aggregationInterval")
	}
	if len(wanted) == 0 {
		wanted = []string{"min", "max"}
	}
	return a, wanted, nil
}

// getSeries answers with a table by time: c8y: missing entries are {} in the middle of a row and left off at its end.
func getSeries(c *call) error {
	a, wanted, err := c.aggregation()
	if err != nil {
		return err
	}
	chart, err := c.s.Telemetry.Series(c.ctx, c.p, a)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.begin("values")
	for _, row := range chart.Rows {
		o.list(iot.FormatTime(iot.FromMillis(row.Time)))
		last := len(row.Stats)
		for last > 0 && row.Stats[last-1].Count == 0 {
			last--
		}
		for i := range row.Stats[:last] {
			s := &row.Stats[i]
			if s.Count == 0 {
				o.item([]byte("{}"))
				continue
			}
			o.open()
			for _, f := range wanted {
				o.raw(f, functions[f](s))
			}
			o.close()
		}
		o.endList()
	}
	o.close()
	o.list("series")
	for _, info := range chart.Series {
		o.open()
		o.some("unit", info.Unit)
		o.text("name", info.Series)
		o.text("type", info.Fragment)
		o.close()
	}
	o.endList()
	o.bool("truncated", chart.Truncated)
	o.close()
	return c.json(http.StatusOK, "measurement", o.b)
}

func supportedSeries(c *call) error {
	return c.supported("c8y_SupportedSeries", func(i series.Info) string { return i.Fragment + "." + i.Series })
}

func supportedMeasurements(c *call) error {
	return c.supported("c8y_SupportedMeasurements", func(i series.Info) string { return i.Fragment })
}

func (c *call) supported(name string, text func(series.Info) string) error {
	id, err := c.id("id", "managedObject")
	if err != nil {
		return err
	}
	if _, err := c.s.Registry.Get(c.ctx, c.p, id); err != nil {
		return err
	}
	infos, err := c.s.Telemetry.SupportedSeries(c.ctx, c.p, id)
	if err != nil {
		return err
	}
	var names []string
	for _, i := range infos {
		names = append(names, text(i))
	}
	slices.Sort(names)
	var o object
	o.open()
	o.list(name)
	for _, n := range slices.Compact(names) {
		o.item(iot.AppendText(nil, n))
	}
	o.endList()
	o.close()
	return c.json(http.StatusOK, "", o.b)
}
