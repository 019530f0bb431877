package c8yrest

import (
	"crypto/x509"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/identity"
)

func certificateRoutes() []Route {
	const certs, pop = "/tenant/tenants/{tenant}/trusted-certificates", "/tenant/tenants/{tenant}/trusted-certificates-pop/{fingerprint}"
	return []Route{
		get(certs, listCertificates), post(certs, createCertificate), post(certs+"/bulk", createCertificates),
		get(certs+"/{fingerprint}", getCertificate), put(certs+"/{fingerprint}", updateCertificate), del(certs+"/{fingerprint}", deleteCertificate),
		post(pop+"/verification-code", challengeCertificate), post(pop+"/pop", proveCertificate), post(pop+"/confirmed", confirmCertificate),
	}
}

func (c *call) anchorTenant() iot.TenantID { return iot.TenantID(c.r.PathValue("tenant")) }

func (c *call) anchorURL(a identity.Anchor) string {
	return c.base() + "/tenant/tenants/" + string(a.Tenant) + "/trusted-certificates/" + a.Fingerprint
}

func (c *call) writeAnchor(o *object, a identity.Anchor) {
	status := "DISABLED"
	if a.Enabled {
		status = "ENABLED"
	}
	o.open()
	o.text("fingerprint", a.Fingerprint)
	o.text("name", a.Name)
	o.text("status", status)
	o.bool("autoRegistrationEnabled", a.AutoRegistration)
	if x := a.Certificate(); x != nil {
		o.int("version", int64(x.Version))
		o.text("algorithmName", algorithm(x.SignatureAlgorithm))
		o.text("subject", x.Subject.String())
		o.text("issuer", x.Issuer.String())
		o.text("serialNumber", x.SerialNumber.String())
		o.time("notBefore", x.NotBefore)
		o.time("notAfter", x.NotAfter)
	}
	o.text("certInPemFormat", a.PEM())
	o.bool("proofOfPossessionValid", a.Proven)
	if a.Code != "" {
		o.text("proofOfPossessionUnsignedVerificationCode", a.Code)
		o.time("proofOfPossessionVerificationCodeUsableUntil", a.CodeUntil)
	}
	o.some("proofOfPossessionSignedVerificationCode", a.Signature)
	o.bool("tenantCertificateAuthority", a.Authority)
	o.text("self", c.anchorURL(a))
	o.close()
}

// algorithm names how a certificate was signed. c8y: as Java does.
func algorithm(a x509.SignatureAlgorithm) string {
	name := a.String()
	if hash, ok := strings.CutSuffix(name, "-RSA"); ok {
		return hash + "withRSA"
	}
	if hash, ok := strings.CutPrefix(name, "ECDSA-"); ok {
		return hash + "withECDSA"
	}
	return name
}

func (c *call) storedAnchor(status int, a identity.Anchor) error {
	location := ""
	if status == http.StatusCreated {
		location = c.anchorURL(a)
	}
	return c.stored(status, "", location, func() ([]byte, error) {
		var o object
		c.writeAnchor(&o, a)
		return o.b, nil
	})
}

// anchorPatch reads what a client says of an anchor.
func anchorPatch(d iot.Doc) (p identity.Patch, err error) {
	const op = fault.Op("c8yrest.Certificate")
	if p.Name, err = textOf(d, "name"); err != nil {
		return p, err
	}
	status, err := textOf(d, "status")
	if err != nil {
		return p, err
	}
	if status != nil {
		enabled := *status == "ENABLED"
		if !enabled && *status != "DISABLED" {
			return p, fault.E(op, fault.Invalid, "status must be ENABLED or DISABLED")
		}
		p.Enabled = &enabled
	}
	if raw := d.Get("autoRegistrationEnabled"); raw != nil {
		auto := string(raw) == "true"
		if !auto && string(raw) != "false" {
			return p, fault.E(op, fault.Invalid, "autoRegistrationEnabled must be true or false")
		}
		p.AutoRegistration = &auto
	}
	return p, nil
}

// anchorOf reads a certificate to upload. c8y: the status must be given; we take one that is left out for ENABLED.
func anchorOf(d iot.Doc) (identity.Upload, error) {
	p, err := anchorPatch(d)
	if err != nil {
		return identity.Upload{}, err
	}
	text, err := textOf(d, "certInPemFormat")
	if err != nil {
		return identity.Upload{}, err
	}
	if text == nil {
		return identity.Upload{}, missing("certInPemFormat")
	}
	a := identity.Upload{PEM: *text, Enabled: p.Enabled == nil || *p.Enabled, AutoRegistration: p.AutoRegistration != nil && *p.AutoRegistration}
	if p.Name != nil {
		a.Name = *p.Name
	}
	return a, nil
}

func createCertificate(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	a, err := anchorOf(d)
	if err != nil {
		return err
	}
	out, err := c.s.Anchors.Upload(c.ctx, c.p, c.anchorTenant(), []identity.Upload{a})
	if err != nil {
		return err
	}
	return c.storedAnchor(http.StatusCreated, out[0])
}

func createCertificates(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	docs, err := listOf(d, "certificates")
	if err != nil {
		return err
	}
	anchors := make([]identity.Upload, len(docs))
	for i, x := range docs {
		if anchors[i], err = anchorOf(x); err != nil {
			return err
		}
	}
	out, err := c.s.Anchors.Upload(c.ctx, c.p, c.anchorTenant(), anchors)
	if err != nil {
		return err
	}
	return c.stored(http.StatusCreated, "", "", func() ([]byte, error) {
		var o object
		o.open()
		o.list("certificates")
		for _, a := range out {
			c.writeAnchor(&o, a)
		}
		o.endList()
		o.close()
		return o.b, nil
	})
}

// listOf reads a member that is a list of objects.
func listOf(d iot.Doc, name string) ([]iot.Doc, error) {
	raw := d.Get(name)
	if raw == nil {
		return nil, missing(name)
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return nil, fault.E(fault.Op("c8yrest.List"), fault.Invalid, name+" must be a list of objects")
	}
	out := make([]iot.Doc, len(items))
	for i, x := range items {
		d, err := parseDoc(x)
		if err != nil {
			return nil, err
		}
		out[i] = d
	}
	return out, nil
}

func listCertificates(c *call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	list, n, err := c.s.Anchors.List(c.ctx, c.p, c.anchorTenant(), c.flag("certificateAuthority", false), p.offset(), p.size)
	if err != nil {
		return err
	}
	p.total = n
	return c.collection("", "certificates", p, func(o *object) error {
		for _, a := range list {
			c.writeAnchor(o, a)
		}
		return nil
	})
}

func (c *call) anchor(a identity.Anchor, err error) error {
	if err != nil {
		return err
	}
	return c.storedAnchor(http.StatusOK, a)
}

func getCertificate(c *call) error {
	a, err := c.s.Anchors.Get(c.ctx, c.p, c.anchorTenant(), c.r.PathValue("fingerprint"))
	if err != nil {
		return err
	}
	var o object
	c.writeAnchor(&o, a)
	return c.json(http.StatusOK, "", o.b)
}

func updateCertificate(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	p, err := anchorPatch(d)
	if err != nil {
		return err
	}
	return c.anchor(c.s.Anchors.Change(c.ctx, c.p, c.anchorTenant(), c.r.PathValue("fingerprint"), p))
}

func deleteCertificate(c *call) error {
	if err := c.s.Anchors.Delete(c.ctx, c.p, c.anchorTenant(), c.r.PathValue("fingerprint")); err != nil {
		return err
	}
	return c.noContent()
}

func challengeCertificate(c *call) error {
	return c.anchor(c.s.Anchors.Challenge(c.ctx, c.p, c.anchorTenant(), c.r.PathValue("fingerprint")))
}

func proveCertificate(c *call) error {
	d, err := c.doc()
	if err != nil {
		return err
	}
	signature, err := textOf(d, "proofOfPossessionSignedVerificationCode")
	if err != nil {
		return err
	}
	if signature == nil {
		return missing("proofOfPossessionSignedVerificationCode")
	}
	return c.anchor(c.s.Anchors.Prove(c.ctx, c.p, c.anchorTenant(), c.r.PathValue("fingerprint"), *signature))
}

func confirmCertificate(c *call) error {
	return c.anchor(c.s.Anchors.Confirm(c.ctx, c.p, c.anchorTenant(), c.r.PathValue("fingerprint")))
}
