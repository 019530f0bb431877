package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

const (
	// authorityLifetime is how long the certificate of an authority is valid. c8y: 1,095 days.
	authorityLifetime = 1095 * 24 * time.Hour
	// authorityRenewal is how long before its end the certificate can be renewed. c8y: 18 months.
	authorityRenewal = 548 * 24 * time.Hour
	// skew is how much earlier than now a certificate is valid: clocks of devices differ.
	skew = 5 * time.Minute
)

// authority is a certificate authority with its key.
type authority struct {
	Anchor
	cert *x509.Certificate
	key  crypto.Signer
}

// CreateAuthority makes the certificate authority of the tenant of p: a new key, which the platform keeps sealed, and a certificate in the
// tenant's name, which is trusted and registers devices. One that is there already is a fault of kind Conflict. It needs the same permission as Upload.
func (s *Anchors) CreateAuthority(ctx context.Context, p iot.Principal) (Anchor, error) {
	const op = fault.Op("identity.CreateAuthority")
	if err := s.may(ctx, p, p.Tenant); err != nil {
		return Anchor{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Anchor{}, fault.E(op, err)
	}
	a, err := s.certify(p.Tenant, key)
	if err != nil {
		return Anchor{}, fault.E(op, err)
	}
	return s.putAuthority(ctx, op, p, a, key, "", "Certificate authority created")
}

// RenewAuthority gives the authority of the tenant of p a new certificate with the same key, so that what it has issued stays good. None is a fault of
// kind NotFound, one that has more than 18 months to go one of kind Invalid. It needs the same permission as Upload.
func (s *Anchors) RenewAuthority(ctx context.Context, p iot.Principal) (Anchor, error) {
	const op = fault.Op("identity.RenewAuthority")
	if err := s.may(ctx, p, p.Tenant); err != nil {
		return Anchor{}, err
	}
	old, err := s.authority(ctx, op, p.Tenant)
	if err != nil {
		return Anchor{}, err
	}
	if old.cert.NotAfter.Sub(s.d.Clock.Now()) > authorityRenewal {
		return Anchor{}, fault.E(op, fault.Invalid, "the certificate of the authority is valid until "+iot.FormatTime(old.cert.NotAfter)+"; it can be renewed in its last 18 months")
	}
	a, err := s.certify(p.Tenant, old.key)
	if err != nil {
		return Anchor{}, fault.E(op, err)
	}
	a.Enabled, a.AutoRegistration, a.Name = old.Enabled, old.AutoRegistration, old.Name
	return s.putAuthority(ctx, op, p, a, old.key, old.Fingerprint, "Certificate authority renewed")
}

// certify makes the certificate of an authority.
func (s *Anchors) certify(t iot.TenantID, key crypto.Signer) (Anchor, error) {
	now := s.d.Clock.Now().Truncate(time.Millisecond)
	c := &x509.Certificate{SerialNumber: newSerial(), Subject: pkix.Name{CommonName: string(t), Organization: []string{"Isobar"}}, NotBefore: now.Add(-skew), NotAfter: now.Add(authorityLifetime),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return Anchor{}, err
	}
	return Anchor{Tenant: t, Fingerprint: fingerprint(der), Name: string(t), Enabled: true, AutoRegistration: true, DER: der, Created: now, Changed: now, Proven: true, Authority: true}, nil
}

func newSerial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b)
}

const sealedFor = "certificate authority"

func (s *Anchors) putAuthority(ctx context.Context, op fault.Op, p iot.Principal, a Anchor, key crypto.Signer, replaces, activity string) (Anchor, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Anchor{}, fault.E(op, err)
	}
	err = s.d.Store.PutAuthority(ctx, a.Tenant, a, s.d.Vault.Seal(der, sealedFor, string(a.Tenant)), replaces, MaxAnchors, s.revision(p))
	switch {
	case errors.Is(err, ErrAuthority), sqlkit.IsUnique(err):
		return Anchor{}, fault.E(op, fault.Conflict, err, "the tenant has a certificate authority already")
	case errors.Is(err, ErrTooMany):
		return Anchor{}, fault.Errorf(op, fault.Invalid, "a tenant can have %d trusted certificates", MaxAnchors)
	case err != nil:
		return Anchor{}, sqlkit.Fault(op, err)
	}
	s.changed(a.Tenant)
	s.record(ctx, p, a, activity, activity+": '"+a.Name+"' ("+a.Fingerprint+")", nil)
	return a, nil
}

// authority opens the certificate authority of a tenant. None is a fault of kind NotFound.
func (s *Anchors) authority(ctx context.Context, op fault.Op, t iot.TenantID) (authority, error) {
	a, sealed, err := s.d.Store.Authority(ctx, t)
	if err = sqlkit.Fault(op, err); fault.Is(err, fault.NotFound) {
		return authority{}, fault.E(op, fault.NotFound, err, "the tenant has no certificate authority")
	}
	if err != nil {
		return authority{}, err
	}
	der, err := s.d.Vault.Open(sealed, sealedFor, string(t))
	if err != nil {
		return authority{}, fault.E(op, fault.Corrupt, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	key, ok := parsed.(crypto.Signer)
	cert := a.Certificate()
	if err != nil || !ok || cert == nil {
		return authority{}, fault.E(op, fault.Corrupt, err)
	}
	return authority{a, cert, key}, nil
}
