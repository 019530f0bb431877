package c8yrest

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
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
		if _, err := c.s.Changes.NameSet(c.ctx, c.p, id, reason); err != nil {
			return err
		}
		c.w.Header().Set(setHeader, id)
	}
	c.ctx = sqlkit.InChangeSet(c.ctx, id)
	return nil
}

// listChangeSets lists who changed what, when and why, the latest first.
func listChangeSets(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	q := changes.Query{By: c.query.Get("author"), Object: c.idParam("source"), Offset: p.offset(), Limit: p.size, Count: p.count()}
	for _, list := range c.query["kind"] {
		for name := range strings.SplitSeq(list, ",") {
			q.Kinds = append(q.Kinds, iot.Kind(name))
		}
	}
	if q.From, q.To, err = c.span("dateFrom", "dateTo"); err != nil {
		return err
	}
	sets, n, err := c.s.Changes.ChangeSets(c.ctx, c.p, q)
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

func (c *call) writeSet(o *object, s changes.Summary) {
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
	s, all, err := c.s.Changes.ChangeSet(c.ctx, c.p, c.r.PathValue("set"))
	if err != nil {
		return err
	}
	p.total = len(all)
	var o object
	o.open()
	c.writeSet(&o, s)
	if err := c.writeChanges(&o, cut(p, all)); err != nil {
		return err
	}
	o.begin("statistics")
	o.int("currentPage", int64(p.current))
	o.int("pageSize", int64(p.size))
	o.int("totalElements", int64(p.total))
	o.close()
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

// versions write what a change made of a document, by its kind: raw is the version as the change log keeps it.
var versions = map[iot.Kind]func(c *call, o *object, x changes.Change, raw json.RawMessage) error{
	iot.KindManagedObject: func(c *call, o *object, _ changes.Change, raw json.RawMessage) error {
		return version(raw, func(mo *iot.ManagedObject) { writeObject(o, c.base(), registry.Object{ManagedObject: *mo}, refs{}) })
	},
	iot.KindRelation: func(c *call, o *object, x changes.Change, _ json.RawMessage) error {
		id, err := registry.ParseRelationID(x.ID)
		if err != nil {
			return err
		}
		o.open()
		o.id("parent", id.Parent)
		o.text("kind", id.Kind.String())
		o.id("child", id.Child)
		o.text("self", objectURL(c.base(), id.Parent)+"/"+id.Kind.String()+"/"+id.Child.String())
		o.close()
		return nil
	},
	iot.KindOption: func(c *call, o *object, x changes.Change, raw json.RawMessage) error {
		return version(raw, func(value *string) {
			c.writeOption(o, tenancy.Option{OptionKey: tenancy.ParseLogID(x.ID), Value: *value})
		})
	},
	iot.KindAlarm: func(c *call, o *object, _ changes.Change, raw json.RawMessage) error {
		return version(raw, func(a *iot.Alarm) { writeAlarm(o, c.base(), a, c.name(a.Source)) })
	},
	iot.KindEvent: func(c *call, o *object, _ changes.Change, raw json.RawMessage) error {
		return version(raw, func(e *iot.Event) { writeEvent(o, c.base(), e, c.name(e.Source)) })
	},
	iot.KindOperation: func(c *call, o *object, _ changes.Change, raw json.RawMessage) error {
		return version(raw, func(op *iot.Operation) { writeOperation(o, c.base(), op, c.name(op.Device), "", nil) })
	},
}

func version[D any](raw json.RawMessage, write func(*D)) error {
	d, err := changes.Decode[D](raw)
	if err == nil {
		write(d)
	}
	return err
}

func (c *call) writeChanges(o *object, all []changes.Change) error {
	o.list("changes")
	for _, x := range all {
		o.open()
		o.text("kind", string(x.Kind))
		o.text("id", x.ID)
		if x.Object != 0 {
			o.begin("source")
			o.id("id", x.Object)
			o.text("self", objectURL(c.base(), x.Object))
			o.close()
		}
		o.text("action", string(x.Action))
		o.time("time", x.At)
		o.text("author", x.By)
		if x.Withheld {
			o.bool("withheld", true)
		}
		for _, v := range []struct {
			name string
			raw  json.RawMessage
		}{{"before", x.Before}, {"after", x.After}} {
			if v.raw == nil {
				continue
			}
			write, ok := versions[x.Kind]
			if !ok {
				return fault.Errorf("c8yrest.Changes", fault.Internal, "changes of the kind %s cannot be shown", x.Kind)
			}
			o.key(v.name)
			if err := write(c, o, x, v.raw); err != nil {
				return err
			}
		}
		o.close()
	}
	o.endList()
	return nil
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
	rev, done, err := c.s.Changes.Undo(c.ctx, c.p, c.r.PathValue("set"), reason)
	if err != nil {
		return err
	}
	var o object
	o.open()
	c.writeSet(&o, changes.Summary{ChangeSet: sqlkit.ChangeSet{ID: rev.Set, At: rev.At, By: rev.By, Reason: reason, Undoes: c.r.PathValue("set")}, Changes: len(done)})
	if err := c.writeChanges(&o, done); err != nil {
		return err
	}
	o.close()
	return c.json(http.StatusOK, "", o.b)
}
