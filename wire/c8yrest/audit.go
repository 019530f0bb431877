package c8yrest

import (
	"encoding/json"
	"net/http"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/security/audit"
)

var auditMembers = append([]string{"activity", "user", "application", "severity", "changes"}, eventMembers...)

func (c *call) writeAudit(o *object, r iot.AuditRecord) {
	o.open()
	o.id("id", r.ID)
	o.text("self", c.base()+"/audit/auditRecords/"+r.ID.String())
	o.text("type", r.Type)
	o.text("activity", r.Activity)
	o.text("text", r.Text)
	o.some("user", string(r.User))
	o.some("application", r.Application)
	o.text("severity", r.Severity)
	o.time("time", r.Time)
	o.time("creationTime", r.CreationTime)
	if r.Source != 0 {
		writeSource(o, c.base(), r.Source, "")
	}
	o.list("changes")
	for _, ch := range r.Changes {
		b, err := json.Marshal(ch)
		if err == nil {
			o.item(b)
		}
	}
	o.endList()
	o.members(r.Fragments)
	o.close()
}

func listAudit(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	q := audit.Query{Source: c.idParam("source"), Type: c.query.Get("type"), User: c.query.Get("user"), Application: c.query.Get("application"),
		Ascending: !c.flag("revert", true), // c8y: newest first, which the page of the log asks for with revert=true
		Offset:    p.offset(), Limit: p.size}
	if q.From, q.To, err = c.span("dateFrom", "dateTo"); err != nil {
		return err
	}
	records, n, err := c.s.Audit.List(c.ctx, c.p, q)
	if err != nil {
		return err
	}
	p.total = n
	return c.collection("auditrecordcollection", "auditRecords", p, func(o *object) error {
		for _, r := range records {
			c.writeAudit(o, r)
		}
		return nil
	})
}

func getAudit(c *call) error {
	id, err := c.id("id", "auditRecord")
	if err != nil {
		return err
	}
	r, err := c.s.Audit.Get(c.ctx, c.p, id, func(source iot.ID, fragments []string) access.Object {
		src, err := c.s.Registry.Source(c.ctx, c.p.Tenant, source)
		if err != nil { // c8y: of what is no managed object, such as an alarm or an operation, only the permission decides
			return access.Object{}
		}
		o, err := c.s.Registry.Subject(c.ctx, c.p, src, access.Audit, fragments...)
		if err != nil {
			return access.Object{}
		}
		return o
	})
	if err != nil {
		return err
	}
	var o object
	c.writeAudit(&o, r)
	return c.json(http.StatusOK, "auditrecord", o.b)
}

// auditSource reads the source of a record, if it has one, and describes it to the policy.
func (c *call) auditSource(d iot.Doc, r *iot.AuditRecord) (subject access.Object, err error) {
	raw := d.Get("source")
	if raw == nil {
		return subject, nil
	}
	if r.Source, err = sourceID(raw); err != nil {
		return subject, err
	}
	src, err := c.s.Registry.Source(c.ctx, c.p.Tenant, r.Source)
	if err != nil {
		return subject, err
	}
	return c.s.Registry.Subject(c.ctx, c.p, src, access.Audit, access.Names(c.p, r.Fragments)...)
}

func createAudit(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	var r iot.AuditRecord
	var user string
	if err := textsOf(d, field{"type", &r.Type}, field{"activity", &r.Activity}, field{"text", &r.Text}, field{"application", &r.Application},
		field{"severity", &r.Severity}, field{"user", &user}); err != nil {
		return err
	}
	r.User = iot.UserName(user) // c8y: filled in only if it is absent
	if raw := d.Get("time"); raw != nil {
		if r.Time, err = timeOf("time", raw); err != nil {
			return err
		}
	}
	r.Fragments = d.Without(auditMembers...).WithoutNulls()
	subject, err := c.auditSource(d, &r)
	if err != nil {
		return err
	}
	if raw := d.Get("changes"); raw != nil {
		if err := json.Unmarshal(raw, &r.Changes); err != nil {
			return missing("changes")
		}
	}
	if r, err = c.s.Audit.Create(c.ctx, c.p, r, subject); err != nil {
		return err
	}
	return c.stored(http.StatusCreated, "auditrecord", c.base()+"/audit/auditRecords/"+r.ID.String(), func() ([]byte, error) {
		var o object
		c.writeAudit(&o, r)
		return o.b, nil
	})
}
