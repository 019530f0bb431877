package registry

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/fault"
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

// AsOf returns an object as it was at a time.
func (r *Registry) AsOf(ctx context.Context, p iot.Principal, id iot.ID, at time.Time) (iot.ManagedObject, error) {
	const op = fault.Op("registry.AsOf")
	versions, err := r.versions(ctx, p, id, at)
	if err != nil {
		return iot.ManagedObject{}, err
	}
	if len(versions) > 0 {
		return versions[0].Object, nil
	}
	if now, err := r.Get(ctx, p, id); err == nil && !now.LastUpdated.After(at) {
		return now.ManagedObject, nil
	}
	if _, err := r.History(ctx, p, id); err != nil {
		return iot.ManagedObject{}, err
	}
	return iot.ManagedObject{}, fault.E(op, fault.NotFound, fault.Subject(id.String()), errNoVersion, errNoVersion.Error())
}

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

// Check decides about the data of an object: a fault of kind NotFound if there is none, Denied if p may not.
func (r *Registry) Check(ctx context.Context, p iot.Principal, id iot.ID, f access.Family, l access.Level) (Source, error) {
	s, err := r.Source(ctx, p.Tenant, id)
	if err != nil {
		return s, err
	}
	return s, r.d.Policy.Check(ctx, p, f, l, access.Object{ID: s.ID, Owner: s.Owner})
}
