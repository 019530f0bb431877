package c8yrest

import (
	"math"
	"net/http"
	"slices"
	"strconv"
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
	"avg":       func(s *series.Stat) []byte { return finite(s.Avg()) },
	"sum":       func(s *series.Stat) []byte { return finite(s.Sum) },
	"count":     func(s *series.Stat) []byte { return iot.Number{Mant: s.Count}.AppendTo(nil) },
	"first":     func(s *series.Stat) []byte { return s.First.AppendTo(nil) },
	"last":      func(s *series.Stat) []byte { return s.Last.AppendTo(nil) },
	"stdDevPop": func(s *series.Stat) []byte { return finite(s.StdDevPop()) },
	"stdDevSamp": func(s *series.Stat) []byte {
		if d, ok := s.StdDevSamp(); ok {
			return finite(d)
		}
		return []byte("null")
	},
}

// percentile begins the functions that tell the value below which a part of the values lies: percentile50, percentile99.9.
const percentile = "percentile"

// downsamplings are the names of the ways to draw with few points.
var downsamplings = map[string]series.Method{"": series.LTTB, "lttb": series.LTTB, "minmax": series.MinMax}

// intervals are the older names of intervals.
var intervals = map[string]string{"DAILY": "1d", "HOURLY": "1h", "MINUTELY": "1m"}

func (c *call) aggregation() (a telemetry.SeriesQuery, wanted []string, err error) {
	const op = fault.Op("c8yrest.Series")
	a.Source = c.idParam("source")
	from, to, err := c.span("dateFrom", "dateTo")
	if err != nil {
		return a, nil, err
	}
	if a.Source == 0 || c.query.Get("dateFrom") == "" || c.query.Get("dateTo") == "" {
		return a, nil, fault.E(op, fault.Invalid, "Following mandatory parameters should be included: source, dateFrom, dateTo")
	}
	a.From, a.To, a.Reverse = from, to, c.flag("revert", false)
	if a.Series, err = c.seriesKeys(); err != nil {
		return a, nil, err
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
	if name := c.query.Get("timezone"); name != "" {
		if a.Zone, err = series.ParseZone(name); err != nil {
			return a, nil, err
		}
	}
	if a.MaxPoints, a.Method, err = c.downsampling(text != ""); err != nil {
		return a, nil, err
	}
	for _, f := range c.list("aggregationFunction") {
		if !slices.Contains(wanted, f) { // a member of an object has one name
			wanted = append(wanted, f)
		}
	}
	for _, f := range wanted {
		rank, isRank := rankOf(f)
		switch {
		case isRank:
			a.Percentiles = append(a.Percentiles, rank)
		case functions[f] == nil:
			return a, nil, fault.E(op, fault.Invalid, "aggregationFunction must be min, max, avg, sum, count, stdDevPop, stdDevSamp, first, last or "+
				"percentile with a number from 0 to 100, as in percentile99.9")
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

// seriesKeys reads the series asked for.
func (c *call) seriesKeys() (keys []series.Key, err error) {
	for _, v := range c.query["series"] {
		fragment, name, ok := strings.Cut(v, ".")
		if !ok || fragment == "" || name == "" {
			return nil, fault.E(fault.Op("c8yrest.Series"), fault.Invalid, "The series parameter '"+clip(v)+"' has wrong format, valid format is: fragment.series")
		}
		keys = append(keys, series.Key{Fragment: fragment, Series: name})
	}
	return keys, nil
}

// rankOf reads the name of a percentile.
func rankOf(function string) (rank float64, ok bool) {
	text, ok := strings.CutPrefix(function, percentile)
	if !ok || text == "" || len(text) > 8 || strings.Trim(text, "0123456789.") != "" {
		return 0, false
	}
	rank, err := strconv.ParseFloat(text, 64)
	return rank, err == nil && rank <= 100
}

// downsampling reads how a drawing is to be thinned out.
func (c *call) downsampling(aggregated bool) (points int, m series.Method, err error) {
	const op = fault.Op("c8yrest.Series")
	text, name := c.query.Get("maxPoints"), c.query.Get("downsampling")
	m, ok := downsamplings[strings.ToLower(name)]
	switch {
	case text == "" && name == "":
		return 0, m, nil
	case !ok:
		return 0, m, fault.E(op, fault.Invalid, "downsampling must be lttb or minmax")
	case text == "":
		return 0, m, fault.E(op, fault.Invalid, "downsampling needs maxPoints, the number of points to draw of each series")
	case aggregated:
		return 0, m, fault.E(op, fault.Invalid, "maxPoints thins out raw points: leave out aggregationInterval and aggregationType")
	}
	points, err = strconv.Atoi(text)
	if err != nil || points < series.MinPoints || points > series.MaxMaxPoints {
		return 0, m, fault.Errorf(op, fault.Invalid, "maxPoints must be a number from %d to %d", series.MinPoints, series.MaxMaxPoints)
	}
	return points, m, nil
}

// appendFunction appends the value of an aggregation function for one column of a row.
func appendFunction(o *object, name string, ranks *int, r *series.Row, col int) {
	if f := functions[name]; f != nil {
		o.raw(name, f(&r.Stats[col]))
		return
	}
	o.raw(name, finite(r.Percentiles[col][*ranks]))
	*ranks++
}

// getSeries answers with a table by time: c8y: missing entries are {} in the middle of a row and left off at its end.
func getSeries(c *call) error {
	a, wanted, err := c.aggregation()
	if err != nil {
		return err
	}
	if kind := c.tableKind(); kind != nil {
		return c.seriesTable(kind, a, wanted)
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
			ranks := 0
			for _, f := range wanted {
				appendFunction(&o, f, &ranks, &row, i)
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

// maxLatest is the largest number of sources of one request for newest values.
const maxLatest = 1000

// getLatest answers with the newest value of each series of some sources: an addition to the API, which knows the newest received value only,
// as a fragment of an object.
func getLatest(c *call) error {
	const op = fault.Op("c8yrest.Latest")
	var sources []iot.ID
	for _, v := range c.list("source") {
		id, ok := iot.ParseID(v)
		if !ok {
			return fault.E(op, fault.NotFound, fault.Subject(v), "Finding device data from database failed : No managedObject for id '"+clip(v)+"'!")
		}
		if !slices.Contains(sources, id) {
			sources = append(sources, id)
		}
		if len(sources) > maxLatest {
			return fault.Errorf(op, fault.Invalid, "at most %d sources can be asked for at once", maxLatest)
		}
	}
	if len(sources) == 0 {
		return fault.E(op, fault.Invalid, "Following mandatory parameters should be included: source")
	}
	keys, err := c.seriesKeys()
	if err != nil {
		return err
	}
	values, err := c.s.Telemetry.Latest(c.ctx, c.p, sources, keys)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.list("values")
	for i := range values {
		v := &values[i]
		o.open()
		o.begin("source")
		o.id("id", v.Source)
		o.text("self", objectURL(c.base(), v.Source))
		o.close()
		o.text("type", v.Fragment)
		o.text("name", v.Series)
		o.some("unit", v.Unit)
		o.time("time", iot.FromMillis(v.At.MS))
		o.raw("value", v.Value.AppendTo(nil))
		o.close()
	}
	o.endList()
	o.close()
	return c.json(http.StatusOK, "measurement", o.b)
}

func supportedSeries(c *call) error {
	return c.supported("c8y_SupportedSeries", func(i series.Info) string { return i.Fragment + "." + i.Series })
}

// listKPIs is c8y: the data points of the library, as managed objects with c8y_Kpi, for a device. Applications match them with what the device measures.
func listKPIs(c *call) error {
	id, err := c.id("id", "managedObject")
	if err != nil {
		return err
	}
	if _, err := c.s.Registry.Get(c.ctx, c.p, id); err != nil {
		return err
	}
	c.query.Set("fragmentType", "c8y_Kpi")
	return listObjects(c)
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

// finite is a number, or null where the sum of very large values has left the range of numbers: JSON knows no infinity.
func finite(f float64) []byte {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return []byte("null")
	}
	return iot.AppendFloat(nil, f)
}
