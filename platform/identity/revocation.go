package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

const (
	// MaxRevocations bounds the serial numbers of one request, MaxRevoked those of a tenant.
	MaxRevocations = 5000
	MaxRevoked     = 100_000
	// maxSerial bounds a serial number, in bits: RFC 5280 allows 20 bytes.
	maxSerial = 160
	// revocationsValid is how long a list of revoked certificates says that it is current.
	revocationsValid = 24 * time.Hour
)

// Revocation is a serial number that counts no more.
type Revocation struct {
	Serial string    // hexadecimal as ParseSerial returns it
	At     time.Time // zero: now
}

// ParseSerial reads a serial number in hexadecimal, with or without 0x and colons, and returns it in lower case without leading zeros.
func ParseSerial(s string) (string, error) {
	text := strings.ReplaceAll(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(s)), "0x"), ":", "")
	n, ok := new(big.Int), false
	if len(text) <= 2*maxSerial && !strings.ContainsAny(text, "_+-") {
		n, ok = n.SetString(text, 16)
	}
	if !ok || n.Sign() <= 0 || n.BitLen() > maxSerial {
		return "", fault.Errorf("identity.Serial", fault.Malformed, "%.60q is not the serial number of a certificate in hexadecimal", s)
	}
	return n.Text(16), nil
}

func serial(c *x509.Certificate) string { return c.SerialNumber.Text(16) }

// ParseRevocations reads a table with the columns SERIAL NO. and REVOCATION DATE, whose first line names them. What is not that is a fault of kind Malformed.
func ParseRevocations(r io.Reader) ([]Revocation, error) {
	const op = fault.Op("identity.Revocations")
	all, err := io.ReadAll(io.LimitReader(r, maxTable+1))
	if err != nil {
		return nil, fault.E(op, fault.Malformed, err, "the file could not be read")
	}
	t, err := parseTable(all, MaxRevocations)
	if err != nil {
		return nil, err
	}
	if len(t.head) == 0 || !strings.HasPrefix(strings.ToUpper(t.head[0]), "SERIAL") {
		return nil, fault.E(op, fault.Malformed, "the first line of the file must be SERIAL NO.,REVOCATION DATE")
	}
	var out []Revocation
	for _, row := range t.rows {
		var e Revocation
		if e.Serial, err = ParseSerial(row.cells[0]); err != nil {
			return nil, err
		}
		if len(row.cells) > 1 && strings.TrimSpace(row.cells[1]) != "" {
			if e.At, err = iot.ParseTime(strings.TrimSpace(row.cells[1])); err != nil {
				return nil, fault.Errorf(op, fault.Malformed, "line %d: the date must look like 2026-01-31T12:00:00.000Z", row.line)
			}
		}
		out = append(out, e)
	}
	return out, nil
}

// Revoke declares certificates invalid for the tenant of p, for good: nothing takes that back. Connections that rest on them end at once, on all nodes. From a
// file, those with a date in the future are skipped and dates replace earlier ones; otherwise such dates mean now, and what is there stays. It needs the same
// permission as Upload.
func (s *Anchors) Revoke(ctx context.Context, p iot.Principal, entries []Revocation, file bool) error {
	const op = fault.Op("identity.Revoke")
	if err := s.may(ctx, p, p.Tenant); err != nil {
		return err
	}
	if len(entries) > MaxRevocations {
		return fault.Errorf(op, fault.Malformed, "at most %d certificates can be revoked at once", MaxRevocations)
	}
	rev := s.revision(p)
	var due []Revocation
	for _, e := range entries {
		switch {
		case e.At.IsZero(), e.At.After(rev.At) && !file:
			e.At = rev.At
		case e.At.After(rev.At):
			continue
		}
		due = append(due, e)
	}
	if len(due) == 0 {
		return nil
	}
	err := s.d.Store.Revoke(ctx, p.Tenant, due, file, MaxRevoked, rev)
	if errors.Is(err, ErrTooMany) {
		return fault.Errorf(op, fault.Malformed, "a tenant can have %d revoked certificates", MaxRevoked)
	}
	if err != nil {
		return sqlkit.Fault(op, err)
	}
	s.changed(p.Tenant)
	first := due[0].Serial
	if len(due) > 1 {
		first += " and others"
	}
	s.record(ctx, p, Anchor{Tenant: p.Tenant}, "Certificates revoked", "Certificates revoked: "+first, nil)
	return nil
}

// Revocations returns the list of revoked certificates of the tenant of p (RFC 5280) in DER. The tenant's certificate authority signs it; without one it is
// signed with a key that is thrown away. It needs the same permission as List.
func (s *Anchors) Revocations(ctx context.Context, p iot.Principal) ([]byte, error) {
	const op = fault.Op("identity.Revocations")
	if err := s.mayRead(ctx, p, p.Tenant); err != nil {
		return nil, err
	}
	list, err := s.d.Store.Revocations(ctx, p.Tenant)
	if err != nil {
		return nil, sqlkit.Fault(op, err)
	}
	now := s.d.Clock.Now()
	l := &x509.RevocationList{Number: big.NewInt(now.UnixMilli()), ThisUpdate: now, NextUpdate: now.Add(revocationsValid)}
	for _, e := range list {
		n, ok := new(big.Int).SetString(e.Serial, 16)
		if !ok {
			return nil, fault.E(op, fault.Corrupt)
		}
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: e.At})
	}
	ca, err := s.authority(ctx, op, p.Tenant)
	if fault.Is(err, fault.NotFound) {
		ca, err = throwaway(p.Tenant)
	}
	if err != nil {
		return nil, fault.E(op, err)
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, ca.cert, ca.key)
	if err != nil {
		return nil, fault.E(op, err)
	}
	return der, nil
}

func throwaway(t iot.TenantID) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	id := make([]byte, 20)
	_, _ = rand.Read(id) // never fails (crypto/rand)
	return authority{cert: &x509.Certificate{Subject: pkix.Name{CommonName: string(t)}, SubjectKeyId: id, KeyUsage: x509.KeyUsageCRLSign}, key: key}, err
}

// revoked reports whether a certificate of a path counts no more. c8y: configuration/crl.offline.check.enabled switches that; we take true if it is absent, so
// that nobody revokes a certificate in vain.
func (s *Anchors) revoked(ctx context.Context, t iot.TenantID, serials []string) (bool, error) {
	if s.d.Option != nil {
		if v, ok := s.d.Option(ctx, t, "configuration", "crl.offline.check.enabled"); ok && strings.EqualFold(strings.TrimSpace(v), "false") {
			return false, nil
		}
	}
	yes, err := s.d.Store.Revoked(ctx, t, serials)
	return yes, sqlkit.Fault("identity.Revoked", err)
}

const beginCertificate, endCertificate = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"

// ParseChain reads the certificates of a text in PEM, in whose place of line breaks there may be spaces, as in a header. No certificate, more than most, and
// anything that is none are faults of kind Malformed.
func ParseChain(text string, most int) ([]*x509.Certificate, error) {
	const op = fault.Op("identity.Chain")
	bad := fault.E(op, fault.Malformed, "the certificate chain must be in PEM: each certificate between its lines BEGIN CERTIFICATE and END CERTIFICATE")
	if len(text) > most*maxCertificate {
		return nil, fault.E(op, fault.Malformed, "the certificate chain is too long")
	}
	var out []*x509.Certificate
	for rest := text; ; {
		_, after, found := strings.Cut(rest, beginCertificate)
		if !found {
			break
		}
		body, next, found := strings.Cut(after, endCertificate)
		if !found {
			return nil, bad
		}
		if len(out) == most {
			return nil, fault.Errorf(op, fault.Malformed, "the certificate chain can have at most %d certificates", most)
		}
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(body), ""))
		if err != nil {
			return nil, bad
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fault.E(op, fault.Malformed, err, "the chain holds something that is not an X.509 certificate")
		}
		out, rest = append(out, c), next
	}
	if len(out) == 0 {
		return nil, bad
	}
	return out, nil
}

// Verdict is what became of a chain.
type Verdict struct {
	Tenant  iot.TenantID
	Valid   bool
	Subject string // of the first certificate
	Issuer  string
}

// VerifyChain tells whether a chain would let a device into a tenant; without a tenant, into that whose anchor vouches for it, as far as p may know that one. A
// revoked certificate is a fault of kind Unauthenticated. It needs ROLE_TENANT_MANAGEMENT_ADMIN or ROLE_TENANT_MANAGEMENT_READ.
func (s *Anchors) VerifyChain(ctx context.Context, p iot.Principal, t iot.TenantID, chain []*x509.Certificate) (Verdict, error) {
	const op = fault.Op("identity.VerifyChain")
	if err := s.mayRead(ctx, p, first(t, p.Tenant)); err != nil {
		return Verdict{}, err
	}
	v := Verdict{Tenant: first(t, p.Tenant), Subject: chain[0].Subject.String(), Issuer: chain[0].Issuer.String()}
	found, err := s.vouch(ctx, chain)
	if err != nil {
		if fault.Is(err, fault.Denied) {
			return v, nil
		}
		return Verdict{}, err
	}
	if t == "" && p.Tenant == iot.Management {
		v.Tenant = found.root.Tenant
	}
	if found.root.Tenant != v.Tenant {
		return v, nil
	}
	revoked, err := s.revoked(ctx, v.Tenant, found.serials)
	if err != nil {
		return Verdict{}, err
	}
	if revoked {
		return Verdict{}, fault.E(op, fault.Unauthenticated, errRevoked.Error())
	}
	v.Valid = true
	return v, nil
}

func first(a, b iot.TenantID) iot.TenantID {
	if a != "" {
		return a
	}
	return b
}

var errRevoked = errors.New("a certificate of the chain is revoked")
