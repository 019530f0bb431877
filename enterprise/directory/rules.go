package directory

import (
	"slices"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// Mapping gives rights to whom its condition applies. The names of members are those of the API.
type Mapping struct {
	ID             string          `json:"id,omitempty"`
	When           Predicate       `json:"when"`
	Groups         []int64         `json:"thenGroups,omitempty"` // ids of global roles
	Applications   []int64         `json:"thenApplications,omitempty"`
	InventoryRoles []InventoryRole `json:"thenInventoryRoles,omitempty"`
}

// InventoryRole gives inventory roles on one object and what is below.
type InventoryRole struct {
	Object Text    `json:"managedObject"`
	Roles  []int64 `json:"roleIds"`
}

// Configuration says when rights change.
type Configuration struct {
	OnlyNew     bool `json:"mapRolesOnlyForNewUser,omitempty"`
	ManagedOnly bool `json:"manageRolesOnlyFromAccessMapping,omitempty"`
	FromIDToken bool `json:"mapFromIdToken,omitempty"`
}

// Rules are all mappings of a login option (onNewUser.dynamicMapping).
type Rules struct {
	Configuration Configuration `json:"configuration,omitzero"`
	Mappings      []Mapping     `json:"mappings,omitempty"`
	Inventory     []Mapping     `json:"inventoryMappings,omitempty"`
}

const (
	maxMappings = 200
	maxGiven    = 100 // groups, or objects, of one mapping
)

// Check refuses rules that could not be evaluated.
func (r *Rules) Check() error {
	const op = fault.Op("directory.Rules")
	if len(r.Mappings)+len(r.Inventory) > maxMappings {
		return fault.Errorf(op, fault.Invalid, "there may be at most %d access mappings", maxMappings)
	}
	for _, m := range slices.Concat(r.Mappings, r.Inventory) {
		if err := m.When.check(1, new(int)); err != nil {
			return err
		}
		if err := CheckGiven(m.Groups, m.InventoryRoles); err != nil {
			return err
		}
		if len(m.Applications) > 0 {
			return fault.E(op, fault.Invalid, "thenApplications is not offered here: applications are open to everybody who may log in")
		}
	}
	return nil
}

// CheckGiven checks what a rule gives.
func CheckGiven(groups []int64, roles []InventoryRole) error {
	const op = fault.Op("directory.Rules")
	if len(groups) > maxGiven || len(roles) > maxGiven {
		return fault.Errorf(op, fault.Invalid, "a mapping may give at most %d groups, and inventory roles on at most %d objects", maxGiven, maxGiven)
	}
	for _, x := range roles {
		if _, ok := iot.ParseID(string(x.Object)); !ok || len(x.Roles) == 0 || len(x.Roles) > maxGiven {
			return fault.E(op, fault.Invalid, "each of thenInventoryRoles needs managedObject, the id of an object, and roleIds")
		}
	}
	return nil
}

// Result is what rules give.
type Result struct {
	Matched bool
	Groups  []int64
	Roles   map[iot.ID][]int64
}

// Give adds what one rule gives.
func (r *Result) Give(groups []int64, roles []InventoryRole) {
	r.Groups = append(r.Groups, groups...)
	for _, x := range roles {
		if id, ok := iot.ParseID(string(x.Object)); ok {
			if r.Roles == nil {
				r.Roles = map[iot.ID][]int64{}
			}
			r.Roles[id] = compact(append(r.Roles[id], x.Roles...))
		}
	}
	r.Groups = compact(r.Groups)
}

func compact(ids []int64) []int64 {
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Evaluate applies the rules to claims. It does no I/O.
func (r *Rules) Evaluate(c Claims) (out Result) {
	for _, m := range slices.Concat(r.Mappings, r.Inventory) {
		if m.When.holds(c, 1) {
			out.Matched = true
			out.Give(m.Groups, m.InventoryRoles)
		}
	}
	return out
}

// All returns everything that any rule can give.
func (r *Rules) All() (out Result) {
	for _, m := range slices.Concat(r.Mappings, r.Inventory) {
		out.Give(m.Groups, m.InventoryRoles)
	}
	return out
}

// Provision is what access is to make of an identity.
func (c Configuration) Provision(id access.ExternalIdentity, given, all Result) access.Provision {
	id.Groups = given.Groups
	return access.Provision{Identity: id, Matched: given.Matched, OnlyNew: c.OnlyNew, Partial: c.ManagedOnly, Managed: all.Groups, Roles: given.Roles, ManagedRoles: all.Roles}
}
