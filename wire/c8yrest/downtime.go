package c8yrest

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
)

// downtimeRoutes: c8y: the page on availability of the web application for devices asks for them; times are in seconds.
func downtimeRoutes() []Route {
	const r = "/alarm/alarms/reports/downtimeDuration"
	return []Route{get(r, listDowntime), get(r+"/aggregation", sumDowntime), get(r+"/{id}", deviceDowntime)}
}

func (c *call) downtime(source iot.ID) (map[iot.ID]time.Duration, error) {
	from, to, err := c.span("dateFrom", "dateTo")
	if err != nil {
		return nil, err
	}
	return c.s.Telemetry.Downtime(c.ctx, c.p, source, from, to)
}

// eachDevice calls fn for all devices that the caller may read: for who may read alarms only, for those that were down.
func (c *call) eachDevice(down map[iot.ID]time.Duration, fn func(id iot.ID)) error {
	q := registry.Query{Fragment: "c8y_IsDevice", Limit: maxPage}
	for {
		found, _, err := c.s.Registry.List(c.ctx, c.p, q)
		if fault.Is(err, fault.Denied) {
			for _, id := range slices.Sorted(maps.Keys(down)) {
				fn(id)
			}
			return nil
		}
		if err != nil {
			return err
		}
		for i := range found {
			fn(found[i].ID)
		}
		if len(found) < q.Limit {
			return nil
		}
		q.Offset += len(found)
	}
}

func seconds(d time.Duration) int64 { return int64(d.Round(time.Second) / time.Second) }

func listDowntime(c *call) error {
	down, err := c.downtime(0)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.list("availabilityStats")
	err = c.eachDevice(down, func(id iot.ID) {
		o.open()
		o.id("source", id)
		o.int("downtimeDuration", seconds(down[id]))
		o.close()
	})
	if err != nil {
		return err
	}
	o.endList()
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

func sumDowntime(c *call) error {
	down, err := c.downtime(0)
	if err != nil {
		return err
	}
	devices, sum := int64(0), time.Duration(0)
	if err := c.eachDevice(down, func(id iot.ID) { devices++; sum += down[id] }); err != nil {
		return err
	}
	var o object
	o.open()
	o.int("deviceCount", devices)
	o.int("downtimeDuration", seconds(sum))
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

func deviceDowntime(c *call) error {
	id, err := c.id("id", "managedObject")
	if err != nil {
		return err
	}
	down, err := c.downtime(id)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.id("source", id)
	o.int("downtimeDuration", seconds(down[id]))
	o.close()
	return c.json(http.StatusOK, "", o.b)
}
