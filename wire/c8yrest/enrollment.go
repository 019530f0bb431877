package c8yrest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/identity"
)

func enrollmentRoutes() []Route {
	const est, crl, bulk = "/.well-known/est", "/tenant/trusted-certificates/settings/crl", "/devicecontrol/bulkNewDeviceRequests"
	return []Route{
		post("/certificate-authority", createAuthority), post("/certificate-authority/renew", renewAuthority),
		public(post(est+"/simpleenroll", enroll)), post(est+"/simplereenroll", reenroll),
		public(post("/devicecontrol/deviceAccessToken", deviceAccessToken)),
		get(crl, getRevocations), put(crl, putRevocations), post("/tenant/trusted-certificates/verify-cert-chain", verifyChain),
		post(bulk, bulkRegister), del(bulk+"/{id}", deleteRegistration),
	}
}

func createAuthority(c *call) error {
	a, err := c.s.Anchors.CreateAuthority(c.ctx, c.p)
	if err != nil {
		return err
	}
	return c.storedAnchor(http.StatusCreated, a)
}

func renewAuthority(c *call) error {
	a, err := c.s.Anchors.RenewAuthority(c.ctx, c.p)
	if err != nil {
		return err
	}
	return c.storedAnchor(http.StatusCreated, a)
}

// enroll gives a device its first certificate (RFC 7030). c8y: the user is the device id, without a tenant, and the password the one-time password.
func enroll(c *call) error {
	id, otp, ok := c.r.BasicAuth()
	if !ok {
		return fault.E(fault.Op("c8yrest.Enroll"), fault.Unauthenticated, "the device id and its one-time password must be given with Basic authentication")
	}
	request, err := c.body()
	if err != nil {
		return err
	}
	der, err := c.s.Anchors.Enroll(c.ctx, id, otp, request, remote(c.r))
	if err != nil {
		return err
	}
	return c.certificate(der)
}

func reenroll(c *call) error {
	request, err := c.body()
	if err != nil {
		return err
	}
	der, err := c.s.Anchors.Reenroll(c.ctx, c.p, request)
	if err != nil {
		return err
	}
	return c.certificate(der)
}

// certificate answers with a certificate. c8y: its documentation says 201, but clients take nothing but 200, which is what the RFC says.
func (c *call) certificate(der []byte) error {
	message, err := identity.CertsOnly(der)
	if err != nil {
		return fault.E(fault.Op("c8yrest.Enroll"), err)
	}
	body := lines(base64.StdEncoding.EncodeToString(message))
	c.w.Header().Set("Content-Transfer-Encoding", "base64")
	return c.blob("application/pkcs7-mime;smime-type=certs-only", body)
}

// lines breaks base64 into lines, as mail does.
func lines(s string) []byte {
	var b bytes.Buffer
	for len(s) > 64 {
		b.WriteString(s[:64] + "\n")
		s = s[64:]
	}
	b.WriteString(s + "\n")
	return b.Bytes()
}

// blob answers with bytes that are no JSON.
func (c *call) blob(media string, body []byte) error {
	h := c.w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if _, err := c.w.Write(body); err != nil {
		return fault.E(fault.Op("c8yrest.Write"), fault.Canceled, err)
	}
	return nil
}

const (
	maxHeaderChain = 5  // certificates in a header
	maxFileChain   = 10 // certificates in a file
)

// deviceAccessToken gives a device that has shown its certificate in the handshake a token. The header adds certificates between that and the anchor; who the
// device is, the handshake alone decides: anybody can write a header.
func deviceAccessToken(c *call) error {
	const op = fault.Op("c8yrest.DeviceToken")
	if c.r.TLS == nil || len(c.r.TLS.PeerCertificates) == 0 {
		return fault.E(op, fault.Unauthenticated, "the device must show its certificate: connect to the listener for client certificates (--mtls)")
	}
	chain := c.r.TLS.PeerCertificates
	if text := c.r.Header.Get("X-Ssl-Cert-Chain"); text != "" {
		more, err := identity.ParseChain(text, maxHeaderChain)
		if err != nil {
			return err
		}
		chain = append(chain[:len(chain):len(chain)], more...)
	}
	in, err := c.s.Anchors.Login(c.ctx, identity.CertificateLogin{Chain: chain, Device: chain[0].Subject.CommonName, RemoteAddr: remote(c.r)})
	if fault.Is(err, fault.Denied) {
		err = fault.E(op, fault.Unauthenticated, err, fault.Message(err))
	}
	if err != nil {
		return err
	}
	token, err := c.s.Users.DeviceToken(c.ctx, in.Principal)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.text("accessToken", token)
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

func getRevocations(c *call) error {
	der, err := c.s.Anchors.Revocations(c.ctx, c.p)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Disposition", `attachment; filename="revoked.crl"`)
	return c.blob("application/pkix-crl", der)
}

func putRevocations(c *call) error {
	var entries []identity.Revocation
	form, err := c.parts()
	if err != nil {
		return err
	}
	if form != nil {
		entries, err = identity.ParseRevocations(bytes.NewReader(form["file"]))
	} else {
		entries, err = c.revocations()
	}
	if err != nil {
		return err
	}
	if err := c.s.Anchors.Revoke(c.ctx, c.p, entries, form != nil); err != nil {
		return err
	}
	return c.noContent()
}

// revocations reads a body that is JSON.
func (c *call) revocations() (out []identity.Revocation, err error) {
	const op = fault.Op("c8yrest.Revocations")
	d, err := c.doc()
	if err != nil {
		return nil, fault.E(op, fault.Malformed, err, fault.Message(err))
	}
	items, err := listOf(d, "crls")
	if err != nil {
		return nil, fault.E(op, fault.Malformed, err, fault.Message(err))
	}
	for _, x := range items {
		var e identity.Revocation
		text, _ := x.Text("serialNumberInHex")
		if e.Serial, err = identity.ParseSerial(text); err != nil {
			return nil, err
		}
		if at, ok := x.Text("revocationDate"); ok && at != "" {
			if e.At, err = iot.ParseTime(at); err != nil {
				return nil, fault.E(op, fault.Malformed, "revocationDate must look like 2026-01-31T12:00:00.000Z")
			}
		}
		out = append(out, e)
	}
	return out, nil
}

// parts reads a body that is a form, all of it: its parts by name. A body of another kind is nil and is not read.
func (c *call) parts() (map[string][]byte, error) {
	const op = fault.Op("c8yrest.Form")
	media, params, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if media != "multipart/form-data" {
		return nil, nil
	}
	b, err := c.body()
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for r := multipart.NewReader(bytes.NewReader(b), params["boundary"]); ; {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fault.E(op, fault.Malformed, err, "the form could not be read")
		}
		if out[part.FormName()], err = io.ReadAll(part); err != nil {
			return nil, fault.E(op, fault.Malformed, err, "the form could not be read")
		}
	}
	if out["file"] == nil {
		return nil, fault.E(op, fault.Malformed, "the form needs a part named file")
	}
	return out, nil
}

func verifyChain(c *call) error {
	text, most, tenant := c.r.Header.Get("X-Cumulocity-Client-Cert-Chain"), maxHeaderChain, c.r.Header.Get("X-Cumulocity-TenantId")
	form, err := c.parts()
	if err != nil {
		return err
	}
	if form != nil {
		text, most = string(form["file"]), maxFileChain
		if t := strings.TrimSpace(string(form["tenantId"])); t != "" {
			tenant = t
		}
	}
	chain, err := identity.ParseChain(text, most)
	if err != nil {
		return err
	}
	if !storable(tenant) {
		return fault.E(fault.Op("c8yrest.VerifyChain"), fault.Malformed, "tenantId is not valid UTF-8")
	}
	v, err := c.s.Anchors.VerifyChain(c.ctx, c.p, iot.TenantID(tenant), chain)
	if err != nil {
		return err
	}
	var o object
	o.open()
	o.bool("successfullyValidated", v.Valid)
	o.text("tenantId", string(v.Tenant))
	o.text("issuer", v.Issuer)
	o.text("subject", v.Subject)
	o.close()
	return c.json(http.StatusOK, "", o.b)
}

// bulkRegister registers the devices of a file. c8y: the request succeeds also if lines fail; they are told one by one.
func bulkRegister(c *call) error {
	form, err := c.parts()
	if err != nil {
		return err
	}
	var file []byte
	if form != nil {
		file = form["file"]
	} else if file, err = c.body(); err != nil {
		return err
	}
	outcomes, err := c.s.Registrations.Bulk(c.ctx, c.p, file)
	if err != nil {
		return err
	}
	return c.stored(http.StatusCreated, "bulknewdevicerequest", "", func() ([]byte, error) {
		var o object
		writeBulkOutcomes(&o, outcomes)
		return o.b, nil
	})
}

func writeBulkOutcomes(o *object, outcomes []identity.BulkOutcome) {
	n := map[identity.BulkStatus]int64{}
	for _, x := range outcomes {
		n[x.Status]++
	}
	o.open()
	o.int("numberOfAll", int64(len(outcomes)))
	o.int("numberOfCreated", n[identity.BulkCreated])
	o.int("numberOfFailed", n[identity.BulkFailed])
	o.int("numberOfSuccessful", n[identity.BulkCreated]+n[identity.BulkUpdated])
	o.list("credentialUpdatedList")
	for _, x := range outcomes {
		if x.Status == identity.BulkUpdated {
			writeBulkOutcome(o, x)
		}
	}
	o.endList()
	o.list("failedCreationList")
	for _, x := range outcomes {
		if x.Status == identity.BulkFailed {
			writeBulkOutcome(o, x)
		}
	}
	o.endList()
	o.close()
}

func writeBulkOutcome(o *object, x identity.BulkOutcome) {
	o.open()
	o.text("bulkNewDeviceStatus", string(x.Status))
	o.text("deviceId", x.ID)
	if x.Status == identity.BulkFailed {
		o.text("failureReason", x.Reason)
		o.text("line", strconv.Itoa(x.Line))
	}
	o.close()
}
