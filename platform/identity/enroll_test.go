package identity_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/secret"
	"github.com/isobar-iot/isobar/platform/identity"
)

var keeper = user("acme", "keeper", "ROLE_TENANT_ADMIN")

func csr(t testing.TB, name string, change func(*x509.CertificateRequest)) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}
	if change != nil {
		change(r)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, r, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (f *fixture) otp(id, otp string) {
	f.Helper()
	r, err := f.s.RequestEnrollment(ctx, admin, identity.Registration{ID: id}, otp)
	f.must(err)
	if r.Status != identity.Accepted {
		f.Fatalf("status %s", r.Status)
	}
}

func (f *fixture) authority() {
	f.Helper()
	_, err := f.anchors.CreateAuthority(ctx, keeper)
	f.must(err)
}

// login tries a certificate as a device would.
func (f *fixture) login(der []byte) error {
	f.Helper()
	c, err := x509.ParseCertificate(der)
	f.must(err)
	_, err = f.anchors.Login(ctx, identity.CertificateLogin{Chain: []*x509.Certificate{c}, Device: c.Subject.CommonName})
	return err
}

func TestADeviceEnrols(t *testing.T) {
	f := setup(t)
	f.otp("pump", "secret-1")
	request := csr(t, "pump", nil)
	_, err := f.anchors.Enroll(ctx, "pump", "secret-1", request, "")
	f.kind("without an authority", err, fault.NotFound)
	f.authority()
	for name, c := range map[string]struct {
		id, otp string
		request []byte
		kind    fault.Kind
	}{
		"another device":          {"valve", "secret-1", request, fault.Unauthenticated},
		"no password":             {"pump", "", request, fault.Unauthenticated},
		"a wrong password":        {"pump", "secret-2", request, fault.Unauthenticated},
		"a request of another":    {"pump", "secret-1", csr(t, "valve", nil), fault.Invalid},
		"something else":          {"pump", "secret-1", []byte("hello"), fault.Invalid},
		"no id":                   {"a/b", "secret-1", request, fault.Unauthenticated},
		"a request for authority": {"pump", "secret-1", csr(t, "pump", authorityToBe), fault.Invalid},
	} {
		_, err := f.anchors.Enroll(ctx, c.id, c.otp, c.request, "")
		f.kind(name, err, c.kind)
	}
	_, err = f.ask("pump", "")
	f.kind("a password instead", err, fault.NotFound)
	der, err := f.anchors.Enroll(ctx, "pump", "secret-1", []byte(base64.StdEncoding.EncodeToString(request)), "")
	f.must(err)
	f.must(f.login(der))
	c, err := x509.ParseCertificate(der)
	f.must(err)
	if c.IsCA || c.Subject.CommonName != "pump" || c.NotAfter.Sub(f.clock.Now()) != 365*24*time.Hour || c.NotBefore.After(f.clock.Now()) {
		t.Errorf("%+v", c)
	}
	_, err = f.anchors.Enroll(ctx, "pump", "secret-1", request, "")
	f.kind("a second time", err, fault.Unauthenticated)

	device := user("acme", string(iot.DeviceUser("pump")))
	again, err := f.anchors.Reenroll(ctx, device, csr(t, "pump", nil))
	f.must(err)
	f.must(f.login(again))
	_, err = f.anchors.Reenroll(ctx, device, csr(t, "valve", nil))
	f.kind("again as another one", err, fault.Invalid)
	_, err = f.anchors.Reenroll(ctx, admin, csr(t, "admin", nil))
	f.kind("again as a person", err, fault.Denied)
}

func TestTheKeyOfAnAuthorityIsSealed(t *testing.T) {
	f := setup(t)
	f.authority()
	_, sealed, err := f.store.Authority(ctx, "acme")
	f.must(err)
	vault, err := secret.New(make([]byte, 32))
	f.must(err)
	if _, err := vault.Open(sealed, "certificate authority", "other"); err == nil {
		t.Error("it opens for another tenant")
	}
	plain, err := vault.Open(sealed, "certificate authority", "acme")
	f.must(err)
	if _, err := x509.ParsePKCS8PrivateKey(plain); err != nil || strings.Contains(sealed, base64.RawStdEncoding.EncodeToString(plain)) {
		t.Errorf("%v, %s", err, sealed)
	}
}

func authorityToBe(r *x509.CertificateRequest) {
	value, err := asn1.Marshal(struct{ CA bool }{true})
	if err != nil {
		panic(err)
	}
	r.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Value: value}}
}

func TestWrongOneTimePasswordsBlock(t *testing.T) {
	f := setup(t)
	f.authority()
	f.otp("d", "secret-1")
	for range 10 {
		_, err := f.anchors.Enroll(ctx, "d", "guess", csr(t, "d", nil), "")
		f.kind("a guess", err, fault.Unauthenticated)
	}
	f.status("d", identity.Blocked)
	_, err := f.anchors.Enroll(ctx, "d", "secret-1", csr(t, "d", nil), "")
	f.kind("the right one, too late", err, fault.Unauthenticated)
}

func TestWhoMayAsWhatForCertificates(t *testing.T) {
	f := setup(t)
	_, err := f.anchors.CreateAuthority(ctx, nobody)
	f.kind("an authority without permission", err, fault.Denied)
	_, err = f.anchors.RenewAuthority(ctx, keeper)
	f.kind("renewing none", err, fault.NotFound)
	f.authority()
	_, err = f.anchors.CreateAuthority(ctx, keeper)
	f.kind("a second authority", err, fault.Conflict)
	_, err = f.anchors.RenewAuthority(ctx, nobody)
	f.kind("renewing without permission", err, fault.Denied)
	f.kind("revoking without permission", f.anchors.Revoke(ctx, nobody, []identity.Revocation{{Serial: "1"}}, false), fault.Denied)
	_, err = f.anchors.Revocations(ctx, nobody)
	f.kind("the list without permission", err, fault.Denied)
	_, err = f.s.RequestEnrollment(ctx, nobody, identity.Registration{ID: "d"}, "x")
	f.kind("a one-time password without permission", err, fault.Denied)
	for _, otp := range []string{"", strings.Repeat("x", 33)} {
		_, err = f.s.RequestEnrollment(ctx, admin, identity.Registration{ID: "d"}, otp)
		f.kind("a bad one-time password", err, fault.Invalid)
	}
	reader := user("acme", "reader", "ROLE_TENANT_MANAGEMENT_READ")
	if list, n, err := f.anchors.List(ctx, reader, "acme", true, 0, 9); err != nil || n != 1 || !list[0].Authority {
		t.Errorf("%v, %d, %v", list, n, err)
	}
	_, _, err = f.anchors.List(ctx, reader, "other", true, 0, 9)
	f.kind("another tenant's", err, fault.NotFound)
}

func TestRenewingAnAuthorityKeepsItsCertificatesGood(t *testing.T) {
	f := setup(t)
	f.authority()
	f.otp("d", "secret-1")
	_, err := f.anchors.RenewAuthority(ctx, keeper)
	f.kind("too early", err, fault.Invalid)
	f.clock.Advance(700 * 24 * time.Hour)
	der, err := f.anchors.Enroll(ctx, "d", "secret-1", csr(t, "d", nil), "")
	f.must(err)
	old, _, err := f.anchors.List(ctx, keeper, "acme", true, 0, 9)
	f.must(err)
	renewed, err := f.anchors.RenewAuthority(ctx, keeper)
	f.must(err)
	if renewed.Fingerprint == old[0].Fingerprint || !renewed.Certificate().NotAfter.After(old[0].Certificate().NotAfter) {
		t.Errorf("%s until %s", renewed.Fingerprint, renewed.Certificate().NotAfter)
	}
	f.must(f.login(der))
	f.must(f.anchors.Delete(ctx, keeper, "acme", renewed.Fingerprint))
	f.kind("after it was deleted", f.login(der), fault.Denied)
	_, err = f.anchors.RenewAuthority(ctx, keeper)
	f.kind("renewing what was deleted", err, fault.NotFound)
}

func TestRevokedCertificatesOpenNothing(t *testing.T) {
	f := setup(t)
	f.authority()
	f.otp("d", "secret-1")
	der, err := f.anchors.Enroll(ctx, "d", "secret-1", csr(t, "d", nil), "")
	f.must(err)
	c, err := x509.ParseCertificate(der)
	f.must(err)
	in, err := f.anchors.Login(ctx, identity.CertificateLogin{Chain: []*x509.Certificate{c}, Device: "d"})
	f.must(err)
	trusted := func(want bool) {
		t.Helper()
		if ok, err := f.anchors.Trusts(ctx, "acme", in.Anchor); err != nil || ok != want {
			t.Errorf("trusted: %v, %v", ok, err)
		}
	}
	trusted(true)
	serial, err := identity.ParseSerial("0x00" + c.SerialNumber.Text(16))
	f.must(err)
	f.must(f.anchors.Revoke(ctx, keeper, []identity.Revocation{{Serial: serial, At: f.clock.Now().Add(time.Hour)}}, true))
	trusted(true) // of a file, what is to come is skipped
	f.must(f.anchors.Revoke(ctx, keeper, []identity.Revocation{{Serial: serial, At: f.clock.Now().Add(time.Hour)}}, false))
	trusted(false)
	f.kind("a login", f.login(der), fault.Denied)
	_, err = f.anchors.VerifyChain(ctx, keeper, "", []*x509.Certificate{c})
	f.kind("verifying", err, fault.Unauthenticated)
	list, err := f.anchors.Revocations(ctx, keeper)
	f.must(err)
	crl, err := x509.ParseRevocationList(list)
	f.must(err)
	ca, _, err := f.anchors.List(ctx, keeper, "acme", true, 0, 1)
	f.must(err)
	f.must(crl.CheckSignatureFrom(ca[0].Certificate()))
	if len(crl.RevokedCertificateEntries) != 1 || crl.RevokedCertificateEntries[0].SerialNumber.Cmp(c.SerialNumber) != 0 || crl.RevokedCertificateEntries[0].RevocationTime.After(f.clock.Now()) {
		t.Errorf("%+v", crl.RevokedCertificateEntries)
	}
	f.options["configuration/crl.offline.check.enabled"] = "false"
	trusted(true)
	f.must(f.login(der))
}

func TestVerifyChain(t *testing.T) {
	f := setup(t)
	f.authority()
	f.otp("d", "secret-1")
	der, err := f.anchors.Enroll(ctx, "d", "secret-1", csr(t, "d", nil), "")
	f.must(err)
	leaf, err := x509.ParseCertificate(der)
	f.must(err)
	chain := []*x509.Certificate{leaf}
	abroad, boss := user("other", "keeper", "ROLE_TENANT_ADMIN"), user(iot.Management, "boss", "ROLE_TENANT_ADMIN")
	for name, c := range map[string]struct {
		p      iot.Principal
		tenant iot.TenantID
		want   identity.Verdict
	}{
		"the own tenant":               {keeper, "", identity.Verdict{Tenant: "acme", Valid: true}},
		"the own tenant, named":        {keeper, "acme", identity.Verdict{Tenant: "acme", Valid: true}},
		"of another tenant, unnamed":   {abroad, "", identity.Verdict{Tenant: "other"}},
		"the management finds out":     {boss, "", identity.Verdict{Tenant: "acme", Valid: true}},
		"the management asks of other": {boss, "other", identity.Verdict{Tenant: "other"}},
	} {
		v, err := f.anchors.VerifyChain(ctx, c.p, c.tenant, chain)
		if err != nil || v.Tenant != c.want.Tenant || v.Valid != c.want.Valid || v.Subject != "CN=d" {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	_, err = f.anchors.VerifyChain(ctx, abroad, "acme", chain)
	f.kind("another tenant", err, fault.NotFound)
	_, err = f.anchors.VerifyChain(ctx, nobody, "", chain)
	f.kind("without permission", err, fault.Denied)
}

func TestRequestsThatAreNotAcceptable(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip(err) // the machine refuses to make one
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "d"}}, weak)
	if err != nil {
		t.Fatal(err)
	}
	good := csr(t, "d", nil)
	forged := append([]byte{}, good...)
	forged[len(forged)-1] ^= 1
	for name, b := range map[string][]byte{"a weak key": der, "a forged signature": forged, "nothing": nil, "a certificate": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: good}),
		"two": bytes.Repeat(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: good}), 2)} {
		if _, err := identity.ParseRequest(b); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{"DER": good, "PEM": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: good}),
		"an old header": pem.EncodeToMemory(&pem.Block{Type: "NEW CERTIFICATE REQUEST", Bytes: good})} {
		if _, err := identity.ParseRequest(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
