package tenancy

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/secret"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// Status says whether a tenant may be used.
type Status string

// The statuses.
const (
	Active    Status = "ACTIVE"
	Suspended Status = "SUSPENDED"
	Deleting  Status = "DELETING" // being erased; if that was cut short, it goes on at the next start
)

// Tenant is one realm.
type Tenant struct {
	ID         iot.TenantID `json:"id"`
	Company    string       `json:"company,omitempty"`
	Domain     string       `json:"domain,omitempty"` // empty: the host of the request is shown instead
	AdminName  string       `json:"adminName,omitempty"`
	AdminEmail string       `json:"adminEmail,omitempty"`
	Contact    string       `json:"contact,omitempty"`
	Phone      string       `json:"phone,omitempty"`
	Status     Status       `json:"status"`
	Parent     iot.TenantID `json:"parent,omitempty"`
	Parents    bool         `json:"parents,omitempty"`    // may have subtenants of its own
	Restricted []string     `json:"restricted,omitempty"` // permissions that no microservice of the tenant may ask for
	Custom     iot.Doc      `json:"custom,omitempty"`
	Created    time.Time    `json:"created"`
	Changed    time.Time    `json:"-"`
}

// OptionKey names an option.
type OptionKey struct{ Category, Key string }

// Store keeps tenants and options. A missing row is sql.ErrNoRows. Safe for concurrent use.
type Store interface {
	Tenant(ctx context.Context, t iot.TenantID) (Tenant, error)
	Tenants(ctx context.Context) ([]Tenant, error) // by id
	// PutTenant fails with ErrUsed if a deleted tenant had the id, and with ErrDeleting if the tenant is being deleted and would not be any more.
	PutTenant(ctx context.Context, tenant Tenant, create bool, rev sqlkit.Revision) error
	// NextNumber returns a number that was never returned before, for an id.
	NextNumber(ctx context.Context) (int64, error)
	// EraseRows deletes everything of a tenant from the database but its audit, and returns how many rows there were, by table.
	EraseRows(ctx context.Context, t iot.TenantID) (map[string]int64, error)
	// Bury replaces a tenant by the receipt of its erasure.
	Bury(ctx context.Context, r Receipt) error
	Receipts(ctx context.Context) ([]Receipt, error) // the newest first
	// Unswept returns the tenants that were buried and not marked by Swept.
	Unswept(ctx context.Context) ([]iot.TenantID, error)
	Swept(ctx context.Context, t iot.TenantID) error
	// Options returns the options of a category, or all if it is empty, ordered by category and key.
	Options(ctx context.Context, t iot.TenantID, category string) ([]Option, error)
	// OptionsAsOf returns the options as they were at a time. Locked is not set: whether one was locked has no history.
	OptionsAsOf(ctx context.Context, t iot.TenantID, category string, at time.Time) ([]Option, error)
	PutOptions(ctx context.Context, t iot.TenantID, options []Option, rev sqlkit.Revision) error
	DeleteOption(ctx context.Context, t iot.TenantID, key OptionKey, rev sqlkit.Revision) error
	// LockOption changes only whether an option is locked; sql.ErrNoRows if there is none.
	LockOption(ctx context.Context, t iot.TenantID, key OptionKey, locked bool) error
	// OptionDocuments tells the change log of options.
	OptionDocuments() changes.Documents
	// Reseal replaces the value of an option that is still before by after, and removes its history.
	Reseal(ctx context.Context, t iot.TenantID, key OptionKey, before, after string) error
	// Overrides returns which tenants differ from the default of a feature.
	Overrides(ctx context.Context, feature string) (map[iot.TenantID]bool, error)
	// SetOverride sets or, if active is nil, removes what a tenant has instead of the default of a feature.
	SetOverride(ctx context.Context, t iot.TenantID, feature string, active *bool) error
}

// Option is a setting of a tenant.
type Option struct {
	OptionKey
	Value  string
	Locked bool // only members of management may change it
}

// Deps is what Tenants needs.
type Deps struct {
	Store  Store
	Policy *access.Policy
	Audit  access.Auditor
	Bus    *bus.Bus
	Clock  clock.Clock
	Log    *slog.Logger
	Vault  *secret.Box // seals secret options; nil: they are stored as they are
	Hosts  []string    // names of this platform, which no tenant can have as its domain
}

// Tenants is the face. It is safe for concurrent use.
type Tenants struct {
	d       Deps
	realms  Realms
	erasers []eraser
	// founders prepare what is created.
	founders []func(context.Context, iot.TenantID) error
	checks   map[OptionKey]func(value string) error
	closed   chan struct{}
	running  sync.WaitGroup

	mu      sync.RWMutex // guards known and domains
	known   map[iot.TenantID]Tenant
	domains map[string]iot.TenantID // nil: not read yet
	changes uint64                  // how often something was forgotten: what was read before must not be remembered

	settings memory

	stop func()
}

// New returns the face.
func New(d Deps) (*Tenants, error) {
	s := &Tenants{d: d, known: map[iot.TenantID]Tenant{}, closed: make(chan struct{})}
	changed, err := d.Bus.Subscribe(bus.All("tenant"), func(t iot.TenantID, _ string, _ []byte) { s.forget(t) })
	if err != nil {
		return nil, err
	}
	set, err := d.Bus.Subscribe(bus.All("tenant", "settings"), func(t iot.TenantID, _ string, _ []byte) { s.settings.forget(t) })
	if err != nil {
		changed()
		return nil, err
	}
	s.stop = func() { changed(); set() }
	return s, nil
}

// Close ends the subscription to changes and what waits to be done later.
func (s *Tenants) Close() {
	s.stop()
	close(s.closed)
	s.running.Wait()
}

func (s *Tenants) forget(t iot.TenantID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, t)
	s.domains = nil
	s.changes++
}

// Ensure creates a tenant if it does not exist. It acts for the platform.
func (s *Tenants) Ensure(ctx context.Context, t Tenant) error {
	const op = fault.Op("tenancy.Ensure")
	if !t.ID.Valid() {
		return fault.E(op, fault.Invalid, fault.Subject(t.ID), "a tenant id has 2 to 64 lower-case letters, digits and hyphens and starts with a letter")
	}
	now := s.d.Clock.Now()
	t.Created, t.Status = now, Active
	err := s.d.Store.PutTenant(ctx, t, true, sqlkit.Revision{At: now, By: "system", Set: sqlkit.NewSetID()})
	if err != nil && !sqlkit.IsUnique(err) {
		return fault.E(op, err)
	}
	return nil
}

// Get returns a tenant. It acts for the platform: callers show a tenant only to itself or to management.
func (s *Tenants) Get(ctx context.Context, id iot.TenantID) (Tenant, error) {
	s.mu.RLock()
	t, ok := s.known[id]
	before := s.changes
	s.mu.RUnlock()
	if ok {
		return t, nil
	}
	t, err := s.d.Store.Tenant(ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		return t, fault.E(fault.Op("tenancy.Get"), fault.NotFound, fault.Subject(id), "no tenant with this id")
	}
	if err != nil {
		return t, fault.E(fault.Op("tenancy.Get"), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes == before {
		s.known[id] = t // bounded by the number of tenants
	}
	return t, nil
}

// Active implements access.Tenants.
func (s *Tenants) Active(ctx context.Context, id iot.TenantID) error {
	t, err := s.Get(ctx, id)
	if err == nil && t.Status != Active {
		err = fault.E(fault.Op("tenancy.Active"), fault.Denied, "the tenant is suspended")
	}
	return err
}

// List returns the tenants that p manages: its subtenants, or all for members of management. It needs the permission to read tenants.
func (s *Tenants) List(ctx context.Context, p iot.Principal) ([]Tenant, error) {
	if err := s.d.Policy.Check(ctx, p, access.TenantAdmin, access.Read, access.Object{}); err != nil {
		return nil, err
	}
	out, err := s.d.Store.Tenants(ctx)
	if err != nil {
		return nil, fault.E(fault.Op("tenancy.List"), err)
	}
	return slices.DeleteFunc(out, func(t Tenant) bool { return !manages(p, t) && p.Tenant != iot.Management }), nil
}

// Options returns the options of a category of p's tenant, or all if it is empty.
func (s *Tenants) Options(ctx context.Context, p iot.Principal, category string) ([]Option, error) {
	if err := s.d.Policy.Check(ctx, p, access.Option, access.Read, access.Object{}); err != nil {
		return nil, err
	}
	out, err := s.d.Store.Options(ctx, p.Tenant, category)
	if err != nil {
		return nil, fault.E(fault.Op("tenancy.Options"), err)
	}
	for i := range out {
		if out[i], err = s.plain(p.Tenant, out[i]); err != nil {
			s.d.Log.Warn("a secret option cannot be read: was it sealed with another key?", "tenant", p.Tenant, "option", out[i].Category+"."+out[i].Key, "err", err)
		}
	}
	return out, nil
}

// OptionsAsOf is Options as they were at a time. The values of secrets are left out.
func (s *Tenants) OptionsAsOf(ctx context.Context, p iot.Principal, category string, at time.Time) ([]Option, error) {
	if err := s.d.Policy.Check(ctx, p, access.Option, access.Read, access.Object{}); err != nil {
		return nil, err
	}
	out, err := s.d.Store.OptionsAsOf(ctx, p.Tenant, category, at)
	if err != nil {
		return nil, sqlkit.Fault("tenancy.OptionsAsOf", err)
	}
	for i := range out {
		if SecretOption(out[i].OptionKey) {
			out[i].Value = ""
		}
	}
	return out, nil
}

// Value returns an option for the platform's own use; def if it is not set or cannot be read.
func (s *Tenants) Value(ctx context.Context, t iot.TenantID, key OptionKey, def string) string {
	value, set, err := s.Lookup(ctx, t, key)
	if err != nil {
		s.d.Log.Warn("read option", "tenant", t, "option", key.Category+"."+key.Key, "err", err)
	}
	if err != nil || !set {
		return def
	}
	return value
}

// Lookup is Value for those to whom "cannot be read" and "not set" are not the same.
func (s *Tenants) Lookup(ctx context.Context, t iot.TenantID, key OptionKey) (value string, set bool, err error) {
	const op = fault.Op("tenancy.Lookup")
	options, err := s.d.Store.Options(ctx, t, key.Category)
	if err != nil {
		return "", false, sqlkit.Fault(op, err)
	}
	for _, o := range options {
		if o.Key != key.Key {
			continue
		}
		if o, err = s.plain(t, o); err != nil {
			return "", false, fault.E(op, err, "a secret option cannot be read: was it sealed with another key?")
		}
		return o.Value, true, nil
	}
	return "", false, nil
}

const maxOption = 64 << 10

// PutOptions creates or replaces options of p's tenant, all or none.
func (s *Tenants) PutOptions(ctx context.Context, p iot.Principal, options []Option) error {
	const op = fault.Op("tenancy.PutOptions")
	if err := s.d.Policy.Check(ctx, p, access.Option, access.Admin, access.Object{}); err != nil {
		return err
	}
	for _, o := range options {
		if err := s.checkOption(o); err != nil {
			return err
		}
	}
	before, err := s.d.Store.Options(ctx, p.Tenant, "")
	if err != nil {
		return fault.E(op, err)
	}
	sealed := make([]Option, len(options))
	for i, o := range options {
		sealed[i] = s.stored(p.Tenant, o)
		if at := slices.IndexFunc(before, func(x Option) bool { return x.OptionKey == o.OptionKey }); at >= 0 {
			if err := editable(p, before[at]); err != nil {
				return err
			}
		}
	}
	if err := s.d.Store.PutOptions(ctx, p.Tenant, sealed, sqlkit.NewRevision(ctx, s.d.Clock.Now(), string(p.User))); err != nil {
		return sqlkit.Fault(op, err)
	}
	s.resettle(p.Tenant)
	for _, o := range options {
		activity, was := "Option created", ""
		if i := slices.IndexFunc(before, func(x Option) bool { return x.OptionKey == o.OptionKey }); i >= 0 {
			activity, was = "Option updated", before[i].Value
		}
		s.recordOption(ctx, p, activity, o.OptionKey, was, o.Value, "")
	}
	return nil
}

// DeleteOption removes an option of p's tenant.
func (s *Tenants) DeleteOption(ctx context.Context, p iot.Principal, key OptionKey) error {
	const op = fault.Op("tenancy.DeleteOption")
	if err := s.d.Policy.Check(ctx, p, access.Option, access.Admin, access.Object{}); err != nil {
		return err
	}
	was := s.Value(ctx, p.Tenant, key, "")
	before, err := s.d.Store.Options(ctx, p.Tenant, key.Category)
	if err != nil {
		return fault.E(op, err)
	}
	for _, o := range before {
		if o.OptionKey == key {
			if err := editable(p, o); err != nil {
				return err
			}
		}
	}
	err = s.d.Store.DeleteOption(ctx, p.Tenant, key, sqlkit.NewRevision(ctx, s.d.Clock.Now(), string(p.User)))
	if errors.Is(err, sql.ErrNoRows) {
		return fault.E(op, fault.NotFound, "Unable to find option "+key.Category+"."+key.Key)
	}
	if err != nil {
		return fault.E(op, err)
	}
	s.resettle(p.Tenant)
	s.recordOption(ctx, p, "Option deleted", key, was, "", "")
	return nil
}

// SecretOption reports whether an option holds a secret, which only the platform and its owner may see. c8y: by the name of its key.
func SecretOption(key OptionKey) bool { return strings.HasPrefix(key.Key, "credentials.") }

// recordOption writes the audit of an option, without the values of secrets. why ends its text.
func (s *Tenants) recordOption(ctx context.Context, p iot.Principal, activity string, key OptionKey, before, after, why string) {
	change := iot.AttributeChange{Attribute: "value"}
	if !SecretOption(key) {
		change.Previous, change.New = before, after
	}
	if len(change.Previous) > maxAudited {
		change.Previous = change.Previous[:maxAudited]
	}
	if len(change.New) > maxAudited {
		change.New = change.New[:maxAudited]
	}
	change.Previous, change.New = strings.ToValidUTF8(change.Previous, ""), strings.ToValidUTF8(change.New, "")
	s.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "Option", Activity: activity, Text: "Option '" + key.Category + "." + key.Key + "'" + why, Changes: []iot.AttributeChange{change}})
}

const maxAudited = 1 << 10 // bytes of a value

func (s *Tenants) revision(p iot.Principal) sqlkit.Revision {
	return sqlkit.Revision{At: s.d.Clock.Now(), By: string(p.User), Set: sqlkit.NewSetID()}
}
