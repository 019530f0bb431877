package identity

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

const (
	defaultChain = 2  // certificates of a chain below the anchor
	maxChain     = 10 // the most that the option allows, and what a client may send
)

// trust is what this node knows of the enabled anchors of all tenants. It is never changed, only replaced.
type trust struct {
	bySubject map[string][]*root
	byPrint   map[string]*root
}

type root struct {
	Anchor
	cert *x509.Certificate
}

// known returns the enabled anchors, from the store if they changed. Concurrent callers may read twice; the last one to begin wins.
func (s *Anchors) known(ctx context.Context) (*trust, error) {
	if t := s.cache.Load(); t != nil {
		return t, nil
	}
	before := s.changes.Load()
	list, err := s.d.Store.Enabled(ctx)
	if err != nil {
		return nil, sqlkit.Fault("identity.Anchors", err)
	}
	t := &trust{bySubject: map[string][]*root{}, byPrint: make(map[string]*root, len(list))}
	for _, a := range list {
		r := &root{a, a.Certificate()}
		if r.cert == nil {
			continue
		}
		t.byPrint[a.Fingerprint] = r
		t.bySubject[string(r.cert.RawSubject)] = append(t.bySubject[string(r.cert.RawSubject)], r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes.Load() == before {
		s.cache.Store(t)
	}
	return t, nil
}

func (s *Anchors) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes.Add(1)
	s.cache.Store(nil)
}

// changed makes every node forget, and look again at who is connected.
func (s *Anchors) changed(t iot.TenantID) {
	s.forget()
	s.d.Bus.Publish(bus.Subject(t, "anchor"), nil)
}

// Watch calls changed when anchors of a tenant changed, on whichever node, after this one has forgotten what it knew.
func (s *Anchors) Watch(changed func(t iot.TenantID)) (stop func(), err error) {
	return s.d.Bus.Subscribe(bus.All("anchor"), func(t iot.TenantID, _ string, _ []byte) {
		s.forget()
		changed(t)
	})
}

// Trusts reports whether what let a client in still does: Admission.Anchor names an anchor of the tenant that is there, enabled and, where that is asked for,
// proven, and no certificate of the chain is revoked.
func (s *Anchors) Trusts(ctx context.Context, t iot.TenantID, voucher string) (bool, error) {
	known, err := s.known(ctx)
	if err != nil {
		return false, err
	}
	print, serials, _ := strings.Cut(voucher, "|")
	r := known.byPrint[print]
	if r == nil || r.Tenant != t || !s.usable(ctx, r.Anchor) {
		return false, nil
	}
	if serials == "" {
		return true, nil
	}
	revoked, err := s.revoked(ctx, t, strings.Split(serials, ","))
	return !revoked && err == nil, err
}

// usable applies the management's option device-certificates/proof-of-possession: "required" lets only proven anchors count.
func (s *Anchors) usable(ctx context.Context, a Anchor) bool {
	return a.Proven || !strings.EqualFold(s.option(ctx, "proof-of-possession"), "required")
}

func (s *Anchors) option(ctx context.Context, key string) string {
	if s.d.Option == nil {
		return ""
	}
	v, _ := s.d.Option(ctx, iot.Management, "device-certificates", key)
	return strings.TrimSpace(v)
}

func (s *Anchors) chainLimit(ctx context.Context) int {
	n := 0
	for _, d := range s.option(ctx, "chain-length") {
		if d < '0' || d > '9' || n > maxChain {
			return defaultChain
		}
		n = n*10 + int(d-'0')
	}
	if n < 1 || n > maxChain {
		return defaultChain
	}
	return n
}

// CertificateLogin is a client that has shown, in a TLS handshake, that it holds the key of the first certificate.
type CertificateLogin struct {
	Chain      []*x509.Certificate // as it was sent, the client's own first
	Device     string              // the id that the client says it has
	RemoteAddr string
}

// Admission is what a certificate login leads to.
type Admission struct {
	Principal iot.Principal
	Anchor    string // what vouched, for Trusts: one line of text
	Until     time.Time
}

// errUntrusted says no more than that: which anchors there are is not a stranger's business.
var errUntrusted = errors.New("no enabled trust anchor vouches for the certificate")

// Login lets a device in by its certificate. The tenant is that of the nearest anchor in the chain; the common name must be the device's id.
// It is a fault of kind Denied if it is not welcome, whose cause the audit of the tenant tells, if there is one.
func (s *Anchors) Login(ctx context.Context, l CertificateLogin) (Admission, error) {
	const op = fault.Op("identity.Login")
	found, err := s.vouch(ctx, l.Chain)
	if err != nil {
		if fault.KindOf(err).Ours() {
			return Admission{}, err
		}
		s.d.Log.Debug("certificate refused", "addr", l.RemoteAddr, "err", err)
		return Admission{}, fault.E(op, fault.Denied, err, "the certificate is not trusted: "+fault.Message(err))
	}
	r := found.root
	refuse := func(why string) (Admission, error) {
		s.d.Users.ReportLogin(ctx, r.Tenant, access.Login{User: string(iot.DeviceUser(l.Device)), RemoteAddr: l.RemoteAddr}, why)
		return Admission{}, fault.E(op, fault.Denied, fault.Subject(l.Device), why)
	}
	name := l.Chain[0].Subject.CommonName
	if err := validID(name); err != nil {
		return refuse("the common name of the certificate cannot be a device id")
	}
	if name != l.Device {
		return refuse("the common name of the certificate is not the device id in the client id")
	}
	if revoked, err := s.revoked(ctx, r.Tenant, found.serials); err != nil {
		return Admission{}, err
	} else if revoked {
		return refuse(errRevoked.Error())
	}
	p, err := s.d.Users.Certified(ctx, r.Tenant, name, r.AutoRegistration, l.RemoteAddr)
	switch {
	case fault.Is(err, fault.NotFound):
		return refuse("the device is not registered, and the trust anchor does not register devices by itself")
	case fault.Is(err, fault.Unauthenticated):
		return refuse("the account of the device is disabled")
	case err != nil:
		return Admission{}, fault.E(op, err)
	}
	return Admission{Principal: p, Anchor: r.Fingerprint + "|" + strings.Join(found.serials, ","), Until: found.until}, nil
}

// voucher is an anchor that vouches for a chain.
type voucher struct {
	root    *root
	until   time.Time // the chain is valid until then
	serials []string  // of the certificates from the first one to the anchor
}

// vouch finds the nearest enabled anchor in the chain of a certificate, and until when the chain is valid.
func (s *Anchors) vouch(ctx context.Context, chain []*x509.Certificate) (voucher, error) {
	if len(chain) == 0 || len(chain) > maxChain {
		return voucher{}, fault.Errorf("identity.Login", fault.Denied, "a chain has 1 to %d certificates", maxChain)
	}
	known, err := s.known(ctx)
	if err != nil {
		return voucher{}, err
	}
	now, limit := s.d.Clock.Now(), s.chainLimit(ctx)
	path, last := chain[:1:1], errUntrusted
	for {
		for _, r := range known.above(path[len(path)-1]) {
			if !s.usable(ctx, r.Anchor) {
				continue
			}
			until, err := verify(path, r.cert, now)
			if err == nil {
				return voucher{r, until, serials(path, r.cert)}, nil
			}
			last = err
		}
		// One more step up, along what the client sent.
		next := issuer(path[len(path)-1], chain[1:])
		if next == nil || len(path) == limit {
			return voucher{}, fault.E(fault.Op("identity.Login"), fault.Denied, last, explain(last, next != nil))
		}
		path = append(path, next)
	}
}

func serials(path []*x509.Certificate, anchor *x509.Certificate) []string {
	out := make([]string, 0, len(path)+1)
	for _, c := range append(path[:len(path):len(path)], anchor) {
		out = append(out, serial(c))
	}
	return out
}

// above returns the anchors that are c or have signed it. The signature is looked at here, so that anchors with a name that somebody else's
// has cost nothing further on.
func (t *trust) above(c *x509.Certificate) (out []*root) {
	if r := t.byPrint[fingerprint(c.Raw)]; r != nil && bytes.Equal(r.DER, c.Raw) {
		return []*root{r}
	}
	for _, r := range t.bySubject[string(c.RawIssuer)] {
		if c.CheckSignatureFrom(r.cert) == nil {
			out = append(out, r)
		}
	}
	return out
}

func issuer(of *x509.Certificate, sent []*x509.Certificate) *x509.Certificate {
	for _, c := range sent {
		if !bytes.Equal(c.Raw, of.Raw) && bytes.Equal(c.RawSubject, of.RawIssuer) && of.CheckSignatureFrom(c) == nil {
			return c
		}
	}
	return nil
}

// verify applies RFC 5280 to one path: validity, basic constraints, name constraints. Devices are not told what their key is for.
func verify(path []*x509.Certificate, anchor *x509.Certificate, now time.Time) (until time.Time, err error) {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(anchor)
	for _, c := range path[1:] {
		between.AddCert(c)
	}
	chains, err := path[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return time.Time{}, err
	}
	for i, c := range chains[0] {
		if i == 0 || c.NotAfter.Before(until) {
			until = c.NotAfter
		}
	}
	return until, nil
}

func explain(err error, tooLong bool) string {
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "a certificate of the chain is not valid at this time"
	case errors.As(err, &invalid):
		return "a certificate of the chain must not vouch for another one"
	case tooLong:
		return "the chain is longer than this platform allows"
	}
	return errUntrusted.Error()
}
