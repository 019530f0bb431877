package apimgmt

import (
	"context"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

// Store keeps keys and figures. Errors are raw: a missing row is sql.ErrNoRows, a taken id satisfies sqlkit.IsUnique. Every method works in one
// tenant but AddUsage, which gets the tenant with each line; it is atomic and durable when it returns, and safe for concurrent use.
type Store interface {
	Key(ctx context.Context, t iot.TenantID, id string) (Key, error)
	// Keys returns the keys of an owner, or of all if it is empty, by id.
	Keys(ctx context.Context, t iot.TenantID, owner iot.UserName) ([]Key, error)
	// CreateKey stores a new key unless the owner has most already: then full is true.
	CreateKey(ctx context.Context, t iot.TenantID, k Key, most int) (full bool, err error)
	// UpdateKey replaces a key by what change makes of it. change may run more than once.
	UpdateKey(ctx context.Context, t iot.TenantID, id string, change func(Key) Key) (Key, error)
	DeleteKey(ctx context.Context, t iot.TenantID, id string) error
	// Endpoint returns one version of a published endpoint.
	Endpoint(ctx context.Context, t iot.TenantID, name string, version int) (Endpoint, error)
	// Endpoints returns all versions of all published endpoints, by name and version.
	Endpoints(ctx context.Context, t iot.TenantID) ([]Endpoint, error)
	// CreateEndpoint stores a new endpoint as the version after the last one of its name, unless the tenant has most versions already: then full is true.
	// A version whose number was the last one is given again after it was deleted.
	CreateEndpoint(ctx context.Context, t iot.TenantID, e Endpoint, most int) (made Endpoint, full bool, err error)
	// UpdateEndpoint replaces an endpoint by what change makes of it, unless that fails. change may run more than once.
	UpdateEndpoint(ctx context.Context, t iot.TenantID, name string, version int, change func(Endpoint) (Endpoint, error)) (Endpoint, error)
	// DeleteEndpoint removes an endpoint unless may fails, which may run more than once.
	DeleteEndpoint(ctx context.Context, t iot.TenantID, name string, version int, may func(Endpoint) error) error
	// AddUsage adds to the figures, and notes when keys were last used.
	AddUsage(ctx context.Context, lines []UsageLine) error
	// Usage returns a page of the figures of a tenant, by day and consumer, and the number of all.
	Usage(ctx context.Context, t iot.TenantID, q UsageQuery) ([]UsageLine, int, error)
}

// UsageLine is what one consumer did on one day.
type UsageLine struct {
	Tenant   iot.TenantID
	Day      string // 2026-01-31, UTC
	Kind     ConsumerKind
	Consumer string // id of the key, name of the user, key of the application; for an endpoint its name and version, a colon, and the key or user
	Owner    iot.UserName
	Requests int64
	Errors   int64 // answers from 400
	In, Out  int64 // bytes of bodies
	Last     time.Time
}

// ConsumerKind is what a consumer is.
type ConsumerKind string

// The kinds of consumers. A request counts for its key or its user, and besides for its application, and for the published endpoint that it calls.
const (
	ByKey         ConsumerKind = "KEY"
	ByUser        ConsumerKind = "USER"
	ByApplication ConsumerKind = "APPLICATION"
	ByEndpoint    ConsumerKind = "ENDPOINT"
)

// UsageQuery selects figures. All conditions must hold; empty ones do.
type UsageQuery struct {
	From, To      string // days, both included
	Kind          ConsumerKind
	Consumer      string
	Owner         iot.UserName // of the user or of the key
	Offset, Limit int
}
