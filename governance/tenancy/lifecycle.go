package tenancy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// ErrUsed says that a deleted tenant had an id, which is therefore not given again: what remembers the old one must never mean the new.
var ErrUsed = errors.New("a deleted tenant had this id")

// ErrDeleting says that a tenant is being deleted, which nothing stops.
var ErrDeleting = errors.New("the tenant is being deleted")

// Realms founds the realm of a new tenant.
type Realms interface {
	Found(ctx context.Context, t iot.TenantID, a access.FirstAdmin) (bool, error)
	OneTimeCode(ctx context.Context, t iot.TenantID, name iot.UserName) (string, error)
}

// eraser removes what a component keeps of a tenant outside of the database, and counts it.
type eraser struct {
	name  string
	late  bool // may be run again for what was written while the tenant was deleted
	erase func(context.Context, iot.TenantID) (int64, error)
}

// Serve gives the face what starts after it: who founds realms. Call it before the first request.
func (s *Tenants) Serve(r Realms) { s.realms = r }

// AddEraser registers what removes the data that a component keeps of a tenant outside of the database. late: it is run again some time later,
// for what was on its way. Call it before the first request.
func (s *Tenants) AddEraser(name string, late bool, erase func(context.Context, iot.TenantID) (int64, error)) {
	s.erasers = append(s.erasers, eraser{name, late, erase})
}

// AddFounder registers what prepares a component for a tenant that was just created. What fails is logged: the tenant is there by then. Call it before
// the first request.
func (s *Tenants) AddFounder(found func(context.Context, iot.TenantID) error) {
	s.founders = append(s.founders, found)
}

// Receipt says what was erased with a tenant. SHA256 is over its JSON without that member.
type Receipt struct {
	Tenant   iot.TenantID     `json:"tenant"`
	Company  string           `json:"company,omitempty"`
	By       iot.UserName     `json:"by"`
	ErasedAt time.Time        `json:"erasedAt"`
	Counts   map[string]int64 `json:"counts"` // rows by table, and what erasers counted
	SHA256   string           `json:"sha256,omitempty"`
}

func (r Receipt) sum() string {
	r.SHA256 = ""
	b, err := json.Marshal(r)
	if err != nil { // none of its members can fail
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// manages reports whether p's tenant is above t.
func manages(p iot.Principal, t Tenant) bool {
	return t.ID != iot.Management && (p.Tenant == iot.Management || t.Parent == p.Tenant)
}

// Managed returns a tenant to itself and to who manages it; to others it does not exist. It needs the permission to read tenants.
func (s *Tenants) Managed(ctx context.Context, p iot.Principal, id iot.TenantID) (Tenant, error) {
	if err := s.d.Policy.Check(ctx, p, access.TenantAdmin, access.Read, access.Object{}); err != nil {
		return Tenant{}, err
	}
	return s.reach(ctx, p, id, true)
}

// Reach returns a tenant to itself and to who manages it, whatever they may do there; to others it does not exist. The caller asks for the
// permission.
func (s *Tenants) Reach(ctx context.Context, p iot.Principal, id iot.TenantID) (Tenant, error) {
	return s.reach(ctx, p, id, true)
}

func (s *Tenants) reach(ctx context.Context, p iot.Principal, id iot.TenantID, self bool) (Tenant, error) {
	t, err := s.Get(ctx, id)
	if err == nil && !manages(p, t) && !(self && id == p.Tenant) {
		err = fault.E(fault.Op("tenancy.Get"), fault.NotFound, fault.Subject(id), "no tenant with this id")
	}
	return t, err
}

// Draft is what somebody wants a tenant to be; nil members stay as they are.
type Draft struct {
	ID                                                     iot.TenantID // only to create; empty: one is made
	Company, Domain, AdminName, AdminEmail, Contact, Phone *string
	AdminPassword                                          *string
	Status                                                 *Status
	Parents                                                *bool
	Custom                                                 iot.Doc
}

const (
	maxText      = 256
	maxAdminName = 50
	maxContact   = 30
)

func (d *Draft) apply(t *Tenant) error {
	const op = fault.Op("tenancy.Draft")
	for _, f := range []struct {
		name string
		from *string
		to   *string
		max  int
	}{{"company", d.Company, &t.Company, maxText}, {"domain", d.Domain, &t.Domain, maxText}, {"adminName", d.AdminName, &t.AdminName, maxAdminName},
		{"adminEmail", d.AdminEmail, &t.AdminEmail, maxText}, {"contactName", d.Contact, &t.Contact, maxContact}, {"contactPhone", d.Phone, &t.Phone, maxText}} {
		if f.from == nil {
			continue
		}
		if len(*f.from) > f.max {
			return fault.Errorf(op, fault.Invalid, "%s must not be longer than %d characters", f.name, f.max)
		}
		*f.to = strings.TrimSpace(*f.from)
	}
	if d.Domain != nil {
		t.Domain = strings.ToLower(t.Domain)
		if !validDomain(t.Domain) {
			return fault.E(op, fault.Invalid, "domain must consist of lower-case letters, digits, hyphens and dots, and start with a letter, like acme or acme.example.com")
		}
	}
	if d.Status != nil {
		if *d.Status != Active && *d.Status != Suspended {
			return fault.E(op, fault.Invalid, "status must be ACTIVE or SUSPENDED")
		}
		t.Status = *d.Status
	}
	if d.Parents != nil {
		t.Parents = *d.Parents
	}
	if d.Custom != nil {
		t.Custom = t.Custom.Merge(d.Custom)
	}
	return nil
}

// Check says what no tenant can be.
func (d Draft) Check() error { return d.apply(&Tenant{}) }

// free refuses a domain that means somebody else: a host of this platform, or the id of another tenant. Who has subtenants but is not the
// management gives them names of one label, or below its own domain.
func (s *Tenants) free(ctx context.Context, t Tenant, parent Tenant) error {
	const op = fault.Op("tenancy.Domain")
	first, _, dotted := strings.Cut(t.Domain, ".")
	taken := fault.E(op, fault.Conflict, "the domain "+t.Domain+" is not free")
	if slices.Contains(s.d.Hosts, t.Domain) || slices.Contains([]string{"localhost", string(iot.Management), string(iot.DefaultTenant)}, first) {
		return taken
	}
	if id := iot.TenantID(first); id != t.ID && id.Valid() {
		if _, err := s.Get(ctx, id); err == nil {
			return taken
		}
	}
	domains, err := s.byDomain(ctx)
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	for domain, other := range domains { // an id is found before a domain
		if label, _, _ := strings.Cut(domain, "."); other != t.ID && label == string(t.ID) {
			return fault.E(op, fault.Conflict, "the id "+string(t.ID)+" is part of the domain of another tenant")
		}
	}
	if parent.ID != iot.Management && dotted && (parent.Domain == "" || !strings.HasSuffix(t.Domain, "."+parent.Domain)) {
		return fault.E(op, fault.Denied, "the domain of a subtenant must be a single label, or end with ."+parent.Domain)
	}
	return nil
}

func validDomain(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if len(label) < 2 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return s[0] >= 'a' && s[0] <= 'z'
}

// Create makes a tenant below p's, with its realm and first administrator. Without a password for that one, it returns a code with which the
// administrator can log in once to choose one. It needs ROLE_TENANT_MANAGEMENT_CREATE or _ADMIN, in management or a tenant that may have
// subtenants.
func (s *Tenants) Create(ctx context.Context, p iot.Principal, d Draft) (t Tenant, code string, err error) {
	const op = fault.Op("tenancy.Create")
	if err := s.d.Policy.Check(ctx, p, access.TenantAdmin, access.Create, access.Object{}); err != nil {
		return t, "", err
	}
	parent, err := s.Get(ctx, p.Tenant)
	if err != nil {
		return t, "", err
	}
	if p.Tenant != iot.Management && !parent.Parents {
		return t, "", fault.E(op, fault.Denied, "this tenant must not have subtenants")
	}
	for _, v := range []*string{d.Company, d.Domain, d.AdminEmail} {
		if v == nil || strings.TrimSpace(*v) == "" {
			return t, "", fault.E(op, fault.Invalid, "Following mandatory fields should be included: company, domain, adminEmail")
		}
	}
	now := s.d.Clock.Now().Truncate(time.Millisecond)
	t = Tenant{ID: d.ID, AdminName: "admin", Status: Active, Parent: p.Tenant, Created: now}
	if err := d.apply(&t); err != nil {
		return t, "", fault.E(op, err)
	}
	if t.ID == "" {
		n, err := s.d.Store.NextNumber(ctx)
		if err != nil {
			return t, "", sqlkit.Fault(op, err)
		}
		t.ID = iot.TenantID(fmt.Sprintf("t%d", 1000+n))
	}
	if d.ID != "" && p.Tenant != iot.Management {
		return t, "", fault.E(op, fault.Denied, "only the tenant management chooses ids of tenants")
	}
	if !t.ID.Valid() {
		return t, "", fault.E(op, fault.Invalid, fault.Subject(t.ID), "a tenant id has 2 to 64 lower-case letters, digits and hyphens and starts with a letter")
	}
	admin := access.FirstAdmin{Name: iot.UserName(t.AdminName), Email: t.AdminEmail, MustChange: true}
	if d.AdminPassword != nil { // who asks for the tenant has chosen it, and tells it the administrator
		admin.Password, admin.MustChange = *d.AdminPassword, false
	}
	if err := admin.Check(); err != nil {
		return t, "", fault.E(op, err)
	}
	if err := s.free(ctx, t, parent); err != nil {
		return t, "", fault.E(op, err)
	}
	err = s.d.Store.PutTenant(ctx, t, true, s.revision(p))
	if errors.Is(err, ErrUsed) {
		return t, "", fault.E(op, fault.Conflict, err, "a deleted tenant had the id "+string(t.ID)+", which is not given again")
	}
	if err != nil {
		return t, "", fault.E(op, sqlkit.Fault(op, err), "a tenant with the id "+string(t.ID)+" or the domain "+t.Domain+" exists already")
	}
	s.published(t.ID)
	if _, err := s.realms.Found(ctx, t.ID, admin); err != nil {
		return t, "", fault.E(op, err)
	}
	if admin.Password == "" {
		if code, err = s.realms.OneTimeCode(ctx, t.ID, admin.Name); err != nil {
			return t, "", fault.E(op, err)
		}
	}
	s.record(ctx, p, "Tenant created", t.ID, Tenant{}, t)
	for _, found := range s.founders {
		if err := found(ctx, t.ID); err != nil {
			s.d.Log.Error("prepare a new tenant", "tenant", t.ID, "err", err)
		}
	}
	return t, code, nil
}

// Update changes a tenant that p manages. A suspended tenant lets nobody in, and ends who is connected. It needs
// ROLE_TENANT_MANAGEMENT_UPDATE or _ADMIN.
func (s *Tenants) Update(ctx context.Context, p iot.Principal, id iot.TenantID, d Draft) (Tenant, error) {
	const op = fault.Op("tenancy.Update")
	if err := s.d.Policy.Check(ctx, p, access.TenantAdmin, access.Update, access.Object{}); err != nil {
		return Tenant{}, err
	}
	before, err := s.reach(ctx, p, id, false)
	if err != nil {
		return before, err
	}
	if before.Status == Deleting {
		return before, fault.E(op, fault.Conflict, ErrDeleting.Error())
	}
	t := before
	if err := d.apply(&t); err != nil {
		return t, fault.E(op, err)
	}
	if t.Domain != before.Domain {
		parent, err := s.Get(ctx, p.Tenant)
		if err != nil {
			return t, err
		}
		if err := s.free(ctx, t, parent); err != nil {
			return t, fault.E(op, err)
		}
	}
	err = s.d.Store.PutTenant(ctx, t, false, s.revision(p))
	if errors.Is(err, ErrDeleting) {
		return t, fault.E(op, fault.Conflict, err, ErrDeleting.Error())
	}
	if err != nil {
		return t, fault.E(op, sqlkit.Fault(op, err), "a tenant with the domain "+t.Domain+" exists already")
	}
	s.published(id)
	activity := "Tenant updated"
	switch {
	case before.Status == Active && t.Status == Suspended:
		activity = "Tenant suspended"
	case before.Status == Suspended && t.Status == Active:
		activity = "Tenant activated"
	}
	s.record(ctx, p, activity, id, before, t)
	return t, nil
}

// published makes every node forget the tenant, and look again at who of it is logged in and connected.
func (s *Tenants) published(id iot.TenantID) {
	s.forget(id)
	s.d.Bus.Publish(bus.Subject(id, "tenant"), nil)
	s.d.Bus.Publish(bus.Subject(id, "access"), nil)
}

func (s *Tenants) record(ctx context.Context, p iot.Principal, activity string, id iot.TenantID, before, after Tenant) {
	doc := func(t Tenant) iot.Doc {
		if t.ID == "" {
			return nil
		}
		raw, err := json.Marshal(t)
		if err != nil {
			return nil
		}
		d, _ := iot.ParseDoc(raw, iot.MaxDepth)
		return d
	}
	s.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "Tenant", Activity: activity, Text: activity + ": " + string(id), Changes: iot.Diff(doc(before), doc(after))})
}

// Delete erases a tenant and all of its data, and returns the receipt. Nobody can undo it. Of its audit only the chain of hashes stays. It
// needs ROLE_TENANT_MANAGEMENT_ADMIN in management. Deleting again after a failure goes on.
func (s *Tenants) Delete(ctx context.Context, p iot.Principal, id iot.TenantID) (Receipt, error) {
	const op = fault.Op("tenancy.Delete")
	if err := s.d.Policy.Check(ctx, p, access.TenantAdmin, access.Admin, access.Object{}); err != nil {
		return Receipt{}, err
	}
	if p.Tenant != iot.Management {
		return Receipt{}, fault.E(op, fault.Denied, "only the tenant management can delete tenants")
	}
	if id == iot.Management || id == iot.DefaultTenant {
		return Receipt{}, fault.E(op, fault.Conflict, "the tenant "+string(id)+" is part of every installation and cannot be deleted")
	}
	t, err := s.reach(ctx, p, id, false)
	if err != nil {
		return Receipt{}, err
	}
	all, err := s.d.Store.Tenants(ctx)
	if err != nil {
		return Receipt{}, sqlkit.Fault(op, err)
	}
	for _, other := range all {
		if other.Parent == id {
			return Receipt{}, fault.E(op, fault.Conflict, "the tenant has subtenants: delete "+string(other.ID)+" first")
		}
	}
	before := t
	t.Status = Deleting
	if err := s.d.Store.PutTenant(ctx, t, false, s.revision(p)); err != nil {
		return Receipt{}, sqlkit.Fault(op, err)
	}
	s.published(id) // nobody comes in any more
	r, err := s.erase(context.WithoutCancel(ctx), p, t)
	if err != nil {
		return r, fault.E(op, err)
	}
	s.record(ctx, p, "Tenant deleted", id, before, Tenant{})
	return r, nil
}

func (s *Tenants) erase(ctx context.Context, p iot.Principal, t Tenant) (Receipt, error) {
	const op = fault.Op("tenancy.Delete")
	r := Receipt{Tenant: t.ID, Company: t.Company, By: p.User, ErasedAt: s.d.Clock.Now().Truncate(time.Millisecond).UTC(), Counts: map[string]int64{}}
	for _, e := range s.erasers {
		n, err := e.erase(ctx, t.ID)
		if err != nil {
			return r, fault.E(op, fmt.Errorf("%s: %w", e.name, err))
		}
		r.Counts[e.name] += n
	}
	rows, err := s.d.Store.EraseRows(ctx, t.ID)
	if err != nil {
		return r, sqlkit.Fault(op, err)
	}
	maps.Copy(r.Counts, rows)
	r.SHA256 = r.sum()
	if err := s.d.Store.Bury(ctx, r); err != nil {
		return r, sqlkit.Fault(op, err)
	}
	s.published(t.ID)
	s.sweepLater(t.ID)
	return r, nil
}

// sweeps are when a deleted tenant is erased once more: a request that was let in before may have written after the erasure.
var sweeps = [...]time.Duration{2 * time.Second, 30 * time.Second, 10 * time.Minute}

func (s *Tenants) sweepLater(id iot.TenantID) {
	for i, after := range sweeps {
		s.later(after, func() { s.sweep(context.Background(), id, i == len(sweeps)-1) })
	}
}

// sweep erases what was written after a tenant had gone. After the last time no start looks again.
func (s *Tenants) sweep(ctx context.Context, id iot.TenantID, last bool) {
	rows, err := s.d.Store.EraseRows(ctx, id)
	for _, e := range s.erasers {
		if err == nil && e.late {
			_, err = e.erase(ctx, id)
		}
	}
	if err == nil && last {
		err = s.d.Store.Swept(ctx, id)
	}
	if err != nil {
		s.d.Log.Error("a deleted tenant may have data left; the next start looks again", "tenant", id, "err", err)
	} else if len(rows) > 0 {
		s.d.Log.Info("erased what was written while a tenant was deleted", "tenant", id, "rows", rows)
	}
}

// later runs fn after a while, unless the face is closed before.
func (s *Tenants) later(d time.Duration, fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running.Add(1)
	timer := time.NewTimer(d)
	go func() {
		defer s.running.Done()
		defer timer.Stop()
		select {
		case <-timer.C:
			fn()
		case <-s.closed:
		}
	}()
}

// Resume goes on with deletions that were cut short, and looks once more at what was deleted lately. It acts for the platform.
func (s *Tenants) Resume(ctx context.Context) error {
	all, err := s.d.Store.Tenants(ctx)
	if err != nil {
		return sqlkit.Fault("tenancy.Resume", err)
	}
	unswept, err := s.d.Store.Unswept(ctx)
	if err != nil {
		return sqlkit.Fault("tenancy.Resume", err)
	}
	for _, id := range unswept {
		s.sweep(ctx, id, false)
		s.sweepLater(id)
	}
	for _, t := range all {
		if t.Status != Deleting {
			continue
		}
		if _, err := s.erase(ctx, iot.System(iot.Management), t); err != nil {
			return err
		}
		s.record(ctx, iot.System(iot.Management), "Tenant deleted", t.ID, t, Tenant{})
	}
	return nil
}

// Receipts returns what was erased, the newest first, to members of management who may read tenants.
func (s *Tenants) Receipts(ctx context.Context, p iot.Principal) ([]Receipt, error) {
	if err := s.d.Policy.Check(ctx, p, access.TenantAdmin, access.Read, access.Object{}); err != nil {
		return nil, err
	}
	if p.Tenant != iot.Management {
		return nil, nil
	}
	out, err := s.d.Store.Receipts(ctx)
	return out, sqlkit.Fault("tenancy.Receipts", err)
}

// ByHost returns the tenant whose domain a host name (with or without port) is, or starts with as its first label; the first label may also be
// the tenant's id. Empty if there is none. A suspended tenant is found as well: it must not turn into another one.
func (s *Tenants) ByHost(ctx context.Context, host string) iot.TenantID {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	first, _, dotted := strings.Cut(host, ".")
	if host == "" || net.ParseIP(host) != nil {
		return ""
	}
	domains, err := s.byDomain(ctx)
	if err != nil {
		s.d.Log.Warn("read the domains of tenants", "err", err)
		return ""
	}
	if id := iot.TenantID(first); dotted && id.Valid() { // before domains, which others choose
		if _, err := s.Get(ctx, id); err == nil {
			return id
		}
	}
	if t, ok := domains[host]; ok {
		return t
	}
	if dotted {
		return domains[first]
	}
	return ""
}

func (s *Tenants) byDomain(ctx context.Context) (map[string]iot.TenantID, error) {
	s.mu.RLock()
	domains, before := s.domains, s.changes
	s.mu.RUnlock()
	if domains != nil {
		return domains, nil
	}
	all, err := s.d.Store.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	domains = map[string]iot.TenantID{}
	for _, t := range all {
		if t.Domain != "" {
			domains[t.Domain] = t.ID
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes == before {
		s.domains = domains
	}
	return domains, nil
}
