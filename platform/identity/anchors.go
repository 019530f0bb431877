package identity

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/secret"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// AnchorDeps is what Anchors needs.
type AnchorDeps struct {
	Store  AnchorStore
	Users  *access.Users
	Policy *access.Policy
	Audit  access.Auditor
	Bus    *bus.Bus
	Clock  clock.Clock
	Log    *slog.Logger
	// Registrations tells which devices may enrol, and Vault seals the keys of certificate authorities.
	Registrations Store
	Vault         *secret.Box
	// Option returns an option of a tenant; nil: there are none.
	Option func(ctx context.Context, t iot.TenantID, category, key string) (string, bool)
}

// Anchors is the face of trust anchors and of logins with certificates. It is safe for concurrent use.
type Anchors struct {
	d       AnchorDeps
	cache   atomic.Pointer[trust] // nil: read the store
	changes atomic.Uint64
	mu      sync.Mutex // makes changing both one step
	stop    func()
}

// NewAnchors returns the face. It follows the changes of other nodes until Close.
func NewAnchors(d AnchorDeps) (*Anchors, error) {
	s := &Anchors{d: d}
	var err error
	s.stop, err = s.Watch(func(iot.TenantID) {})
	return s, err
}

// Close ends the subscription to changes.
func (s *Anchors) Close() { s.stop() }

func (s *Anchors) revision(p iot.Principal) sqlkit.Revision {
	return sqlkit.Revision{At: s.d.Clock.Now().Truncate(time.Millisecond), By: string(p.User), Set: sqlkit.NewSetID()}
}

// may checks that p administers the tenant t: its own, or any if p belongs to the management. c8y: ROLE_TENANT_ADMIN does as well.
func (s *Anchors) may(ctx context.Context, p iot.Principal, t iot.TenantID) error {
	if !p.Has("ROLE_TENANT_ADMIN") {
		if err := s.d.Policy.Check(ctx, p, access.TenantAdmin, access.Admin, access.Object{}); err != nil {
			return err
		}
	}
	if t != p.Tenant && p.Tenant != iot.Management {
		return fault.E(fault.Op("identity.Anchors"), fault.NotFound, fault.Subject(t), "no tenant with this id")
	}
	return nil
}

// mayRead is may for who only looks. c8y: ROLE_TENANT_MANAGEMENT_READ is enough.
func (s *Anchors) mayRead(ctx context.Context, p iot.Principal, t iot.TenantID) error {
	if err := s.may(ctx, p, t); !fault.Is(err, fault.Denied) {
		return err
	}
	if err := s.d.Policy.Check(ctx, p, access.TenantAdmin, access.Read, access.Object{}); err != nil {
		return err
	}
	if t != p.Tenant && p.Tenant != iot.Management {
		return fault.E(fault.Op("identity.Anchors"), fault.NotFound, fault.Subject(t), "no tenant with this id")
	}
	return nil
}

// MaxAnchors bounds the anchors of a tenant.
const MaxAnchors = 500

// Upload is a certificate to trust.
type Upload struct {
	Name             string // empty: the common name of the certificate
	PEM              string // as ParseCertificate takes it
	Enabled          bool
	AutoRegistration bool
}

// Upload adds anchors to a tenant, all or none. A certificate that is there already, in whichever tenant, is a fault of kind Conflict: it
// could not tell whose devices it vouches for. It needs ROLE_TENANT_MANAGEMENT_ADMIN or ROLE_TENANT_ADMIN.
func (s *Anchors) Upload(ctx context.Context, p iot.Principal, t iot.TenantID, uploads []Upload) ([]Anchor, error) {
	const op = fault.Op("identity.Upload")
	if err := s.may(ctx, p, t); err != nil {
		return nil, err
	}
	if len(uploads) == 0 || len(uploads) > MaxAnchors {
		return nil, fault.Errorf(op, fault.Invalid, "1 to %d certificates can be uploaded at once", MaxAnchors)
	}
	rev := s.revision(p)
	out := make([]Anchor, len(uploads))
	for i, x := range uploads {
		var err error
		if out[i], err = x.anchor(t, rev.At); err != nil {
			return nil, err
		}
	}
	err := s.d.Store.Create(ctx, t, out, MaxAnchors, rev)
	switch {
	case sqlkit.IsUnique(err):
		return nil, fault.E(op, fault.Conflict, err, "a trusted certificate with this fingerprint exists already")
	case errors.Is(err, ErrTooMany):
		return nil, fault.Errorf(op, fault.Invalid, "a tenant can have %d trusted certificates", MaxAnchors)
	case err != nil:
		return nil, sqlkit.Fault(op, err)
	}
	s.changed(t)
	for _, a := range out {
		s.record(ctx, p, a, "Trusted certificate uploaded", "Trusted certificate '"+a.Name+"' ("+a.Fingerprint+") uploaded", nil)
	}
	return out, nil
}

func (x Upload) anchor(t iot.TenantID, now time.Time) (Anchor, error) {
	c, err := ParseCertificate(x.PEM)
	if err != nil {
		return Anchor{}, err
	}
	if err := validAnchorName(x.Name); err != nil {
		return Anchor{}, err
	}
	if err := current(c, now, x.Enabled); err != nil {
		return Anchor{}, err
	}
	a := Anchor{Tenant: t, Fingerprint: fingerprint(c.Raw), Name: x.Name, Enabled: x.Enabled, AutoRegistration: x.AutoRegistration, DER: c.Raw, Created: now, Changed: now}
	if a.Name == "" {
		name := strings.ReplaceAll(c.Subject.CommonName, "\x00", "")
		a.Name = strings.ToValidUTF8(name[:min(len(name), maxAnchorName)], "")
	}
	return a, nil
}

// current refuses a certificate that has expired, and to enable one that is not valid yet.
func current(c *x509.Certificate, now time.Time, enable bool) error {
	const op = fault.Op("identity.Upload")
	switch {
	case c == nil:
		return nil
	case !c.NotAfter.After(now):
		return fault.E(op, fault.Invalid, "the certificate has expired at "+iot.FormatTime(c.NotAfter))
	case enable && c.NotBefore.After(now.Add(skew)):
		return fault.E(op, fault.Invalid, "the certificate is not valid before "+iot.FormatTime(c.NotBefore)+": it can be enabled then")
	}
	return nil
}

func (s *Anchors) record(ctx context.Context, p iot.Principal, a Anchor, activity, text string, changes []iot.AttributeChange) {
	p.Tenant = a.Tenant // the record concerns the tenant whose devices get in, also if the management acts
	s.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "TrustedCertificate", Activity: activity, Text: text, Changes: changes})
}

// List returns a page of a tenant's anchors, or only its authority, oldest first, and the number of all of them. It needs the permission for Upload,
// or ROLE_TENANT_MANAGEMENT_READ.
func (s *Anchors) List(ctx context.Context, p iot.Principal, t iot.TenantID, authority bool, offset, limit int) ([]Anchor, int, error) {
	if err := s.mayRead(ctx, p, t); err != nil {
		return nil, 0, err
	}
	out, n, err := s.d.Store.List(ctx, t, authority, offset, limit)
	return out, n, sqlkit.Fault("identity.Anchors", err)
}

// Get returns one anchor. It needs the same permission as List.
func (s *Anchors) Get(ctx context.Context, p iot.Principal, t iot.TenantID, fingerprint string) (Anchor, error) {
	if err := s.mayRead(ctx, p, t); err != nil {
		return Anchor{}, err
	}
	a, err := s.d.Store.Get(ctx, t, fingerprint)
	return a, noAnchor("identity.Anchor", fingerprint, err)
}

func noAnchor(op fault.Op, fingerprint string, err error) error {
	err = sqlkit.Fault(op, err)
	if fault.Is(err, fault.NotFound) {
		return fault.E(op, fault.NotFound, fault.Subject(fingerprint), err, "there is no trusted certificate with this fingerprint")
	}
	return err
}

// Patch is what a client wants to change of an anchor; nil members stay.
type Patch struct {
	Name             *string
	Enabled          *bool
	AutoRegistration *bool
}

// Change changes an anchor. Connections that one vouches for which is disabled end at once, on all nodes. It needs the same permission as Upload.
func (s *Anchors) Change(ctx context.Context, p iot.Principal, t iot.TenantID, fingerprint string, patch Patch) (Anchor, error) {
	if err := s.may(ctx, p, t); err != nil {
		return Anchor{}, err
	}
	if patch.Name != nil {
		if err := validAnchorName(*patch.Name); err != nil {
			return Anchor{}, err
		}
	}
	if patch.Enabled != nil && *patch.Enabled {
		a, err := s.d.Store.Get(ctx, t, fingerprint)
		if err != nil {
			return Anchor{}, noAnchor("identity.Change", fingerprint, err)
		}
		if err := current(a.Certificate(), s.d.Clock.Now(), !a.Enabled); err != nil && !a.Enabled {
			return Anchor{}, err
		}
	}
	return s.update(ctx, "identity.Change", p, t, fingerprint, "Trusted certificate updated", func(a Anchor) Anchor {
		if patch.Name != nil {
			a.Name = *patch.Name
		}
		if patch.Enabled != nil {
			a.Enabled = *patch.Enabled
		}
		if patch.AutoRegistration != nil {
			a.AutoRegistration = *patch.AutoRegistration
		}
		return a
	})
}

func (s *Anchors) update(ctx context.Context, op fault.Op, p iot.Principal, t iot.TenantID, fingerprint, activity string, change func(Anchor) Anchor) (Anchor, error) {
	var before Anchor
	a, err := s.d.Store.Update(ctx, t, fingerprint, s.revision(p), func(a Anchor) Anchor {
		before = a
		return change(a)
	})
	if err != nil {
		return Anchor{}, noAnchor(op, fingerprint, err)
	}
	s.changed(t)
	s.record(ctx, p, a, activity, activity+": '"+a.Name+"' ("+fingerprint+")", anchorChanges(before, a))
	return a, nil
}

func anchorChanges(before, after Anchor) (out []iot.AttributeChange) {
	add := func(name, kind, old, new string) {
		if old != new {
			out = append(out, iot.AttributeChange{Attribute: name, Type: kind, Previous: old, New: new})
		}
	}
	add("name", "String", before.Name, after.Name)
	add("enabled", "Boolean", strconv.FormatBool(before.Enabled), strconv.FormatBool(after.Enabled))
	add("autoRegistrationEnabled", "Boolean", strconv.FormatBool(before.AutoRegistration), strconv.FormatBool(after.AutoRegistration))
	add("proofOfPossessionValid", "Boolean", strconv.FormatBool(before.Proven), strconv.FormatBool(after.Proven))
	return out
}

// Delete withdraws the trust. Connections that the anchor vouched for end at once, on all nodes. It needs the same permission as Upload.
func (s *Anchors) Delete(ctx context.Context, p iot.Principal, t iot.TenantID, fingerprint string) error {
	if err := s.may(ctx, p, t); err != nil {
		return err
	}
	a, err := s.d.Store.Delete(ctx, t, fingerprint, s.revision(p))
	if err != nil {
		return noAnchor("identity.Delete", fingerprint, err)
	}
	s.changed(t)
	s.record(ctx, p, a, "Trusted certificate deleted", "Trusted certificate '"+a.Name+"' ("+fingerprint+") deleted", nil)
	return nil
}

// Challenge makes a code that the holder of the certificate's key has to sign within the hour. It needs the same permission as Upload.
func (s *Anchors) Challenge(ctx context.Context, p iot.Principal, t iot.TenantID, fingerprint string) (Anchor, error) {
	if err := s.may(ctx, p, t); err != nil {
		return Anchor{}, err
	}
	code, until := newCode(), s.d.Clock.Now().Add(codeLifetime).Truncate(time.Millisecond)
	return s.update(ctx, "identity.Challenge", p, t, fingerprint, "Proof of possession asked for", func(a Anchor) Anchor {
		a.Code, a.CodeUntil, a.Signature = code, until, ""
		return a
	})
}

// Prove takes the signed code. One that is wrong is a fault of kind Malformed, one that is late of kind Invalid. It needs the same permission as Upload.
func (s *Anchors) Prove(ctx context.Context, p iot.Principal, t iot.TenantID, fingerprint, signature string) (Anchor, error) {
	const op = fault.Op("identity.Prove")
	if err := s.may(ctx, p, t); err != nil {
		return Anchor{}, err
	}
	a, err := s.Get(ctx, p, t, fingerprint)
	if err != nil {
		return Anchor{}, err
	}
	now, c := s.d.Clock.Now(), a.Certificate()
	switch {
	case a.Code == "" || now.After(a.CodeUntil):
		return Anchor{}, fault.E(op, fault.Invalid, "there is no verification code that could be signed now: ask for one")
	case len(signature) > maxCertificate || c == nil || !signed(c, a.Code, signature):
		s.record(ctx, p, a, "Proof of possession failed", "The signature of the verification code of '"+a.Name+"' ("+fingerprint+") is wrong", nil)
		return Anchor{}, fault.E(op, fault.Malformed, "the signature is not one of the verification code with the key of the certificate")
	}
	code := a.Code
	return s.update(ctx, op, p, t, fingerprint, "Proof of possession given", func(a Anchor) Anchor {
		if a.Code == code {
			a.Proven, a.Signature = true, signature
		}
		return a
	})
}

// Confirm vouches for an anchor without a signature. Only members of the management may, with the same permission as for Upload.
func (s *Anchors) Confirm(ctx context.Context, p iot.Principal, t iot.TenantID, fingerprint string) (Anchor, error) {
	const op = fault.Op("identity.Confirm")
	if err := s.may(ctx, p, t); err != nil {
		return Anchor{}, err
	}
	if p.Tenant != iot.Management {
		return Anchor{}, fault.E(op, fault.Denied, "only the tenant management confirms a certificate without a signature")
	}
	return s.update(ctx, op, p, t, fingerprint, "Proof of possession confirmed", func(a Anchor) Anchor { a.Proven = true; return a })
}
