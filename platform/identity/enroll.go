package identity

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// leafLifetime is how long the certificate of a device is valid, if the authority's is that long. c8y: one year.
const leafLifetime = 365 * 24 * time.Hour

// ParseRequest reads a request for a certificate (PKCS 10): DER, base64 of that with or without line breaks, or PEM. The signature of the request, which
// proves that the sender has the key, is verified. Anything else, a key that is too weak, and a request for an authority are faults of kind Invalid.
func ParseRequest(b []byte) (*x509.CertificateRequest, error) {
	const op = fault.Op("identity.Request")
	if len(b) > maxCertificate {
		return nil, fault.Errorf(op, fault.TooLarge, "the certificate signing request is larger than %d bytes", maxCertificate)
	}
	der := b
	if block, rest := pem.Decode(b); block != nil {
		if !strings.HasSuffix(block.Type, "CERTIFICATE REQUEST") || len(bytes.TrimSpace(rest)) > 0 {
			return nil, fault.E(op, fault.Invalid, "the body must hold one certificate signing request and nothing else")
		}
		der = block.Bytes
	} else if len(b) > 0 && b[0] != 0x30 {
		var err error
		if der, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(b)), "")); err != nil {
			return nil, fault.E(op, fault.Invalid, "the body must be a certificate signing request (PKCS #10) in base64")
		}
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fault.E(op, fault.Invalid, err, "the body does not hold a certificate signing request (PKCS #10)")
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fault.E(op, fault.Invalid, err, "the signature of the certificate signing request is wrong")
	}
	return r, goodRequest(op, r)
}

var oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}

func goodRequest(op fault.Op, r *x509.CertificateRequest) error {
	for _, x := range r.Extensions {
		var c struct {
			CA  bool `asn1:"optional"`
			Len int  `asn1:"optional,default:-1"`
		}
		if !x.Id.Equal(oidBasicConstraints) {
			continue
		}
		if rest, err := asn1.Unmarshal(x.Value, &c); err != nil || len(rest) > 0 || c.CA {
			return fault.E(op, fault.Invalid, "a device cannot become a certificate authority: ask without the constraint CA:TRUE")
		}
	}
	switch k := r.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < 2048 || n > 8192 {
			return fault.E(op, fault.Invalid, "an RSA key must have 2048 to 8192 bits")
		}
	case *ecdsa.PublicKey:
		if k.Curve.Params().BitSize < 256 {
			return fault.E(op, fault.Invalid, "the curve of the key must be P-256, P-384 or P-521")
		}
	case ed25519.PublicKey:
	default:
		return fault.E(op, fault.Invalid, "the key must be RSA, ECDSA or Ed25519")
	}
	return nil
}

// forDevice checks that a request is one of the device.
func forDevice(op fault.Op, r *x509.CertificateRequest, id string) error {
	if r.Subject.CommonName != id {
		return fault.E(op, fault.Invalid, fault.Subject(id), "the common name (CN) of the certificate signing request must be the id of the device")
	}
	return nil
}

// issue signs a certificate for a device. Nothing of the request but its key counts.
func (s *Anchors) issue(ctx context.Context, op fault.Op, t iot.TenantID, id string, r *x509.CertificateRequest) ([]byte, error) {
	ca, err := s.authority(ctx, op, t)
	if err != nil {
		return nil, err
	}
	now := s.d.Clock.Now()
	if !ca.Enabled || !now.Before(ca.cert.NotAfter) {
		return nil, fault.E(op, fault.Invalid, "the certificate authority of the tenant is disabled or has expired")
	}
	c := &x509.Certificate{SerialNumber: newSerial(), Subject: pkix.Name{CommonName: id}, NotBefore: now.Add(-skew), NotAfter: earlier(now.Add(leafLifetime), ca.cert.NotAfter),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, ok := r.PublicKey.(*rsa.PublicKey); ok {
		c.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	der, err := x509.CreateCertificate(rand.Reader, c, ca.cert, r.PublicKey, ca.key)
	if err != nil {
		return nil, fault.E(op, err)
	}
	return der, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// notEnrolled is all that a stranger is told.
func notEnrolled(op fault.Op) error {
	return fault.E(op, fault.Unauthenticated, "the device is not registered for a certificate, or its one-time password is wrong")
}

// Enroll gives a device its first certificate, in DER, and an account that only the certificate opens. The device must have been registered with the
// one-time password, which is used up. What is not so, an unknown device included, is a fault of kind Unauthenticated; ten wrong passwords block the
// registration. A request that is not acceptable is a fault of kind Invalid and costs nothing.
func (s *Anchors) Enroll(ctx context.Context, id, otp string, request []byte, remoteAddr string) ([]byte, error) {
	const op = fault.Op("identity.Enroll")
	if validID(id) != nil || otp == "" {
		return nil, notEnrolled(op)
	}
	system := func(r Registration) iot.Principal {
		return iot.Principal{Tenant: r.Tenant, User: iot.DeviceUser(id), RemoteAddr: remoteAddr}
	}
	r, err := s.d.Registrations.Get(ctx, id)
	if err = sqlkit.Fault(op, err); fault.Is(err, fault.NotFound) {
		return nil, notEnrolled(op)
	}
	if err != nil {
		return nil, err
	}
	if r.Status != Accepted || r.Enrollment == nil {
		return nil, notEnrolled(op)
	}
	if !r.Enrollment.matches(otp) {
		return nil, s.wrongPassword(ctx, op, system(r), r)
	}
	csr, err := ParseRequest(request)
	if err != nil {
		return nil, err
	}
	if err := forDevice(op, csr, id); err != nil {
		return nil, err
	}
	der, err := s.issue(ctx, op, r.Tenant, id, csr)
	if err != nil {
		return nil, err
	}
	return s.useUp(ctx, op, system(r), r, der)
}

// wrongPassword counts and audits a wrong one-time password.
func (s *Anchors) wrongPassword(ctx context.Context, op fault.Op, p iot.Principal, r Registration) error {
	r, err := s.d.Registrations.Update(ctx, r.ID, s.revision(p), func(r Registration) Registration {
		if r.Status == Accepted && r.Enrollment != nil {
			if r.Failures++; r.Failures >= maxFailures {
				r.Status = Blocked
			}
		}
		return r
	})
	if err = sqlkit.Fault(op, err); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	reason := "the one-time password is wrong"
	if r.Status == Blocked {
		reason = "the one-time password was wrong too often; delete the registration and make a new one"
	}
	s.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "User", Activity: "Device registration failed", Text: "Registration of the device '" + r.ID + "' failed: " + reason})
	return notEnrolled(op)
}

// useUp ends the registration, of several questions for one, and makes the account. The registration comes back if that cannot be made.
func (s *Anchors) useUp(ctx context.Context, op fault.Op, p iot.Principal, r Registration, der []byte) ([]byte, error) {
	var won bool
	r, err := s.d.Registrations.Update(ctx, r.ID, s.revision(p), func(now Registration) Registration {
		if won = now.Status == Accepted && bytes.Equal(now.Enrollment, r.Enrollment); won {
			now.Status = Used
		}
		return now
	})
	if err = sqlkit.Fault(op, err); err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if !won {
		return nil, notEnrolled(op)
	}
	_, err = s.d.Users.Certified(ctx, r.Tenant, r.ID, true, p.RemoteAddr)
	ctx = context.WithoutCancel(ctx)
	spent(ctx, s.d.Registrations, s.d.Log, s.revision(p), r, err)
	if err != nil {
		return nil, fault.E(op, err)
	}
	s.issued(ctx, p, r.ID, der)
	return der, nil
}

func (s *Anchors) issued(ctx context.Context, p iot.Principal, id string, der []byte) {
	s.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "TrustedCertificate", Activity: "Device certificate issued", Text: "A certificate (" + fingerprint(der) + ") was issued for the device '" + id + "'"})
}

// Reenroll gives a device that is logged in another certificate, in DER. Whoever is no device is refused with a fault of kind Denied.
func (s *Anchors) Reenroll(ctx context.Context, p iot.Principal, request []byte) ([]byte, error) {
	const op = fault.Op("identity.Reenroll")
	id, device := strings.CutPrefix(string(p.User), iot.DeviceUserPrefix)
	if !device {
		return nil, fault.E(op, fault.Denied, "only devices are issued certificates")
	}
	csr, err := ParseRequest(request)
	if err != nil {
		return nil, err
	}
	if err := forDevice(op, csr, id); err != nil {
		return nil, err
	}
	der, err := s.issue(ctx, op, p.Tenant, id, csr)
	if err != nil {
		return nil, err
	}
	s.issued(ctx, p, id, der)
	return der, nil
}

// RequestEnrollment announces a device that is to get a certificate with a one-time password of 1 to 32 characters. It is accepted from the start. The rest
// is as with Request.
func (s *Registrations) RequestEnrollment(ctx context.Context, p iot.Principal, r Registration, otp string) (Registration, error) {
	if err := validOTP(otp); err != nil {
		return Registration{}, err
	}
	return s.announce(ctx, p, r, func(r *Registration) { r.Status, r.Enrollment = Accepted, newToken(otp) })
}

const maxOTP = 32

func validOTP(otp string) error {
	if otp == "" || len([]rune(otp)) > maxOTP || strings.ContainsAny(otp, "\x00\r\n") {
		return fault.Errorf(fault.Op("identity.Request"), fault.Invalid, "the one-time password must have 1 to %d characters", maxOTP)
	}
	return nil
}
