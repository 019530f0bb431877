package identity

import (
	"context"
	"errors"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Store keeps registrations by their id, which is unique on the platform. Errors are raw: a missing row is sql.ErrNoRows, a taken id
// satisfies sqlkit.IsUnique. Every method is atomic and durable when it returns, keeps superseded versions, and is safe for concurrent use.
type Store interface {
	// Create stores a registration. One of the same id that is Used gives way.
	Create(ctx context.Context, r Registration, rev sqlkit.Revision) error
	// Get returns a registration of whichever tenant.
	Get(ctx context.Context, id string) (Registration, error)
	// List returns a page of the tenant's registrations that are not Used, by time of creation and id, and the number of all of them.
	List(ctx context.Context, t iot.TenantID, offset, limit int) ([]Registration, int, error)
	// Update replaces a registration by what change makes of it, which may run more than once and must have no other effect than on the
	// variables that it sets anew each time. If it changes nothing, nothing is stored.
	Update(ctx context.Context, id string, rev sqlkit.Revision, change func(Registration) Registration) (Registration, error)
	// Delete removes a registration of the tenant.
	Delete(ctx context.Context, t iot.TenantID, id string, rev sqlkit.Revision) error
}

// ErrTooMany says that a tenant has as many anchors as it can have.
var ErrTooMany = errors.New("too many trust anchors")

// AnchorStore keeps the trust anchors of tenants. A fingerprint is unique on the platform. Errors are raw: a missing row is sql.ErrNoRows, a
// taken fingerprint satisfies sqlkit.IsUnique. Every method is atomic and durable when it returns, keeps superseded versions, and is safe for
// concurrent use.
type AnchorStore interface {
	// Create stores anchors of one tenant, all or none. If the tenant would have more than limit, it is ErrTooMany.
	Create(ctx context.Context, t iot.TenantID, anchors []Anchor, limit int, rev sqlkit.Revision) error
	Get(ctx context.Context, t iot.TenantID, fingerprint string) (Anchor, error)
	// List returns a page of the tenant's anchors, or only of its authority, by time of creation and fingerprint, and the number of all of them.
	List(ctx context.Context, t iot.TenantID, authority bool, offset, limit int) ([]Anchor, int, error)
	// Update replaces an anchor by what change makes of it, under the rules of Store.Update. The certificate stays what it was.
	Update(ctx context.Context, t iot.TenantID, fingerprint string, rev sqlkit.Revision, change func(Anchor) Anchor) (Anchor, error)
	// Delete removes an anchor, with the key if it is the authority, and returns it.
	Delete(ctx context.Context, t iot.TenantID, fingerprint string, rev sqlkit.Revision) (Anchor, error)
	// Enabled returns the enabled anchors of all tenants: before a device has logged in there is no tenant yet to ask for.
	Enabled(ctx context.Context) ([]Anchor, error)

	// PutAuthority stores the certificate authority of a tenant, an anchor with its sealed key, in the place of that with the fingerprint replaces;
	// empty: the tenant has none. If that is not so, it is ErrAuthority.
	PutAuthority(ctx context.Context, t iot.TenantID, a Anchor, sealed, replaces string, limit int, rev sqlkit.Revision) error
	// Authority returns the certificate authority of a tenant with its sealed key.
	Authority(ctx context.Context, t iot.TenantID) (a Anchor, sealed string, err error)

	// Revoke adds serial numbers, all or none; of those that are there already the time is changed if overwrite. If the tenant would have more than
	// limit, it is ErrTooMany.
	Revoke(ctx context.Context, t iot.TenantID, entries []Revocation, overwrite bool, limit int, rev sqlkit.Revision) error
	// Revoked reports whether one of the serial numbers is revoked.
	Revoked(ctx context.Context, t iot.TenantID, serials []string) (bool, error)
	// Revocations returns all that are revoked, by serial number.
	Revocations(ctx context.Context, t iot.TenantID) ([]Revocation, error)
}

// ErrAuthority says that a tenant's certificate authority is not the one that it was thought to be.
var ErrAuthority = errors.New("the tenant has another certificate authority, or has one already")
