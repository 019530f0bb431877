package c8yrest

import (
	"net/http"

	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
)

// The headers with which a client says what a change belongs to, and why it is made. The answer names the change set.
const (
	setHeader    = "X-Isobar-Change-Set"
	reasonHeader = "X-Isobar-Reason"
)

func changeRoutes() []Route {
	const set = "/isobar/changes/{set}"
	return []Route{get("/isobar/changes", listChangeSets), get(set, getChangeSet), post(set+"/undo", undoChangeSet)}
}

// joinChangeSet puts what a request changes into one change set: that which the client names, or one of its own.
func (c *call) joinChangeSet() error {
	if c.r.Method == http.MethodGet || c.r.Method == http.MethodHead || c.route.Access == Public {
		return nil
	}
	id, reason := c.r.Header.Get(setHeader), c.r.Header.Get(reasonHeader)
	named := id != "" || reason != ""
	if id == "" {
		id = sqlkit.NewSetID()
	}
	if named {
		if _, err := c.s.Registry.NameSet(c.ctx, c.p, id, reason); err != nil {
			return err
		}
		c.w.Header().Set(setHeader, id)
	}
	c.ctx = sqlkit.InChangeSet(c.ctx, id)
	return nil
}

// listChangeSets lists who changed managed objects, when and why, the latest first.
func listChangeSets(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	q := registry.SetQuery{By: c.query.Get("author"), Object: c.idParam("source"), Offset: p.offset(), Limit: p.size, Count: p.count()}
	if q.From, q.To, err = c.span("dateFrom", "dateTo"); err != nil {
		return err
	}
	sets, n, err := c.s.Registry.ChangeSets(c.ctx, c.p, q)
	if err != nil {
		return err
	}
	p.total = n
	return c.collection("", "changeSets", p, func(o *object) error {
		for _, s := range sets {
			o.open()
			c.writeSet(o, s)
			o.close()
		}
		return nil
	})
}

func (c *call) writeSet(o *object, s registry.SetSummary) {
	o.text("id", s.ID)
	o.text("self", c.base()+"/isobar/changes/"+s.ID)
	o.time("time", s.At)
	o.text("author", s.By)
	o.int("count", int64(s.Changes))
	if s.Reason != "" {
		o.text("reason", s.Reason)
	}
	if s.Undoes != "" {
		o.text("undoes", s.Undoes)
	}
}

func getChangeSet(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	s, changes, err := c.s.Registry.ChangeSet(c.ctx, c.p, c.r.PathValue("set"))
	if err != nil {
		return err
	}
	p.total = len(changes)
	var o object
	o.open()
	c.writeSet(&o, s)
	c.writeChanges(&o, cut(p, changes))
	o.begin("statistics")
	o.int("currentPage", int64(p.current))
	o.int("pageSize", int64(p.size))
	o.int("totalElements", int64(p.total))
	o.close()
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

func (c *call) writeChanges(o *object, changes []registry.ObjectChange) {
	o.list("changes")
	for _, x := range changes {
		o.open()
		o.begin("source")
		o.id("id", x.Object)
		o.text("self", objectURL(c.base(), x.Object))
		o.close()
		o.text("action", string(x.Action))
		o.time("time", x.At)
		o.text("author", x.By)
		if x.Withheld {
			o.bool("withheld", true)
		}
		if x.Before != nil {
			o.key("before")
			writeObject(o, c.base(), registry.Object{ManagedObject: *x.Before}, refs{})
		}
		if x.After != nil {
			o.key("after")
			writeObject(o, c.base(), registry.Object{ManagedObject: *x.After}, refs{})
		}
		o.close()
	}
	o.endList()
}

// undoChangeSet takes back a change set, all or nothing. The body may hold the reason.
func undoChangeSet(c *call) error {
	reason := c.r.Header.Get(reasonHeader)
	b, err := c.jsonBody()
	if err != nil {
		return err
	}
	if len(b) > 0 {
		d, err := parseDoc(b)
		if err != nil {
			return err
		}
		text, err := textOf(d, "reason")
		if err != nil {
			return err
		}
		if text != nil {
			reason = *text
		}
	}
	rev, changes, err := c.s.Registry.Undo(c.ctx, c.p, c.r.PathValue("set"), reason)
	if err != nil {
		return err
	}
	var o object
	o.open()
	c.writeSet(&o, registry.SetSummary{ChangeSet: sqlkit.ChangeSet{ID: rev.Set, At: rev.At, By: rev.By, Reason: reason, Undoes: c.r.PathValue("set")}, Changes: len(changes)})
	c.writeChanges(&o, changes)
	o.close()
	return c.json(http.StatusOK, "", o.b)
}
