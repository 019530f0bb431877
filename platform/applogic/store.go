package applogic

import (
	"context"
	"errors"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// ErrSubscribed says that others than the owner are subscribed to an application.
var ErrSubscribed = errors.New("the application is subscribed by other tenants")

// Subscription gives a tenant an application.
type Subscription struct {
	Tenant iot.TenantID // the subscriber
	Owner  iot.TenantID // of the application
	App    iot.ID
	Secret string // the sealed password of the service's account in the tenant; empty if the application is no microservice
}

// Store keeps applications and subscriptions. A missing row is sql.ErrNoRows, a taken name, key or context path satisfies sqlkit.IsUnique.
// All methods are safe for concurrent use, atomic, and durable when they return.
type Store interface {
	// NextID returns an id that no application has or had, 1000 or more.
	NextID(ctx context.Context) (iot.ID, error)
	App(ctx context.Context, owner iot.TenantID, id iot.ID) (App, error)
	// Owned returns the applications of a tenant by id.
	Owned(ctx context.Context, owner iot.TenantID) ([]App, error)
	Create(ctx context.Context, a App, rev sqlkit.Revision) error
	// Update replaces an application by what change makes of it, and keeps the old version in history. change may be called several times.
	Update(ctx context.Context, owner iot.TenantID, id iot.ID, rev sqlkit.Revision, change func(App) (App, error)) (before, after App, err error)
	// Delete removes an application and all subscriptions, which it returns. Without force it fails with ErrSubscribed if others than the owner have one.
	Delete(ctx context.Context, owner iot.TenantID, id iot.ID, force bool, rev sqlkit.Revision) ([]Subscription, error)
	// Subscriptions returns those of a tenant, by application.
	Subscriptions(ctx context.Context, t iot.TenantID) ([]Subscription, error)
	// Subscribers returns those to an application, by tenant.
	Subscribers(ctx context.Context, owner iot.TenantID, id iot.ID) ([]Subscription, error)
	Subscribe(ctx context.Context, s Subscription) error
	Unsubscribe(ctx context.Context, t iot.TenantID, id iot.ID) (Subscription, error)
}
