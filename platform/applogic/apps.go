package applogic

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"

	"github.com/maypok86/otter/v2"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/tenancy"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/blob"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// Blobs keeps archives; kit/blob does.
type Blobs interface {
	Put(ctx context.Context, t iot.TenantID, key string, r io.Reader, limit int64) (size int64, sha string, err error)
	Open(ctx context.Context, t iot.TenantID, key string, offset int64) (io.ReadCloser, int64, error)
	Find(ctx context.Context, t iot.TenantID, key string) (*blob.Blob, error)
	Delete(ctx context.Context, t iot.TenantID, key string) (bool, error)
}

// Deps is what Apps needs.
type Deps struct {
	Store   Store
	Blobs   Blobs
	Users   *access.Users
	Tenants *tenancy.Tenants
	Policy  *access.Policy
	Vault   access.Vault
	Audit   access.Auditor
	Bus     *bus.Bus
	Clock   clock.Clock
	Log     *slog.Logger
	// Home is the web application of the platform itself, which every tenant has and none can change.
	Home App
	// Processes says that microservices run as processes of this machine. Whoever may upload one then runs code with the rights of the platform.
	Processes bool
	// PrivateAddresses lets tenants other than the management register services at addresses that are not public.
	PrivateAddresses bool
	// Folder is where processes find their files.
	Folder string
	// BaseURL returns the address under which processes reach the platform. It is asked when one starts.
	BaseURL func() string
}

// Apps is the face. It is safe for concurrent use.
type Apps struct {
	d        Deps
	archives *otter.Cache[archiveKey, *archive]
	runner   *runner
	stop     func()

	mu      sync.RWMutex // guards visible and changes
	visible map[iot.TenantID][]App
	changes uint64 // how often something was forgotten: what was read before must not be remembered
}

const (
	maxRemembered  = 1000    // tenants
	rememberedSize = 100_000 // files of archives
)

// New returns the face. Serve starts what it runs.
func New(d Deps) (*Apps, error) {
	s := &Apps{d: d, visible: map[iot.TenantID][]App{}, archives: otter.Must(&otter.Options[archiveKey, *archive]{MaximumWeight: rememberedSize,
		Weigher: func(_ archiveKey, a *archive) uint32 { return uint32(len(a.files) + 1) }})}
	s.runner = newRunner(s)
	var stops []func()
	s.stop = func() {
		for _, stop := range stops {
			stop()
		}
	}
	for _, kind := range []string{string(iot.KindApplication), "tenant"} { // who is below whom decides what is seen
		stop, err := d.Bus.Subscribe(bus.All(kind), func(iot.TenantID, string, []byte) { s.forget() })
		if err != nil {
			s.stop()
			return nil, err
		}
		stops = append(stops, stop)
	}
	return s, nil
}

// StopServing ends the processes for good.
func (s *Apps) StopServing(ctx context.Context) error { return s.runner.close(ctx) }

// Close ends what is left of the processes, and the subscription to changes.
func (s *Apps) Close(ctx context.Context) error {
	err := s.runner.close(ctx)
	s.stop()
	return err
}

func (s *Apps) forget() {
	s.mu.Lock()
	clear(s.visible)
	s.changes++
	s.mu.Unlock()
	s.runner.changed()
}

func (s *Apps) revision(p iot.Principal) sqlkit.Revision {
	return sqlkit.Revision{At: s.d.Clock.Now(), By: string(p.User), Set: sqlkit.NewSetID()}
}

func (s *Apps) publish(t iot.TenantID, a iot.Action, id iot.ID) {
	s.forget()
	s.d.Bus.Publish(bus.Subject(t, string(iot.KindApplication), string(a), id.String()), nil)
}

func (s *Apps) audit(ctx context.Context, p iot.Principal, a App, activity string, changes ...iot.AttributeChange) {
	s.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "Application", Activity: activity, Text: activity + ": '" + a.Name + "' (" + a.ID.String() + ")", Changes: changes})
}

// of returns what a tenant sees, by id: its own, what it is subscribed to, and what those above share.
func (s *Apps) of(ctx context.Context, t iot.TenantID) ([]App, error) {
	s.mu.RLock()
	known, ok := s.visible[t]
	before := s.changes
	s.mu.RUnlock()
	if ok {
		return known, nil
	}
	out, err := s.read(ctx, t)
	if err != nil {
		return nil, sqlkit.Fault("applogic.List", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.visible) >= maxRemembered {
		clear(s.visible)
	}
	if s.changes == before {
		s.visible[t] = out
	}
	return out, nil
}

func (s *Apps) read(ctx context.Context, t iot.TenantID) ([]App, error) {
	own, err := s.d.Store.Owned(ctx, t)
	if err != nil {
		return nil, err
	}
	out := append([]App{s.d.Home}, own...)
	above, err := s.above(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, owner := range above {
		theirs, err := s.d.Store.Owned(ctx, owner)
		if err != nil {
			return nil, err
		}
		for _, a := range theirs {
			if a.Availability == Shared {
				out = append(out, a)
			}
		}
	}
	subscribed, err := s.d.Store.Subscriptions(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, x := range subscribed {
		if slices.ContainsFunc(out, func(a App) bool { return a.ID == x.App }) {
			continue
		}
		a, err := s.d.Store.App(ctx, x.Owner, x.App)
		if errors.Is(err, sql.ErrNoRows) { // its owner is gone
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b App) int { return int(int64(a.ID) - int64(b.ID)) })
	return out, nil
}

// above returns the tenants above one, the nearest first.
func (s *Apps) above(ctx context.Context, t iot.TenantID) (out []iot.TenantID, err error) {
	for at := t; len(out) < 10; {
		tenant, err := s.d.Tenants.Get(ctx, at)
		if err != nil {
			return nil, err
		}
		if tenant.Parent == "" || slices.Contains(out, tenant.Parent) {
			return out, nil
		}
		out = append(out, tenant.Parent)
		at = tenant.Parent
	}
	return out, nil
}

// List returns the applications that p's tenant sees, by id. Everybody may: the switcher of applications shows them.
func (s *Apps) List(ctx context.Context, p iot.Principal) ([]App, error) { return s.of(ctx, p.Tenant) }

// OfTenant returns the applications that a tenant sees: p's own, or one below it, which needs the permission to read tenants.
func (s *Apps) OfTenant(ctx context.Context, p iot.Principal, t iot.TenantID) ([]App, error) {
	if t != p.Tenant {
		if _, err := s.d.Tenants.Managed(ctx, p, t); err != nil {
			return nil, err
		}
	}
	return s.of(ctx, t)
}

// Get returns an application that p's tenant sees or could subscribe to, by its id or context path.
func (s *Apps) Get(ctx context.Context, p iot.Principal, key string) (App, error) {
	apps, err := s.of(ctx, p.Tenant)
	if err != nil {
		return App{}, err
	}
	id, isID := iot.ParseID(key)
	if isID {
		if i := slices.IndexFunc(apps, func(a App) bool { return a.ID == id }); i >= 0 {
			return apps[i], nil
		}
		if a, err := s.offered(ctx, p.Tenant, id); err == nil {
			return a, nil
		} else if !errors.Is(err, sql.ErrNoRows) {
			return App{}, sqlkit.Fault("applogic.Get", err)
		}
	}
	if a, ok := pick(p.Tenant, apps, func(a App) bool { return a.ContextPath == key && key != "" }); ok {
		return a, nil
	}
	return App{}, missing(key)
}

// offered returns an application of those above that is on the market.
func (s *Apps) offered(ctx context.Context, t iot.TenantID, id iot.ID) (App, error) {
	above, err := s.above(ctx, t)
	if err != nil {
		return App{}, err
	}
	for _, owner := range above {
		a, err := s.d.Store.App(ctx, owner, id)
		if errors.Is(err, sql.ErrNoRows) || err == nil && a.Availability == Private {
			continue
		}
		return a, err
	}
	return App{}, sql.ErrNoRows
}

// pick returns the application that fits. c8y: one's own comes before those of others.
func pick(t iot.TenantID, apps []App, fits func(App) bool) (found App, ok bool) {
	for _, a := range apps {
		if fits(a) && (!ok || a.Owner == t) {
			found, ok = a, true
		}
	}
	return found, ok
}

func missing(key string) error {
	if len(key) > 100 {
		key = key[:100] + "..."
	}
	return fault.E(fault.Op("applogic.Get"), fault.NotFound, "Could not find application by id : "+key)
}

// own returns an application that p may change: it needs ROLE_APPLICATION_MANAGEMENT_ADMIN in the tenant that owns it.
func (s *Apps) own(ctx context.Context, p iot.Principal, key string, l access.Level) (App, error) {
	if err := s.d.Policy.Check(ctx, p, access.Application, l, access.Object{}); err != nil {
		return App{}, err
	}
	a, err := s.Get(ctx, p, key)
	if err == nil && (a.Owner != p.Tenant || a.ID == s.d.Home.ID) {
		err = fault.E(fault.Op("applogic.Own"), fault.Denied, "the application belongs to the tenant "+string(a.Owner)+": only it can do this")
	}
	return a, err
}

// Manageable returns nil if p may change an application, for callers that want to know before they read what p sends.
func (s *Apps) Manageable(ctx context.Context, p iot.Principal, key string) error {
	_, err := s.own(ctx, p, key, access.Admin)
	return err
}

// Erase deletes all applications of a tenant that is being deleted, with the accounts of its services in other tenants, and returns how many there were.
func (s *Apps) Erase(ctx context.Context, t iot.TenantID) (int64, error) {
	all, err := s.d.Store.Owned(ctx, t)
	if err != nil {
		return 0, sqlkit.Fault("applogic.Erase", err)
	}
	for _, a := range all {
		if err := s.Delete(ctx, iot.System(t), a.ID.String(), true); err != nil && !fault.Is(err, fault.NotFound) {
			return 0, err
		}
	}
	return int64(len(all)), nil
}

// Create stores an application of p's tenant. It needs ROLE_APPLICATION_MANAGEMENT_ADMIN.
func (s *Apps) Create(ctx context.Context, p iot.Principal, a App) (App, error) {
	if err := s.d.Policy.Check(ctx, p, access.Application, access.Admin, access.Object{}); err != nil {
		return App{}, err
	}
	return s.create(ctx, p, a)
}

func (s *Apps) create(ctx context.Context, p iot.Principal, a App) (App, error) {
	const op = fault.Op("applogic.Create")
	if a.Availability == "" {
		a.Availability = Private
	}
	a.Owner = p.Tenant
	if a.Type == Microservice && a.ContextPath == "" {
		a.ContextPath = a.Name
	}
	if err := a.check(); err != nil {
		return App{}, err
	}
	if err := access.ServiceRoles(p.Tenant, slices.Concat(a.Roles, a.RequiredRoles)); err != nil {
		return App{}, err
	}
	if err := s.mayHold(ctx, a.Owner, a.RequiredRoles); err != nil {
		return App{}, err
	}
	var err error
	if a.ID, err = s.d.Store.NextID(ctx); err != nil {
		return App{}, sqlkit.Fault(op, err)
	}
	password := access.RandomPassword()
	if a.Type == Microservice {
		a.Bootstrap = s.seal(password, a.Owner, a.ID)
	}
	if a.Place() == s.d.Home.Place() {
		return App{}, taken(a)
	}
	rev := s.revision(p)
	if err := s.d.Store.Create(ctx, a, rev); err != nil {
		if sqlkit.IsUnique(err) {
			return App{}, taken(a)
		}
		return App{}, sqlkit.Fault(op, err)
	}
	a.Changed = rev.At
	if a.Type == Microservice { // after the row, whose unique name owns the account
		if err := s.d.Users.ServiceAccount(ctx, a.Owner, a.bootstrapUser(), password, nil); err != nil {
			return App{}, err
		}
	}
	s.audit(ctx, p, a, "Application created")
	s.publish(p.Tenant, iot.Created, a.ID)
	return a, nil
}

func taken(a App) error {
	return fault.E(fault.Op("applogic.Create"), fault.Exists, "an application with the name '"+a.Name+"', the key '"+a.Key+"' or the contextPath '"+a.ContextPath+"' exists already")
}

// Update changes an application. It needs ROLE_APPLICATION_MANAGEMENT_ADMIN in the tenant that owns it.
func (s *Apps) Update(ctx context.Context, p iot.Principal, key string, change func(*App) error) (App, error) {
	a, err := s.own(ctx, p, key, access.Admin)
	if err != nil {
		return App{}, err
	}
	return s.update(ctx, p, a, "Application updated", change)
}

func (s *Apps) update(ctx context.Context, p iot.Principal, a App, activity string, change func(*App) error) (App, error) {
	const op = fault.Op("applogic.Update")
	restricted, err := s.restricted(ctx, a.Owner)
	if err != nil {
		return App{}, err
	}
	before, after, err := s.d.Store.Update(ctx, a.Owner, a.ID, s.revision(p), func(now App) (App, error) {
		old := now
		if err := change(&now); err != nil {
			return now, err
		}
		if now.Type != old.Type {
			return now, fault.E(op, fault.Invalid, "the type of an application cannot be changed")
		}
		if now.Type == Microservice && now.Name != old.Name { // its accounts bear it
			return now, fault.E(op, fault.Invalid, "the name of a microservice cannot be changed")
		}
		if _, ok := now.binary(now.Active); now.Active != 0 && !ok {
			return now, fault.E(op, fault.Invalid, "activeVersionId must be the id of a binary of the application")
		}
		if err := access.ServiceRoles(now.Owner, slices.Concat(now.Roles, now.RequiredRoles)); err != nil {
			return now, err
		}
		if err := restricted.refuse(now.RequiredRoles, old.RequiredRoles); err != nil {
			return now, err
		}
		if err := now.check(); err != nil {
			return now, err
		}
		if now.Place() == s.d.Home.Place() {
			return now, taken(now)
		}
		return now, nil
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return App{}, missing(a.ID.String())
	case sqlkit.IsUnique(err):
		return App{}, taken(a)
	case err != nil:
		return App{}, sqlkit.Fault(op, err)
	}
	if after.Type == Microservice && !slices.Equal(before.RequiredRoles, after.RequiredRoles) {
		if err := s.grantAll(ctx, after); err != nil {
			return App{}, err
		}
	}
	s.audit(ctx, p, after, activity)
	s.publish(after.Owner, iot.Updated, after.ID)
	return after, nil
}

// Delete removes an application with its archives, subscriptions and accounts. Without force it is refused while other tenants are subscribed.
func (s *Apps) Delete(ctx context.Context, p iot.Principal, key string, force bool) error {
	const op = fault.Op("applogic.Delete")
	a, err := s.own(ctx, p, key, access.Admin)
	if err != nil {
		return err
	}
	gone, err := s.d.Store.Delete(ctx, a.Owner, a.ID, force, s.revision(p))
	switch {
	case errors.Is(err, ErrSubscribed):
		return fault.E(op, fault.Invalid, err, "other tenants are subscribed to the application: unsubscribe them, or delete it with force=true")
	case errors.Is(err, sql.ErrNoRows):
		return missing(key)
	case err != nil:
		return sqlkit.Fault(op, err)
	}
	for _, b := range a.Binaries {
		_, err = s.d.Blobs.Delete(ctx, a.Owner, blobKey(a.ID, b.ID))
		if err != nil {
			s.d.Log.Warn("the archive of a deleted application stays", "tenant", a.Owner, "app", a.ID, "err", err)
		}
	}
	for _, x := range gone {
		if err := s.d.Users.RemoveServiceAccount(ctx, x.Tenant, a.serviceUser()); err != nil {
			return err
		}
		s.publish(x.Tenant, iot.Deleted, a.ID)
	}
	if a.Type == Microservice {
		if err := s.d.Users.RemoveServiceAccount(ctx, a.Owner, a.bootstrapUser()); err != nil {
			return err
		}
	}
	s.audit(ctx, p, a, "Application deleted")
	s.publish(a.Owner, iot.Deleted, a.ID)
	return nil
}

// Clone copies an application with its active archive or that of a version into p's tenant. c8y: name, key and context path get the prefix clone.
func (s *Apps) Clone(ctx context.Context, p iot.Principal, key, version string) (App, error) {
	const op = fault.Op("applogic.Clone")
	if err := s.d.Policy.Check(ctx, p, access.Application, access.Admin, access.Object{}); err != nil {
		return App{}, err
	}
	from, err := s.Get(ctx, p, key)
	if err != nil {
		return App{}, err
	}
	if from.Type != Hosted || from.ID == s.d.Home.ID {
		return App{}, fault.E(op, fault.Invalid, "only hosted applications that were uploaded can be cloned")
	}
	active := from.Active
	if version != "" {
		v, ok := from.Find(version)
		if !ok {
			return App{}, fault.E(op, fault.NotFound, "the application has no version or tag "+version)
		}
		active = v.Binary
	}
	to := from.Clone()
	to.Name, to.Key, to.ContextPath = "clone"+from.Name, "clone"+from.Key, "clone"+from.ContextPath
	to.Binaries, to.Versions, to.Active, to.Availability = nil, nil, 0, Private
	if to, err = s.create(ctx, p, to); err != nil || active == 0 {
		return to, err
	}
	b, _ := from.binary(active)
	r, _, err := s.d.Blobs.Open(ctx, from.Owner, blobKey(from.ID, active), 0)
	if err != nil {
		return App{}, err
	}
	defer func() { _ = r.Close() }()
	b, err = s.keep(ctx, to, b.Name, r)
	if err != nil {
		return App{}, err
	}
	return s.update(ctx, p, to, "Application updated", func(a *App) error {
		a.Binaries, a.Active = append(a.Binaries, b), b.ID
		return nil
	})
}
