package c8yrest

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/usage"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/applogic"
	"github.com/isobar-iot/isobar/platform/registry"
)

func usageRoutes() []Route {
	const s = "/tenant/statistics"
	return []Route{
		get(s, dailyStatistics), get(s+"/summary", summaryStatistics), get(s+"/allTenantsSummary", allSummaries),
		get(s+"/device/{tenant}/daily/{date}", dailyDevices), get(s+"/device/{tenant}/monthly/{date}", monthlyDevices),
		get(s+"/files", listStatisticsFiles), post(s+"/files", createStatisticsFile),
		download(get(s+"/files/{id}", getStatisticsFile)), download(get(s+"/files/latest/{month}", latestStatisticsFile)),
	}
}

// unmetered are the requests that do not count: c8y. A path stands for what is below it as well.
var unmetered = []string{"/health", "/application/currentApplication", "/tenant/limit", "/devicecontrol/deviceCredentials", "/inventory/templates"}

// countUse counts a request of who is known by now, whatever came of it.
func (c *call) countUse() {
	if c.s.Usage == nil || c.p.Tenant == "" {
		return
	}
	path := c.r.URL.Path
	if slices.ContainsFunc(unmetered, func(u string) bool { return below(path, u) }) {
		return
	}
	key := c.r.Header.Get("X-Cumulocity-Application-Key")
	app := key != "" && slices.ContainsFunc(c.applications(c.p.Tenant), func(a applogic.App) bool { return a.Key == key })
	device := !app && !below(path, "/tenant") && !below(path, "/application") && !below(path, "/user")
	c.s.Usage.Request(c.p.Tenant, device, 1)
}

func below(path, top string) bool {
	return strings.HasPrefix(path, top) && (len(path) == len(top) || path[len(top)] == '/')
}

// usageSpan reads dateFrom and dateTo, days or times; a time stands for its day.
func (c *call) usageSpan() (s usage.Span, err error) {
	until := "dateTo"
	if !c.query.Has(until) && c.query.Has("dateTill") { // c8y: how a web application that asks for the last month calls it
		until = "dateTill"
	}
	from, to, err := c.span("dateFrom", until)
	if err != nil {
		return s, err
	}
	if !from.IsZero() {
		s.From = usage.DayOf(from)
	}
	if !to.IsZero() {
		s.To = usage.DayOf(to)
	}
	return s, nil
}

func writeCounts(o *object, n usage.Counts, g usage.Gauges) {
	o.int("deviceCount", g.Devices)
	o.int("deviceWithChildrenCount", g.All) // c8y: devices and all their children, as the administration shows it
	o.int("deviceEndpointCount", g.Endpoints)
	o.int("storageSize", g.Storage)
	for i, v := range n {
		o.int(usage.Counter(i).String(), v)
	}
	o.int("totalResourceCreateAndUpdateCount", n.Total())
	o.begin("resources") // of microservices: none is accounted
	o.int("cpu", 0)
	o.int("memory", 0)
	o.list("usedBy")
	o.endList()
	o.close()
}

// applications are those that a tenant has; none if the caller cannot read them.
func (c *call) applications(t iot.TenantID) []applogic.App {
	if c.s.Applications == nil {
		return nil
	}
	apps, err := c.s.Applications.OfTenant(c.ctx, c.p, t)
	if err != nil {
		c.s.Log.Warn("applications of a tenant", "tenant", t, "err", err)
	}
	return apps
}

func (c *call) subscribed(o *object, t iot.TenantID) {
	o.list("subscribedApplications")
	for _, a := range c.applications(t) {
		o.item(iot.AppendText(nil, a.Name))
	}
	o.endList()
}

// spanned answers with a page of what there is between two days.
func spanned[T any](c *call, media, name string, list func(context.Context, iot.Principal, usage.Span) ([]T, error), write func(*object, T)) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	span, err := c.usageSpan()
	if err != nil {
		return err
	}
	all, err := list(c.ctx, c.p, span)
	if err != nil {
		return err
	}
	p.total = len(all)
	return c.collection(media, name, p, func(o *object) error {
		for _, x := range cut(p, all) {
			write(o, x)
		}
		return nil
	})
}

func dailyStatistics(c *call) error {
	return spanned(c, "tenantusagestatisticscollection", "usageStatistics", c.s.Usage.Daily, func(o *object, d usage.Daily) {
		o.open()
		o.time("day", d.Day.Start())
		o.text("self", c.base()+"/tenant/statistics")
		writeCounts(o, d.Counts, d.Gauges)
		c.subscribed(o, c.p.Tenant)
		o.close()
	})
}

func summaryStatistics(c *call) error {
	span, err := c.usageSpan()
	if err != nil {
		return err
	}
	t := c.p.Tenant
	if v := c.query.Get("tenant"); v != "" {
		t = iot.TenantID(v)
	}
	s, err := c.s.Usage.Summary(c.ctx, c.p, t, span)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.time("day", s.Last.Start())
	o.text("self", c.base()+"/tenant/statistics/summary")
	writeCounts(&o, s.Counts, s.Gauges)
	writePeaks(&o, s.Peak)
	c.subscribed(&o, t)
	o.close()
	return c.json(http.StatusOK, "tenantusagestatisticssummary", o.b)
}

func writePeaks(o *object, g usage.Gauges) {
	o.int("peakDeviceCount", g.Devices)
	o.int("peakDeviceWithChildrenCount", g.All)
	o.int("peakStorageSize", g.Storage)
}

// allSummaries is c8y: a bare array.
func allSummaries(c *call) error {
	span, err := c.usageSpan()
	if err != nil {
		return err
	}
	sums, tenants, err := c.s.Usage.Summaries(c.ctx, c.p, span)
	if err != nil {
		return err
	}
	var o object
	o.b = append(o.b, '[')
	for i, s := range sums {
		t := tenants[i]
		o.open()
		o.text("tenantId", string(t.ID))
		o.some("parentTenantId", string(t.Parent))
		o.some("tenantCompany", t.Company)
		o.some("tenantDomain", t.Domain)
		o.time("creationTime", t.Created)
		o.key("tenantCustomProperties")
		o.b = t.Custom.AppendTo(o.b)
		o.comma = true
		if reference, ok := t.Custom.Text("externalReference"); ok {
			o.text("externalReference", reference)
		}
		writeCounts(&o, s.Counts, s.Gauges)
		writePeaks(&o, s.Peak)
		c.subscribed(&o, t.ID)
		o.close()
	}
	o.b = append(o.b, ']')
	return c.json(http.StatusOK, "", o.b)
}

// date reads a part of the path that is a day.
func (c *call) date(name string) (time.Time, error) {
	d, err := time.Parse(time.DateOnly, c.r.PathValue(name))
	if err != nil {
		return d, fault.E(fault.Op("c8yrest.Date"), fault.Invalid, "the date in the path must be a day such as 2026-01-31")
	}
	return d, nil
}

func dailyDevices(c *call) error {
	day, err := c.date("date")
	if err != nil {
		return err
	}
	return c.deviceStatistics(usage.Span{From: usage.DayOf(day), To: usage.DayOf(day)}, false)
}

// monthlyDevices is about the whole month that the day lies in.
func monthlyDevices(c *call) error {
	day, err := c.date("date")
	if err != nil {
		return err
	}
	first := time.Date(day.Year(), day.Month(), 1, 0, 0, 0, 0, time.UTC)
	return c.deviceStatistics(usage.Span{From: usage.DayOf(first), To: usage.DayOf(first.AddDate(0, 1, -1))}, true)
}

// deviceStatistics answers with a page of devices. c8y: statistics is the name of the list, so that there are no statistics about the page.
func (c *call) deviceStatistics(span usage.Span, whole bool) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	t := iot.TenantID(c.r.PathValue("tenant"))
	found, err := c.s.Usage.Devices(c.ctx, c.p, t, span, c.idParam("deviceId"), p.offset(), p.size)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.list("statistics")
	for _, d := range found {
		o.open()
		o.id("deviceId", d.Device)
		o.int("count", d.Count)
		if whole {
			if err := c.describeDevice(&o, t, d.Device); err != nil {
				return err
			}
		}
		o.close()
	}
	o.endList()
	o.text("self", c.self(p, p.current))
	o.text("next", c.self(p, p.current+1))
	if p.current > 1 {
		o.text("prev", c.self(p, p.current-1))
	}
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

// describeDevice writes the type and the parents of a device of a tenant whose statistics the caller may read. One that is gone has none.
func (c *call) describeDevice(o *object, t iot.TenantID, id iot.ID) error {
	objects, _, err := c.s.Registry.List(c.ctx, iot.System(t), registry.Query{IDs: []iot.ID{id}, Limit: 1})
	if err != nil {
		return err
	}
	for _, x := range objects {
		o.some("deviceType", x.Type)
	}
	parents, _, err := c.s.Registry.List(c.ctx, iot.System(t), registry.Query{ParentOf: id, Kind: iot.ChildDevice, Limit: maxPage})
	if err != nil {
		return err
	}
	o.list("deviceParents")
	for _, x := range parents {
		o.item(iot.AppendText(nil, x.ID.String()))
	}
	o.endList()
	return nil
}

func writeStatisticsFile(o *object, f usage.File) {
	o.open()
	o.text("id", f.ID)
	o.text("type", f.Type)
	o.text("instanceName", f.Instance)
	o.time("generationDate", f.Generated)
	o.time("dateFrom", f.From.Start())
	o.time("dateTo", f.To.Start())
	o.close()
}

func listStatisticsFiles(c *call) error {
	return spanned(c, "tenantStatisticsfilecollection", "statisticsFiles", c.s.Usage.Files, writeStatisticsFile)
}

func createStatisticsFile(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	var span usage.Span
	for name, to := range map[string]*usage.Day{"dateFrom": &span.From, "dateTo": &span.To} {
		s, err := textOf(d, name)
		if err != nil {
			return err
		}
		if s == nil {
			return missing("dateFrom", "dateTo")
		}
		at, err := iot.ParseTime(*s)
		if err != nil {
			return fault.E(fault.Op("c8yrest.StatisticsFile"), fault.Invalid, name+" must be a date or date-time such as 2026-01-31")
		}
		*to = usage.DayOf(at)
	}
	f, err := c.s.Usage.Report(c.ctx, c.p, span)
	if err != nil {
		return err
	}
	return c.stored(http.StatusCreated, "tenantstatisticsfile", c.base()+"/tenant/statistics/files/"+f.ID, func() ([]byte, error) {
		var o object
		writeStatisticsFile(&o, f)
		return o.b, nil
	})
}

func getStatisticsFile(c *call) error {
	f, r, err := c.s.Usage.ReadFile(c.ctx, c.p, c.r.PathValue("id"))
	return c.sendStatistics(f, r, err)
}

func latestStatisticsFile(c *call) error {
	day, err := c.date("month")
	if err != nil {
		return err
	}
	f, r, err := c.s.Usage.LatestFile(c.ctx, c.p, usage.DayOf(day))
	return c.sendStatistics(f, r, err)
}

// sendStatistics sends the content of a file, which are comma-separated values. c8y: as a stream of bytes.
func (c *call) sendStatistics(f usage.File, r io.ReadCloser, err error) error {
	if err != nil {
		return err
	}
	defer r.Close()
	name := "statistics-" + f.From.Start().Format(time.DateOnly) + "--" + f.To.Start().Format(time.DateOnly) + ".csv"
	c.w.Header().Set("Content-Type", "application/octet-stream")
	c.w.Header().Set("Content-Disposition", "attachment; filename="+strconv.Quote(name))
	c.w.WriteHeader(http.StatusOK)
	if _, err := io.Copy(c.w, r); err != nil {
		return fault.E(fault.Op("c8yrest.StatisticsFile"), fault.Canceled, err)
	}
	return nil
}
