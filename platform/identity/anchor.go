package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // The API names certificates so; nothing is trusted because of it.
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Anchor is a certificate that a tenant trusts: devices that show it, or one that it vouches for, belong to the tenant.
type Anchor struct {
	Tenant      iot.TenantID
	Fingerprint string // SHA-1 of the certificate in lower-case hexadecimal, as the API names it; unique on the platform
	Name        string
	Enabled     bool
	// AutoRegistration creates the account of a device that shows up for the first time. Without it only devices with an account get in.
	AutoRegistration bool
	DER              []byte // the certificate; it never changes
	Created          time.Time
	Changed          time.Time
	Proven           bool      // somebody has signed Code with the key of the certificate, or the management has vouched for it
	Code             string    // to be signed, empty if none was asked for
	CodeUntil        time.Time // Code is accepted until then
	Signature        string    // what proved it, in base64
	Authority        bool      // the tenant's certificate authority: the platform has its key
}

// Certificate returns the parsed certificate, nil if it is not one, which Parse has made sure of.
func (a Anchor) Certificate() *x509.Certificate {
	c, err := x509.ParseCertificate(a.DER)
	if err != nil {
		return nil
	}
	return c
}

// PEM is the certificate as text, without the lines around it and without line breaks.
func (a Anchor) PEM() string { return base64.StdEncoding.EncodeToString(a.DER) }

// maxCertificate bounds an uploaded certificate, in bytes of its text.
const maxCertificate = 64 << 10

// maxAnchorName bounds the name of an anchor, in bytes.
const maxAnchorName = 256

// ParseCertificate reads one certificate in PEM; the lines BEGIN and END and the line breaks may be missing. What is not exactly one
// certificate is a fault of kind Invalid.
func ParseCertificate(text string) (*x509.Certificate, error) {
	const op = fault.Op("identity.Certificate")
	if len(text) > maxCertificate {
		return nil, fault.Errorf(op, fault.TooLarge, "the certificate is larger than %d bytes", maxCertificate)
	}
	text = strings.TrimSpace(text)
	var der []byte
	if block, rest := pem.Decode([]byte(text)); block != nil {
		if block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
			return nil, fault.E(op, fault.Invalid, "certInPemFormat must hold one certificate and nothing else")
		}
		der = block.Bytes
	} else {
		text = strings.TrimSuffix(strings.TrimPrefix(text, "-----BEGIN CERTIFICATE-----"), "-----END CERTIFICATE-----")
		var err error
		if der, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err != nil {
			return nil, fault.E(op, fault.Invalid, "certInPemFormat must be a certificate in PEM, with or without its first and last line")
		}
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.E(op, fault.Invalid, err, "certInPemFormat does not hold an X.509 certificate")
	}
	return c, nil
}

func fingerprint(der []byte) string {
	sum := sha1.Sum(der) //nolint:gosec // As above.
	return hex.EncodeToString(sum[:])
}

func validAnchorName(name string) error {
	if len(name) > maxAnchorName || !utf8.ValidString(name) || strings.IndexByte(name, 0) >= 0 {
		return fault.Errorf(fault.Op("identity.Certificate"), fault.Invalid, "name must be valid UTF-8 without the character U+0000, of at most %d bytes", maxAnchorName)
	}
	return nil
}

// codeLifetime is how long a code can be signed.
const codeLifetime = time.Hour

func newCode() string { return rand.Text() }

// signed reports whether the signature, in base64, is one of the text with the private key that belongs to the certificate: SHA-256 with
// RSA (PKCS 1 v1.5 or PSS) or ECDSA, or Ed25519.
func signed(c *x509.Certificate, text, signature string) bool {
	sig, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(signature), ""))
	if err != nil {
		return false
	}
	var algorithms []x509.SignatureAlgorithm
	switch c.PublicKey.(type) {
	case *rsa.PublicKey:
		algorithms = []x509.SignatureAlgorithm{x509.SHA256WithRSA, x509.SHA256WithRSAPSS}
	case *ecdsa.PublicKey:
		algorithms = []x509.SignatureAlgorithm{x509.ECDSAWithSHA256}
	case ed25519.PublicKey:
		algorithms = []x509.SignatureAlgorithm{x509.PureEd25519}
	}
	for _, a := range algorithms {
		if c.CheckSignature(a, []byte(text), sig) == nil {
			return true
		}
	}
	return false
}
