package c8yrest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/retention"
	"github.com/isobar-iot/isobar/iot"
)

func retentionRoutes() []Route {
	const r = "/retention/retentions"
	return []Route{get(r, listRetentionRules), post(r, createRetentionRule), get(r+"/{id}", getRetentionRule), put(r+"/{id}", putRetentionRule), del(r+"/{id}", deleteRetentionRule),
		get("/isobar/retention/preview", previewRetention),
		post("/isobar/retention/run", startRetention), get("/isobar/retention/run", retentionStatus)}
}

func (c *call) writeRetentionRule(o *object, r retention.Rule) {
	o.open()
	o.id("id", r.ID)
	o.text("self", c.base()+"/retention/retentions/"+r.ID.String())
	o.text("dataType", string(r.DataType))
	o.text("fragmentType", r.FragmentType)
	o.text("type", r.Type)
	o.text("source", r.Source)
	o.int("maximumAge", int64(r.MaximumAge))
	o.bool("editable", r.Editable)
	o.close()
}

func (c *call) retentionRule(r retention.Rule) func() ([]byte, error) {
	return func() ([]byte, error) {
		var o object
		c.writeRetentionRule(&o, r)
		return o.b, nil
	}
}

func listRetentionRules(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	rules, err := c.s.Retention.List(c.ctx, c.p)
	if err != nil {
		return err
	}
	p.total = len(rules)
	return c.collection("retentionrulecollection", "retentionRules", p, func(o *object) error {
		for _, r := range cut(p, rules) {
			c.writeRetentionRule(o, r)
		}
		return nil
	})
}

// retentionPatch reads what a body says of a rule; other members are ignored.
func (c *call) retentionPatch() (x retention.Patch, err error) {
	d, err := c.doc()
	if err != nil {
		return x, err
	}
	for name, to := range map[string]**string{"dataType": &x.DataType, "fragmentType": &x.FragmentType, "type": &x.Type, "source": &x.Source} {
		if *to, err = textOf(d, name); err != nil {
			return x, err
		}
		if *to != nil && **to == "" {
			return x, fault.E(fault.Op("c8yrest.Retention"), fault.Invalid, fault.Subject(name), name+" must not be empty: leave it out, or give * for all")
		}
	}
	if raw := d.Get("maximumAge"); raw != nil && !iot.IsNull(raw) {
		n, err := strconv.Atoi(string(raw))
		if err != nil {
			return x, fault.E(fault.Op("c8yrest.Retention"), fault.Invalid, "maximumAge must be a whole number of days")
		}
		x.MaximumAge = &n
	}
	if raw := d.Get("editable"); raw != nil && !iot.IsNull(raw) {
		b, err := boolOf(d, "editable")
		if err != nil {
			return x, err
		}
		x.Editable = &b
	}
	return x, nil
}

func createRetentionRule(c *call) error {
	x, err := c.retentionPatch()
	if err != nil {
		return err
	}
	if x.MaximumAge == nil {
		return missing("maximumAge")
	}
	r, err := c.s.Retention.Create(c.ctx, c.p, x)
	if err != nil {
		return err
	}
	return c.stored(http.StatusCreated, "retentionrule", c.base()+"/retention/retentions/"+r.ID.String(), c.retentionRule(r))
}

func getRetentionRule(c *call) error {
	id, err := c.id("id", "retention rule")
	if err != nil {
		return err
	}
	r, err := c.s.Retention.Get(c.ctx, c.p, id)
	if err != nil {
		return err
	}
	b, err := c.retentionRule(r)()
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, "retentionrule", b)
}

func putRetentionRule(c *call) error {
	id, err := c.id("id", "retention rule")
	if err != nil {
		return err
	}
	x, err := c.retentionPatch()
	if err != nil {
		return err
	}
	r, err := c.s.Retention.Update(c.ctx, c.p, id, x)
	if err != nil {
		return err
	}
	return c.stored(http.StatusOK, "retentionrule", "", c.retentionRule(r))
}

func deleteRetentionRule(c *call) error {
	id, err := c.id("id", "retention rule")
	if err != nil {
		return err
	}
	if err := c.s.Retention.Delete(c.ctx, c.p, id); err != nil {
		return err
	}
	return c.noContent()
}

func previewRetention(c *call) error {
	found, err := c.s.Retention.Preview(c.ctx, c.p)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.text("semantics", string(found.Semantics))
	o.list("preview")
	for _, f := range found.Forecasts {
		o.open()
		o.id("rule", f.Rule.ID)
		o.text("dataType", string(f.DataType))
		if !f.Before.IsZero() {
			o.time("before", f.Before)
		}
		o.int("documents", f.Documents)
		o.int("devices", f.Devices)
		o.int("bytes", f.Bytes)
		o.bool("more", f.More)
		o.close()
	}
	o.endList()
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

func startRetention(c *call) error {
	st, err := c.s.Retention.Start(c.ctx, c.p)
	if err != nil {
		return err
	}
	return c.retentionRun(http.StatusAccepted, st)
}

func retentionStatus(c *call) error {
	st, err := c.s.Retention.Status(c.ctx, c.p)
	if err != nil {
		return err
	}
	return c.retentionRun(http.StatusOK, st)
}

// retentionState names a status in one word.
func retentionState(st retention.Status) string {
	switch p := st.Progress; {
	case st.Running():
		return "RUNNING"
	case st.Waits:
		return "WAITING"
	case st.Interrupted:
		return "INTERRUPTED"
	case p.Began.IsZero():
		return "NEVER"
	case p.Failed != "":
		return "FAILED"
	}
	return "COMPLETED"
}

func (c *call) retentionRun(status int, st retention.Status) error {
	p := st.Progress
	var o object
	o.open()
	o.text("state", retentionState(st))
	o.text("semantics", string(st.Semantics))
	if !p.Began.IsZero() {
		o.time("startTime", p.Began)
	}
	if !p.Ended.IsZero() {
		o.time("endTime", p.Ended)
	}
	o.some("user", string(p.By))
	o.some("runSemantics", string(p.Semantics))
	o.int("steps", int64(p.Steps))
	o.int("stepsDone", int64(p.Done))
	o.begin("removed")
	for _, d := range slices.Sorted(maps.Keys(p.Removed)) {
		o.int(string(d), p.Removed[d])
	}
	o.close()
	o.some("failure", p.Failed)
	o.close()
	return c.json(status, "", o.b)
}
