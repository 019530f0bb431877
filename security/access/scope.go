package access

import (
	"context"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Scope is which objects of a tenant, or data about which of them, a principal may reach, for use inside a query.
type Scope struct {
	All    bool
	Owner  iot.UserName // the owner's own, if not All; empty: ownership does not count
	Global bool         // and those with c8y_Global
	Grants []iot.Grant  // and what these reach: only grants that allow what the scope is for
	// Binaries and Others are all files, and all objects that are none: permissions of one of the two families do not reach the other.
	Binaries, Others bool
}

// Scope returns which objects (or data about which of them) p may reach. It fails with Denied where only the permission counts.
func (*Policy) Scope(_ context.Context, p iot.Principal, f Family, l Level) (Scope, error) {
	if p.Tenant == "" || p.User == "" {
		return Scope{}, fault.E(fault.Op("access.Scope"), fault.Unauthenticated)
	}
	listed := f
	if f == ManagedObject {
		listed = Inventory
	}
	if global(p, listed, l) != "" {
		return Scope{All: true}, nil
	}
	s := Scope{Global: p.Key == "" && l == Read && f != Identity && f.kind() == iot.ScopeManagedObject}
	if p.Key == "" && f.owned(l) {
		s.Owner = p.User
	}
	if f == ManagedObject { // managed objects are listed with files among them
		s.Others, s.Binaries = p.Has(role(ManagedObject, l)), p.Has(role(Binary, l))
	}
	for _, g := range p.Grants {
		if reaches(g, f, l) {
			s.Grants = append(s.Grants, g)
		}
	}
	if s.Owner == "" && !s.Global && !s.Wide() && len(s.Grants) == 0 {
		return Scope{}, fault.E(fault.Op("access.Scope"), fault.Denied, p.Tenant, fault.Subject(role(f, l)), "Access is denied. The permission "+role(f, l)+" is needed")
	}
	return s, nil
}

// Roots are the objects from which grants reach, each once: those whose grants hold for all below as well, and those that stand alone.
func (s Scope) Roots() (below, alone []iot.ID) {
	for _, g := range s.Grants {
		to := &alone
		if g.Below {
			to = &below
		}
		*to = append(*to, g.Object)
	}
	slices.Sort(below)
	slices.Sort(alone)
	return slices.Compact(below), slices.Compact(alone)
}

// Partial reports whether a grant is for a single fragment, so that an object in reach may still be out of scope.
func (s Scope) Partial() bool {
	return slices.ContainsFunc(s.Grants, func(g iot.Grant) bool { return g.Fragment != iot.AnyFragment })
}

// Whole is what is left of a scope without grants for single fragments: where documents cannot be told by what they hold.
func (s Scope) Whole() Scope {
	s.Grants = slices.DeleteFunc(slices.Clone(s.Grants), func(g iot.Grant) bool { return g.Fragment != iot.AnyFragment })
	return s
}

// Wide reports whether a permission opens a part of the objects, however many they are.
func (s Scope) Wide() bool { return s.All || s.Binaries || s.Others }

// SQL returns the condition on the managed object whose tenant and id are in the given columns, with its arguments. doc is the column with the
// document whose fragments the grants must cover; empty: the object's own. It and object_above are all that others than the registry know of
// its tables.
func (s Scope) SQL(d sqlkit.Dialect, tenantColumn, idColumn, doc string) (string, []any) {
	if s.All {
		return "1=1", nil
	}
	var own, reach condition
	if s.Owner != "" {
		own.or("scope.owner = ?", string(s.Owner))
	}
	if s.Global {
		own.or("scope.is_global = 1")
	}
	const file = "EXISTS (SELECT 1 FROM object_fragment file WHERE file.tenant = scope.tenant AND file.fragment = 'c8y_IsBinary' AND file.id = scope.id)"
	if s.Binaries {
		own.or(file)
	}
	if s.Others {
		own.or("NOT " + file)
	}
	if doc == "" {
		s.reach(d, &own, "scope.tenant", "scope.id", "scope.doc")
	} else {
		s.reach(d, &reach, tenantColumn, idColumn, doc)
	}
	if len(own.any) > 0 {
		text, args := own.text()
		reach.or("EXISTS (SELECT 1 FROM managed_object scope WHERE scope.tenant = "+tenantColumn+" AND scope.id = "+idColumn+" AND "+text+")", args...)
	}
	return reach.text()
}

// reach adds what the grants allow.
func (s Scope) reach(d sqlkit.Dialect, c *condition, tenant, id, doc string) {
	byFragment := map[string]*Scope{}
	var names []string
	for _, g := range s.Grants {
		if byFragment[g.Fragment] == nil {
			byFragment[g.Fragment] = &Scope{}
			names = append(names, g.Fragment)
		}
		byFragment[g.Fragment].Grants = append(byFragment[g.Fragment].Grants, g)
	}
	slices.Sort(names)
	var covered condition
	for _, name := range names {
		below, alone := byFragment[name].Roots()
		var here condition
		if len(below) > 0 {
			cond, arg := sqlkit.AnyID(d, "above.ancestor", below)
			here.or("EXISTS (SELECT 1 FROM object_above above WHERE above.tenant = "+tenant+" AND above.id = "+id+" AND "+cond+")", arg)
		}
		if len(alone) > 0 {
			cond, arg := sqlkit.AnyID(d, id, alone)
			here.or(cond, arg)
		}
		text, args := here.text()
		if name == iot.AnyFragment {
			c.or(text, args...)
		} else {
			covered.or("(f.name = ? AND "+text+")", append([]any{name}, args...)...)
		}
	}
	if len(covered.any) == 0 {
		return
	}
	// An object is in scope if it has a custom fragment, and none that is not covered.
	custom := "(SELECT key AS name FROM json_each(" + doc + "))"
	if d == sqlkit.Postgres {
		custom = "(SELECT jsonb_object_keys(CAST(" + doc + " AS JSONB)) AS name)"
	}
	skip := sqlkit.In(len(unremarkable))
	var skipArgs []any
	for _, name := range unremarkable {
		skipArgs = append(skipArgs, name)
	}
	text, args := covered.text()
	args = slices.Concat(skipArgs, skipArgs, args)
	c.or("(EXISTS (SELECT 1 FROM "+custom+" f WHERE f.name NOT IN "+skip+") AND NOT EXISTS (SELECT 1 FROM "+custom+" f WHERE f.name NOT IN "+skip+" AND NOT "+text+"))", args...)
}

// condition joins alternatives.
type condition struct {
	any  []string
	args []any
}

func (c *condition) or(text string, args ...any) {
	c.any = append(c.any, text)
	c.args = append(c.args, args...)
}

func (c *condition) text() (string, []any) {
	if len(c.any) == 0 {
		return "1=0", nil
	}
	return "(" + strings.Join(c.any, " OR ") + ")", c.args
}
