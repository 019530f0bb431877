package c8yrest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// subjects are what one can ask about, by the names of the API's resources.
var subjects = map[string]access.Family{
	"inventory": access.ManagedObject, "binary": access.Binary, "identity": access.Identity, "measurement": access.Measurement, "event": access.Event,
	"alarm": access.Alarm, "operation": access.Operation, "bulkoperation": access.BulkOperation, "audit": access.Audit, "user": access.UserAdmin,
	"currentuser": access.OwnUser, "tenant": access.TenantAdmin, "option": access.Option, "application": access.Application,
}

// level is what an action needs, as the faces ask for it.
func level(action string, f access.Family) (access.Level, bool) {
	own := f == access.ManagedObject || f == access.Binary
	switch {
	case action == "read":
		return access.Read, true
	case action == "create" && (own || f == access.UserAdmin || f == access.TenantAdmin):
		return access.Create, true
	case action == "change" && (own || f == access.UserAdmin || f == access.OwnUser || f == access.TenantAdmin), action == "delete" && own:
		return access.Update, true
	case action == "create" || action == "change" || action == "delete":
		return access.Admin, true
	}
	return 0, false
}

// question reads ?action=&type=&object=&fragments= or the members of the same names.
func (c *call) question(action, typ, object, fragments string) (q access.Question, name string, err error) {
	const op = fault.Op("c8yrest.Explain")
	var ok bool
	if q.Family, ok = subjects[typ]; !ok {
		names := make([]string, 0, len(subjects))
		for n := range subjects {
			names = append(names, n)
		}
		slices.Sort(names)
		return q, "", fault.E(op, fault.Invalid, "type must be one of "+strings.Join(names, ", "))
	}
	if q.Level, ok = level(action, q.Family); !ok {
		return q, "", fault.E(op, fault.Invalid, "action must be one of read, create, change, delete")
	}
	if object == "" {
		return q, "", nil
	}
	id, ok := iot.ParseID(object)
	if !ok {
		return q, "", fault.E(op, fault.NotFound, fault.Subject(object), "there is no managed object with the id "+clip(object))
	}
	src, err := c.s.Registry.Source(c.ctx, c.p.Tenant, id)
	if err != nil {
		return q, "", err
	}
	if src.Binary && q.Family == access.ManagedObject {
		q.Family = access.Binary
	}
	var names []string
	if fragments != "" {
		names = strings.Split(fragments, ",")
	}
	q.Object, err = c.s.Registry.Describe(c.ctx, c.p.Tenant, src, q.Family, names...)
	return q, src.Name, err
}

func (c *call) writeAnswer(o *object, a access.Answer, q access.Question) error {
	o.open()
	o.text("user", string(a.User))
	o.bool("allowed", a.Allowed)
	if a.Disabled {
		o.bool("disabled", true)
	}
	o.some("layer", string(a.Layer))
	if a.Permission != "" {
		o.text("permission", a.Permission)
		o.list("globalRoles")
		for _, name := range a.Holders {
			o.item(iot.AppendText(nil, name))
		}
		o.endList()
	}
	if a.Layer == access.ByGrant {
		o.list("grants")
		for _, g := range a.Grants {
			if err := c.writeGrant(o, g, q.Object.ID); err != nil {
				return err
			}
		}
		o.endList()
	}
	if !a.Allowed {
		o.list("missing")
		for _, m := range a.Missing {
			o.open()
			o.text("kind", string(m.Kind))
			o.text("name", m.Name)
			if m.Extra > 0 {
				o.int("alsoGrants", int64(m.Extra))
			}
			o.close()
		}
		o.endList()
	}
	o.text("text", c.sentence(a))
	o.close()
	return nil
}

// writeGrant writes a grant with the way that it takes from where it was given down to the object.
func (c *call) writeGrant(o *object, g iot.Grant, to iot.ID) error {
	o.open()
	o.some("inventoryRole", g.Role)
	o.some("globalRole", g.ByGroup)
	o.text("scope", string(g.Scope))
	o.text("type", g.Fragment)
	o.text("permission", string(g.Level))
	path, err := c.s.Registry.PathDown(c.ctx, c.p.Tenant, g.Object, to)
	if err != nil {
		return err
	}
	o.list("path")
	for _, id := range path {
		src, err := c.s.Registry.Source(c.ctx, c.p.Tenant, id)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		o.open()
		o.id("id", id)
		o.some("name", src.Name)
		o.close()
	}
	o.endList()
	o.close()
	return nil
}

// sentence says an answer in words.
func (c *call) sentence(a access.Answer) string {
	switch {
	case a.Disabled && a.Allowed:
		return "The account is disabled. If it were not, it could do this."
	case a.Allowed && a.Layer == access.ByPermission && len(a.Holders) > 0:
		return "Yes: " + a.Permission + " through " + strings.Join(a.Holders, ", ") + "."
	case a.Allowed && a.Layer == access.ByPermission:
		return "Yes: " + a.Permission + ", held directly."
	case a.Allowed && a.Layer == access.ByOwnership:
		return "Yes: the user owns the object."
	case a.Allowed && a.Layer == access.ByGlobal:
		return "Yes: the object carries c8y_Global, so that everybody in the tenant may read it."
	case a.Allowed:
		var from []string
		for _, g := range a.Grants {
			name := "the inventory role " + g.Role
			if g.Role == "" {
				name = "a device permission"
			}
			object := g.Object.String()
			if src, err := c.s.Registry.Source(c.ctx, c.p.Tenant, g.Object); err == nil && src.Name != "" {
				object = src.Name
			}
			if text := name + " on " + object; !slices.Contains(from, text) {
				from = append(from, text)
			}
		}
		return "Yes: " + strings.Join(from, ", ") + "."
	case len(a.Missing) == 0:
		return "No."
	}
	m := a.Missing[0]
	switch m.Kind {
	case access.MissingFragments:
		return "No: an inventory role reaches the object, but does not cover " + m.Name + "."
	case access.MissingInventoryRole:
		return "No. Nearest: the inventory role " + m.Name + " on the object or on a group above it."
	case access.MissingGlobalRole:
		return "No. Nearest: the global role " + m.Name + "."
	case access.MissingOwner:
		return "No: only the owner " + m.Name + " may, or who holds the permission."
	}
	return "No. Nearest: the permission " + m.Name + "."
}

// explain answers: may a user do something with an object?
func explain(c *call) error {
	q, name, err := c.question(c.query.Get("action"), c.query.Get("type"), c.query.Get("object"), c.query.Get("fragments"))
	if err != nil {
		return err
	}
	user := iot.UserName(c.query.Get("user"))
	if user == "" {
		user = c.p.User
	}
	a, err := c.s.Users.Explain(c.ctx, c.p, user, q)
	if err != nil {
		return err
	}
	if q.Object.ID != 0 && c.mayReadUsers() != nil {
		// Whoever asks about themselves learns nothing else of an object that they may not see.
		if _, err := c.s.Registry.Check(c.ctx, c.p, q.Object.ID, access.ManagedObject, access.Read); fault.Is(err, fault.Denied) {
			name, q.Object.Owner = "", ""
			a.Missing = slices.DeleteFunc(a.Missing, func(m access.Missing) bool { return m.Kind == access.MissingOwner || m.Kind == access.MissingFragments })
		} else if err != nil {
			return err
		}
	}
	var o object
	o.open()
	c.writeQuestion(&o, q, name)
	o.key("answer")
	if err := c.writeAnswer(&o, a, q); err != nil {
		return err
	}
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

func (c *call) writeQuestion(o *object, q access.Question, name string) {
	o.text("action", c.query.Get("action"))
	o.text("type", c.query.Get("type"))
	if q.Object.ID != 0 {
		o.begin("object")
		o.id("id", q.Object.ID)
		o.some("name", name)
		o.some("owner", string(q.Object.Owner))
		o.close()
	}
}

// whoMay answers: which users may do something with an object?
func whoMay(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	q, _, err := c.question(c.query.Get("action"), c.query.Get("type"), c.query.Get("object"), c.query.Get("fragments"))
	if err != nil {
		return err
	}
	answers, n, err := c.s.Users.WhoMay(c.ctx, c.p, q, p.offset(), p.size)
	if err != nil {
		return err
	}
	p.total = n
	return c.collection("", "answers", p, func(o *object) error {
		for _, a := range answers {
			if err := c.writeAnswer(o, a, q); err != nil {
				return err
			}
		}
		return nil
	})
}

// whatIf answers: what would change if these roles were saved?
func whatIf(c *call) error {
	const op = fault.Op("c8yrest.WhatIf")
	body, err := c.jsonBody()
	if err != nil {
		return err
	}
	var in struct {
		Group *struct {
			ID    int64    `json:"id"`
			Roles []string `json:"roles"`
		} `json:"group"`
		InventoryRole *struct {
			ID          int64           `json:"id"`
			Permissions json.RawMessage `json:"permissions"`
		} `json:"inventoryRole"`
		User *struct {
			UserName    string    `json:"userName"`
			Roles       *[]string `json:"roles"`
			Groups      *[]int64  `json:"groups"`
			Assignments []struct {
				ManagedObject string  `json:"managedObject"`
				Roles         []int64 `json:"roles"`
			} `json:"inventoryAssignments"`
		} `json:"user"`
		Question *struct{ Action, Type, Object, Fragments string } `json:"question"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return fault.E(op, fault.Invalid, "the body must have the form {group:{id,roles}} or {inventoryRole:{id,permissions}} or {user:{userName,roles,groups,inventoryAssignments}}: "+err.Error())
	}
	if in.Group == nil && in.InventoryRole == nil && in.User == nil {
		return missing("group, inventoryRole or user")
	}
	var d access.Draft
	if in.Group != nil {
		d.Group = &access.Group{ID: in.Group.ID, Roles: in.Group.Roles}
	}
	if in.InventoryRole != nil {
		d.InventoryRole = &access.InventoryRole{ID: in.InventoryRole.ID}
		if d.InventoryRole.Permissions, err = scopedPermissions(in.InventoryRole.Permissions); err != nil {
			return err
		}
	}
	if in.User != nil {
		d.User, d.Roles, d.Groups = iot.UserName(in.User.UserName), in.User.Roles, in.User.Groups
		if d.User == "" {
			return missing("user.userName")
		}
		for _, a := range in.User.Assignments {
			id, ok := iot.ParseID(a.ManagedObject)
			if !ok {
				return missing("user.inventoryAssignments.managedObject")
			}
			d.Assignments = append(d.Assignments, access.Assignment{Object: id, Roles: a.Roles})
		}
	}
	var q *access.Question
	if x := in.Question; x != nil {
		asked, _, err := c.question(x.Action, x.Type, x.Object, x.Fragments)
		if err != nil {
			return err
		}
		q = &asked
	}
	effects, n, err := c.s.Users.WhatIf(c.ctx, c.p, d, q)
	if err != nil {
		return err
	}
	return c.effects(effects, n, q)
}

func (c *call) effects(effects []access.Effect, n int, q *access.Question) error {
	var o object
	o.open()
	o.int("affected", int64(n))
	o.list("effects")
	for _, e := range effects {
		o.open()
		o.text("user", string(e.User))
		for _, x := range []struct {
			name string
			list []string
		}{{"gained", e.Gained}, {"lost", e.Lost}} {
			o.list(x.name)
			for _, s := range x.list {
				o.item(iot.AppendText(nil, s))
			}
			o.endList()
		}
		if q != nil {
			o.key("before")
			if err := c.writeAnswer(&o, *e.Before, *q); err != nil {
				return err
			}
			o.key("after")
			if err := c.writeAnswer(&o, *e.After, *q); err != nil {
				return err
			}
		}
		o.close()
	}
	o.endList()
	o.close()
	return c.json(http.StatusOK, "", o.b)
}
