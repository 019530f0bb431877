package c8yrest

import (
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/fault"
)

// page is which part of a collection is asked for.
type page struct {
	size, current   int
	pages, elements bool
	total           int // set by the handler if pages or elements
}

// c8y: the default and the limit of pageSize; larger values are silently cut.
const (
	defaultPage = 5
	maxPage     = 2000
	maxOffset   = 1 << 31
)

func (c *call) page() (page, error) { return c.pageOf(maxPage) }

// pageOf is page with another limit of pageSize.
func (c *call) pageOf(most int) (page, error) {
	p := page{size: defaultPage, current: 1, pages: c.flag("withTotalPages", false), elements: c.flag("withTotalElements", false)}
	for _, f := range []struct {
		name string
		to   *int
	}{{"pageSize", &p.size}, {"currentPage", &p.current}} {
		v := c.query.Get(f.name)
		if v == "" {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return p, fault.E(fault.Op("c8yrest.Page"), fault.Invalid, "the parameter "+f.name+" must be a positive number")
		}
		*f.to = n
	}
	p.current = max(p.current, 1)
	p.size = min(p.size, most)
	if p.size > 0 && p.current > maxOffset/p.size {
		return p, fault.E(fault.Op("c8yrest.Page"), fault.Invalid, "the parameter currentPage is too large")
	}
	return p, nil
}

func (p page) offset() int { return (p.current - 1) * p.size }
func (p page) count() bool { return p.pages || p.elements }

// self returns the link to a page: c8y: pageSize and currentPage come last, in this order.
func (c *call) self(p page, current int) string {
	var b strings.Builder
	b.WriteString(c.base())
	b.WriteString(c.r.URL.EscapedPath())
	b.WriteByte('?')
	for part := range strings.SplitSeq(c.r.URL.RawQuery, "&") {
		name, _, _ := strings.Cut(part, "=")
		if part == "" || name == "pageSize" || name == "currentPage" {
			continue
		}
		b.WriteString(part)
		b.WriteByte('&')
	}
	b.WriteString("pageSize=" + strconv.Itoa(p.size) + "&currentPage=" + strconv.Itoa(current))
	return b.String()
}

// finish writes the members that every collection ends with. c8y: next is there even if this page is the last one, and even if it is the first and
// empty. Behind the end there is none: clients that go from link to link, as the map of the web applications does, would never stop.
func (c *call) finish(o *object, p page, empty bool) {
	o.text("self", c.self(p, p.current))
	if !empty || p.current <= 1 {
		o.text("next", c.self(p, p.current+1))
	}
	if p.current > 1 {
		o.text("prev", c.self(p, p.current-1))
	}
	o.begin("statistics")
	o.int("currentPage", int64(p.current))
	o.int("pageSize", int64(p.size))
	if p.pages {
		n := 0
		if p.size > 0 {
			n = (p.total + p.size - 1) / p.size
		}
		o.int("totalPages", int64(n))
	}
	if p.elements {
		o.int("totalElements", int64(p.total))
	}
	o.close()
}

// collection answers with a page of items under a name.
func (c *call) collection(media, name string, p page, write func(o *object) error) error {
	var o object
	o.open()
	o.list(name)
	before := len(o.b)
	if err := write(&o); err != nil {
		return err
	}
	empty := len(o.b) == before
	o.endList()
	c.finish(&o, p, empty)
	o.close()
	return c.json(200, media, o.b)
}

// cut returns the part of a slice that a page shows, for collections that are kept whole.
func cut[T any](p page, all []T) []T {
	from := min(p.offset(), len(all))
	return all[from:min(from+p.size, len(all))]
}
