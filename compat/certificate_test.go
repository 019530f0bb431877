package compat_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// issued is a certificate with its key.
type issued struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate; by nil signs it with its own key.
func issue(t *testing.T, name string, by *issued, change func(*x509.Certificate)) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true}
	if change != nil {
		change(c)
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	out := &issued{key: key}
	if out.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return out
}

func ca(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign }

func expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
}

func (i *issued) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw}))
}

// chain is what a client shows: its own certificate and those above.
func (i *issued) chain(above ...*issued) tls.Certificate {
	c := tls.Certificate{Certificate: [][]byte{i.cert.Raw}, PrivateKey: i.key}
	for _, a := range above {
		c.Certificate = append(c.Certificate, a.cert.Raw)
	}
	return c
}

// trust uploads an anchor and returns its path.
func (e *edge) trust(t *testing.T, i *issued, auto bool) string {
	t.Helper()
	var got struct{ Fingerprint, Status string }
	e.Admin().Want(t, 201, "POST", "/tenant/tenants/main/trusted-certificates", map[string]any{"name": i.cert.Subject.CommonName, "status": "ENABLED", "autoRegistrationEnabled": auto, "certInPemFormat": i.pem()}, &got)
	return "/tenant/tenants/main/trusted-certificates/" + got.Fingerprint
}

// dial connects with a certificate; the error is CONNACK's or that of the handshake.
func (e *edge) dial(id string, c tls.Certificate, change func(*paho.ClientOptions)) (paho.Client, chan error, error) {
	lost := make(chan error, 1)
	o := paho.NewClientOptions().AddBroker("tls://" + e.mqtts).SetClientID(id).SetAutoReconnect(false).SetConnectRetry(false).SetProtocolVersion(4).
		SetTLSConfig(&tls.Config{RootCAs: e.pool, Certificates: []tls.Certificate{c}}).SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err })
	if change != nil {
		change(o)
	}
	client := paho.NewClient(o)
	k := client.Connect()
	if !k.WaitTimeout(20 * time.Second) {
		return client, lost, fmt.Errorf("no answer")
	}
	return client, lost, k.Error()
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	e := startEdge(t)
	root, other := issue(t, "Plant CA", nil, ca), issue(t, "Other CA", nil, ca)
	sub := issue(t, "Line CA", root, ca)
	deep := issue(t, "Cell CA", sub, ca)
	path := e.trust(t, root, true)

	t.Run("who gets in", func(t *testing.T) {
		leaf := issue(t, "cert-1", root, nil)
		self := issue(t, "cert-self", nil, nil)
		e.trust(t, self, true)
		for name, c := range map[string]struct {
			id    string
			chain tls.Certificate
			ok    bool
		}{
			"a leaf":                               {"cert-1", leaf.chain(), true},
			"with a type of connection":            {"d:cert-1", leaf.chain(), true},
			"with its authority":                   {"cert-1", leaf.chain(root), true},
			"one authority between":                {"cert-2", issue(t, "cert-2", sub, nil).chain(sub), true},
			"two authorities between":              {"cert-3", issue(t, "cert-3", deep, nil).chain(deep, sub), false},
			"the one between is missing":           {"cert-2", issue(t, "cert-2", sub, nil).chain(), false},
			"its own anchor":                       {"cert-self", self.chain(), true},
			"another device":                       {"cert-9", leaf.chain(), false},
			"no device":                            {"", leaf.chain(), false},
			"expired":                              {"cert-1", issue(t, "cert-1", root, expired).chain(), false},
			"an authority that nobody trusts":      {"cert-1", issue(t, "cert-1", other, nil).chain(other), false},
			"an authority with the same name":      {"cert-1", issue(t, "cert-1", issue(t, "Plant CA", nil, ca), nil).chain(), false},
			"a leaf that plays authority":          {"cert-4", issue(t, "cert-4", leaf, nil).chain(leaf), false},
			"a self-signed one that nobody trusts": {"cert-1", issue(t, "cert-1", nil, nil).chain(), false},
			"a name that is no device id":          {"a/b", issue(t, "a/b", root, nil).chain(), false},
			"no name":                              {"x", issue(t, "", root, nil).chain(), false},
		} {
			client, _, err := e.dial(c.id, c.chain, nil)
			if (err == nil) != c.ok || !c.ok && !strings.Contains(err.Error(), "not Authorized") {
				t.Errorf("%s: %v", name, err)
			}
			if err == nil {
				client.Disconnect(0)
			}
		}
	})

	t.Run("the certificate wins over a password", func(t *testing.T) {
		d := e.Register(t, "cert-pw")
		account := func(o *paho.ClientOptions) { o.SetUsername(d.User).SetPassword(d.Password) }
		if _, _, err := e.dial(d.Serial, issue(t, d.Serial, other, nil).chain(), account); err == nil {
			t.Error("a good password made an untrusted certificate good")
		}
		client, _, err := e.dial(d.Serial, issue(t, d.Serial, root, nil).chain(), func(o *paho.ClientOptions) { o.SetUsername("nobody").SetPassword("wrong") })
		if err != nil {
			t.Errorf("a wrong password made a trusted certificate bad: %v", err)
		} else {
			client.Disconnect(0)
		}
		client, _, err = e.dial(d.Serial, tls.Certificate{}, account)
		if err != nil {
			t.Errorf("without a certificate: %v", err)
		} else {
			client.Disconnect(0)
		}
	})

	t.Run("what the device sends is its own", func(t *testing.T) {
		client, _, err := e.dial("cert-owner", issue(t, "cert-owner", root, nil).chain(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Disconnect(0)
		if k := client.Publish("s/us", 1, false, "100,By certificate,compat_Cert"); !k.WaitTimeout(10*time.Second) || k.Error() != nil {
			t.Fatal(k.Error())
		}
		var id struct{ ManagedObject struct{ ID string } }
		e.Admin().Want(t, 200, "GET", "/identity/externalIds/c8y_Serial/cert-owner", nil, &id)
		var o struct{ Owner string }
		e.Admin().Want(t, 200, "GET", "/inventory/managedObjects/"+id.ManagedObject.ID, nil, &o)
		if o.Owner != "device_cert-owner" {
			t.Errorf("owner %q", o.Owner)
		}
		rig.Eventually(t, "audit records of the upload and the login", func() bool {
			a, err := e.Admin().Do("GET", "/audit/auditRecords?pageSize=500", nil)
			return err == nil && strings.Contains(string(a.Body), "'device_cert-owner' logged in with a certificate") && strings.Contains(string(a.Body), "Trusted certificate uploaded")
		})
	})

	t.Run("without registration by itself", func(t *testing.T) {
		e.Admin().Want(t, 200, "PUT", path, map[string]any{"autoRegistrationEnabled": false}, nil)
		if _, _, err := e.dial("cert-new", issue(t, "cert-new", root, nil).chain(), nil); err == nil {
			t.Error("a device without an account was let in")
		}
		client, _, err := e.dial("cert-1", issue(t, "cert-1", root, nil).chain(), nil)
		if err != nil {
			t.Errorf("a device with an account: %v", err)
		} else {
			client.Disconnect(0)
		}
		e.Admin().Want(t, 200, "PUT", path, map[string]any{"autoRegistrationEnabled": true}, nil)
	})

	t.Run("withdrawn", func(t *testing.T) {
		for name, withdraw := range map[string]func(path string){
			"disabled": func(path string) { e.Admin().Want(t, 200, "PUT", path, map[string]string{"status": "DISABLED"}, nil) },
			"deleted":  func(path string) { e.Admin().Want(t, 204, "DELETE", path, nil, nil) },
		} {
			anchor := issue(t, "CA to be "+name, nil, ca)
			path := e.trust(t, anchor, true)
			id := "cert-" + name
			leaf := issue(t, id, anchor, nil).chain()
			_, lost, err := e.dial(id, leaf, nil)
			if err != nil {
				t.Fatal(err)
			}
			withdraw(path)
			began := time.Now()
			select {
			case <-lost:
				if took := time.Since(began); took > time.Second {
					t.Errorf("%s: the connection ended after %s", name, took)
				}
			case <-time.After(10 * time.Second):
				t.Errorf("%s: the connection goes on", name)
			}
			if _, _, err := e.dial(id, leaf, nil); err == nil {
				t.Errorf("%s: let in again", name)
			}
		}
		soon := issue(t, "cert-soon", root, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(4 * time.Second) })
		_, lost, err := e.dial("cert-soon", soon.chain(), nil)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-lost:
		case <-time.After(20 * time.Second):
			t.Error("the connection outlives its certificate")
		}
	})

	t.Run("proof of possession", func(t *testing.T) {
		management := rig.User{URL: e.URL, Name: "management/admin", Password: rig.AdminPassword}
		required := func(v string) {
			management.Want(t, 200, "POST", "/tenant/options", map[string]string{"category": "device-certificates", "key": "proof-of-possession", "value": v}, nil)
		}
		anchor := issue(t, "CA to be proven", nil, ca)
		path := e.trust(t, anchor, true)
		pop := strings.Replace(path, "/trusted-certificates/", "/trusted-certificates-pop/", 1)
		required("required")
		defer required("optional")
		leaf := issue(t, "cert-pop", anchor, nil).chain()
		rig.Eventually(t, "the option", func() bool { _, _, err := e.dial("cert-pop", leaf, nil); return err != nil })
		var got struct {
			Code  string `json:"proofOfPossessionUnsignedVerificationCode"`
			Valid bool   `json:"proofOfPossessionValid"`
		}
		e.Admin().Want(t, 200, "POST", pop+"/verification-code", nil, &got)
		sum := sha256.Sum256([]byte(got.Code))
		sign := func(key crypto.Signer) string {
			sig, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			return base64.StdEncoding.EncodeToString(sig)
		}
		e.Admin().Want(t, 400, "POST", pop+"/pop", map[string]string{"proofOfPossessionSignedVerificationCode": sign(other.key)}, nil)
		e.Admin().Want(t, 200, "POST", pop+"/pop", map[string]string{"proofOfPossessionSignedVerificationCode": sign(anchor.key)}, &got)
		client, _, err := e.dial("cert-pop", leaf, nil)
		if err != nil || !got.Valid {
			t.Errorf("after the proof: %v, %+v", err, got)
		} else {
			client.Disconnect(0)
		}
	})

	t.Run("strangers learn nothing", func(t *testing.T) {
		asked := false
		conf := &tls.Config{RootCAs: e.pool, GetClientCertificate: func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			if len(r.AcceptableCAs) > 0 {
				t.Errorf("the server names %d authorities", len(r.AcceptableCAs))
			}
			return &tls.Certificate{}, nil
		}}
		for addr, want := range map[string]bool{e.mqtts: true, e.https: false} {
			asked = false
			conn, err := tls.Dial("tcp", addr, conf)
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			if asked != want {
				t.Errorf("%s asks for a certificate: %t", addr, asked)
			}
		}
	})

	t.Run("mosquitto", func(t *testing.T) {
		if _, err := exec.LookPath("mosquitto_pub"); err != nil {
			t.Skip("mosquitto_pub is not installed: run through make test")
		}
		leaf := issue(t, "cert-mosquitto", sub, nil)
		dir := t.TempDir()
		key, err := x509.MarshalPKCS8PrivateKey(leaf.key)
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"cert.pem": leaf.pem() + sub.pem(), "key.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, port, _ := net.SplitHostPort(e.mqtts)
		for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
			args := []string{"-V", version, "-h", "localhost", "-p", port, "--cafile", e.file("ca.pem"), "--cert", filepath.Join(dir, "cert.pem"), "--key", filepath.Join(dir, "key.pem"),
				"-i", "cert-mosquitto", "-q", "1", "-t", "s/us", "-m", "400,compat_Cert,hello from " + version}
			if out, err := exec.Command("mosquitto_pub", args...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", version, err, out)
			}
		}
		var got struct{ Events []struct{ Text string } }
		e.Admin().Want(t, 200, "GET", "/event/events?type=compat_Cert&pageSize=100", nil, &got)
		if len(got.Events) != 3 {
			t.Errorf("%d events", len(got.Events))
		}
	})
	noDefects(t, e.Server)
}
