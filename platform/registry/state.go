package registry

import (
	"context"
	"slices"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/access"
)

// The values of State.Availability and State.Connection.
const (
	Available    = "AVAILABLE"
	Unavailable  = "UNAVAILABLE"
	Maintenance  = "MAINTENANCE"
	Connected    = "CONNECTED"
	Disconnected = "DISCONNECTED"
)

// Touch records signs of life of objects and publishes those whose availability or connection changed, or that ask for it. It acts for the platform.
func (r *Registry) Touch(ctx context.Context, t iot.TenantID, touches map[iot.ID]Touch) error {
	if err := r.d.Store.Touch(ctx, t, touches); err != nil {
		return classify("registry.Touch", err)
	}
	for id, touch := range touches {
		if touch.Announce || touch.Availability != "" || touch.Connection != "" {
			r.touched(ctx, iot.System(t), id)
		}
	}
	return nil
}

// SetAlarms records the counters of active alarms of an object and publishes it. It acts for the platform.
func (r *Registry) SetAlarms(ctx context.Context, t iot.TenantID, id iot.ID, c Counters) error {
	if err := r.d.Store.SetAlarms(ctx, t, id, c); err != nil {
		return classify("registry.SetAlarms", err)
	}
	r.touched(ctx, iot.System(t), id)
	return nil
}

// Overdue returns the monitored objects of a tenant that were not heard of in time. It acts for the platform.
func (r *Registry) Overdue(ctx context.Context, t iot.TenantID, now time.Time) ([]iot.ID, error) {
	ids, err := r.d.Store.Overdue(ctx, t, now)
	return ids, classify("registry.Overdue", err)
}

// Check decides about an object, or about data about it: a fault of kind NotFound if there is none, Denied if p may not. fragments are those of
// the data, see access.Names; none means all there could be. For an object itself they are looked up.
func (r *Registry) Check(ctx context.Context, p iot.Principal, id iot.ID, f access.Family, l access.Level, fragments ...string) (Source, error) {
	s, err := r.Source(ctx, p.Tenant, id)
	if err != nil {
		return s, err
	}
	o, err := r.Subject(ctx, p, s, f, fragments...)
	if err != nil {
		return s, err
	}
	if s.Binary && f == access.ManagedObject {
		f = access.Binary
	}
	return s, r.d.Policy.Check(ctx, p, f, l, o)
}

// Subject returns a source as the policy must see it to decide whether p may do something with it or with data about it, as in Check. It
// makes no decision.
func (r *Registry) Subject(ctx context.Context, p iot.Principal, s Source, f access.Family, fragments ...string) (access.Object, error) {
	if len(p.Grants) == 0 {
		return r.place(ctx, p, s, nil)
	}
	return r.Describe(ctx, p.Tenant, s, f, fragments...)
}

// Describe is Subject for whoever, for explanations.
func (r *Registry) Describe(ctx context.Context, t iot.TenantID, s Source, f access.Family, fragments ...string) (access.Object, error) {
	if f.OfObject() {
		objects, err := r.d.Store.Get(ctx, t, s.ID)
		if err != nil {
			return access.Object{}, classify("registry.Check", err)
		}
		if len(objects) == 0 {
			return access.Object{}, notFound("registry.Check", s.ID)
		}
		fragments = access.CustomFragments(objects[0].Fragments)
	}
	return r.whole(ctx, t, s, fragments)
}

// PathDown returns the shortest way from an object to one below it, with both; nil if there is none. It makes no decision.
func (r *Registry) PathDown(ctx context.Context, t iot.TenantID, from, to iot.ID) ([]iot.ID, error) {
	below := map[iot.ID]iot.ID{to: 0} // of each object above to: the next one on the way down
	for level := []iot.ID{to}; len(level) > 0; {
		if slices.Contains(level, from) {
			var path []iot.ID
			for id := from; id != 0; id = below[id] {
				path = append(path, id)
			}
			return path, nil
		}
		relations, err := r.d.Store.Neighbours(ctx, t, level, true)
		if err != nil {
			return nil, classify("registry.PathDown", err)
		}
		level = nil
		for _, x := range relations {
			if _, seen := below[x.Parent]; !seen {
				below[x.Parent] = x.Child
				level = append(level, x.Parent)
			}
		}
	}
	return nil, nil
}

// Readable returns of which objects p may read data of a family, and their ids if they are no more than limit; nil otherwise. It fails with
// Denied if there can be none: without the permission, without any object that p owns, and without a grant for such data.
func (r *Registry) Readable(ctx context.Context, p iot.Principal, f access.Family, limit int) (access.Scope, []iot.ID, error) {
	scope, err := r.d.Policy.Scope(ctx, p, f, access.Read)
	if err != nil || scope.All {
		return scope, nil, err
	}
	ids, complete, err := r.Reach(ctx, p.Tenant, scope, limit)
	switch {
	case err != nil || !complete:
		return scope, nil, err
	case len(ids) == 0 && !f.Granted(p):
		return scope, nil, r.d.Policy.Check(ctx, p, f, access.Read, access.Object{})
	case ids == nil:
		ids = []iot.ID{}
	}
	return scope, ids, nil
}

// Reach returns the ids of all objects in scope if they are no more than limit. It makes no decision.
func (r *Registry) Reach(ctx context.Context, t iot.TenantID, scope access.Scope, limit int) (ids []iot.ID, complete bool, err error) {
	ids, complete, err = r.d.Store.Reach(ctx, t, scope, limit)
	return ids, complete, classify("registry.Reach", err)
}
