package compat_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// plant is a server with a listener for devices, and a folder for the tools of a device.
type plant struct {
	*edge
	t    *testing.T
	mtls string
	dir  string
}

func startPlant(t *testing.T) *plant {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed: run through make test")
	}
	mtls := freeAddr(t)
	return &plant{startEdge(t, "--mtls", mtls), t, mtls, t.TempDir()}
}

func (p *plant) file(name string) string { return filepath.Join(p.dir, name) }

// openssl runs it in the folder.
func (p *plant) openssl(args ...string) string {
	p.t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = p.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// send makes a request over TLS, with a certificate if there is one.
func (p *plant) send(method, url, body string, cert *tls.Certificate, header ...string) (int, http.Header, []byte) {
	p.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Accept", "*/*")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	conf := &tls.Config{RootCAs: p.pool}
	if cert != nil {
		conf.Certificates = []tls.Certificate{*cert}
	}
	transport := &http.Transport{TLSClientConfig: conf}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, res.Header, b
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// request makes a key and a request for a certificate, in base64 as agents send it.
func (p *plant) request(name string) string {
	p.t.Helper()
	p.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name+".key", "-subj", "/CN="+name+"/O=Thin Edge", "-outform", "DER", "-out", name+".csr")
	der, err := os.ReadFile(p.file(name + ".csr"))
	if err != nil {
		p.t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// take reads the answer of an enrolment with openssl, as a device would, and returns the certificate with its key.
func (p *plant) take(name string, h http.Header, body []byte) (tls.Certificate, *x509.Certificate) {
	p.t.Helper()
	if got := h.Get("Content-Type"); got != "application/pkcs7-mime;smime-type=certs-only" {
		p.t.Errorf("the type is %q", got)
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(body)), ""))
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(p.file(name+".p7"), der, 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.openssl("pkcs7", "-inform", "DER", "-in", name+".p7", "-print_certs", "-out", name+".pem")
	text, err := os.ReadFile(p.file(name + ".pem"))
	if err != nil {
		p.t.Fatal(err)
	}
	if n := strings.Count(string(text), "BEGIN CERTIFICATE"); n != 1 {
		p.t.Errorf("%d certificates", n)
	}
	key, err := os.ReadFile(p.file(name + ".key"))
	if err != nil {
		p.t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(text, key)
	if err != nil {
		p.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		p.t.Fatal(err)
	}
	return pair, leaf
}

// upload sends a file of devices.
func (p *plant) upload(csv string) (created, failed int) {
	p.t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", "devices.csv")
	if err == nil {
		_, err = part.Write([]byte(csv))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	a, err := p.Admin().Do("POST", "/devicecontrol/bulkNewDeviceRequests", form.Bytes(), "Content-Type", w.FormDataContentType())
	if err != nil || a.Status != 201 {
		p.t.Fatalf("%d %s, %v", a.Status, a.Body, err)
	}
	var got struct{ NumberOfCreated, NumberOfFailed int }
	if err := json.Unmarshal(a.Body, &got); err != nil {
		p.t.Fatal(err)
	}
	return got.NumberOfCreated, got.NumberOfFailed
}

// TestEnrolment takes a device from nothing to a certificate over EST, to MQTT and a token with it, to its renewal, and to its end.
func TestEnrolment(t *testing.T) {
	t.Parallel()
	p := startPlant(t)
	enroll, token := "https://"+p.https+"/.well-known/est/", "https://"+p.mtls+"/devicecontrol/deviceAccessToken"
	var ca struct{ Fingerprint, CertInPemFormat string }
	p.Admin().Want(t, 201, "POST", "/certificate-authority", nil, &ca)
	request := p.request("est-1")
	ask := func(user, password, body string) (int, http.Header, []byte) {
		return p.send("POST", enroll+"simpleenroll", body, nil, "Authorization", basic(user, password), "Content-Type", "application/pkcs10", "Content-Transfer-Encoding", "base64")
	}
	if status, _, body := ask("est-1", "one-time-1", request); status != 401 {
		t.Fatalf("before it is registered: %d %s", status, body)
	}
	if created, failed := p.upload("ID,IDTYPE,AUTH_TYPE,ENROLLMENT_OTP,TYPE,NAME,com_cumulocity_model_Agent.active\nest-1,c8y_Serial,CERTIFICATES,one-time-1,thin-edge.io,est-1,true\n"); created != 1 || failed != 0 {
		t.Fatalf("%d created, %d failed", created, failed)
	}
	for name, c := range map[string]struct {
		user, password, body string
		status               int
	}{"another password": {"est-1", "one-time-2", request, 401}, "another device": {"est-2", "one-time-1", request, 401}, "another name": {"est-1", "one-time-1", p.request("est-9"), 422}, "no request": {"est-1", "one-time-1", "MIIB", 422}} {
		if status, _, body := ask(c.user, c.password, c.body); status != c.status {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	text, err := os.ReadFile(p.file("est-1.csr"))
	if err != nil {
		t.Fatal(err)
	}
	armour := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: text})) // what curl users send
	status, header, body := ask("est-1", "one-time-1", armour)
	if status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	pair, leaf := p.take("est-1", header, body)
	if status, _, _ := ask("est-1", "one-time-1", request); status != 401 {
		t.Errorf("a second time: %d", status)
	}

	// MQTT with the certificate, as its object's owner, and a token over MQTT.
	tokens := make(chan string, 1)
	client, lost, err := p.dial("est-1", pair, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(0)
	for _, k := range []paho.Token{client.Subscribe("s/dat", 1, func(_ paho.Client, m paho.Message) { tokens <- strings.TrimPrefix(string(m.Payload()), "71,") }),
		client.Publish("s/us", 1, false, "400,compat_Est,enrolled"), client.Publish("s/uat", 1, false, "")} {
		if !k.WaitTimeout(20*time.Second) || k.Error() != nil {
			t.Fatal(k.Error())
		}
	}
	var id struct{ ManagedObject struct{ ID string } }
	p.Admin().Want(t, 200, "GET", "/identity/externalIds/c8y_Serial/est-1", nil, &id)
	var events struct{ Events []struct{ Text string } }
	p.Admin().Want(t, 200, "GET", "/event/events?source="+id.ManagedObject.ID, nil, &events)
	if len(events.Events) != 1 {
		t.Errorf("%d events", len(events.Events))
	}
	var jwt string
	select {
	case jwt = <-tokens:
	case <-time.After(20 * time.Second):
		t.Fatal("no token over MQTT")
	}

	// Renewal with that token.
	status, header, body = p.send("POST", enroll+"simplereenroll", p.request("est-1"), nil, "Authorization", "Bearer "+jwt, "Content-Type", "application/pkcs10")
	if status != 200 {
		t.Fatalf("renewal: %d %s", status, body)
	}
	renewed, second := p.take("est-1", header, body)
	if second.SerialNumber.Cmp(leaf.SerialNumber) == 0 {
		t.Error("the renewed certificate is the old one")
	}

	// A token over HTTPS with the new certificate, and what it opens.
	me := func(jwt string) string {
		status, _, body := p.send("GET", "https://"+p.https+"/user/currentUser", "", nil, "Authorization", "Bearer "+jwt)
		var user struct{ UserName string }
		if err := json.Unmarshal(body, &user); err != nil || status != 200 {
			t.Errorf("%d %s", status, body)
		}
		return user.UserName
	}
	var got struct{ AccessToken string }
	if status, _, body = p.send("POST", token, "", &renewed); status != 200 || json.Unmarshal(body, &got) != nil || me(got.AccessToken) != "device_est-1" {
		t.Errorf("%d %s", status, body)
	}
	line := strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: second.Raw})), "\n", " ")
	for name, url := range map[string]string{"no certificate": token, "not that listener": "https://" + p.https + "/devicecontrol/deviceAccessToken"} {
		if status, _, body := p.send("POST", url, "", nil, "X-SSL-CERT-CHAIN", line); status != 401 {
			t.Errorf("%s, but a header: %d %s", name, status, body)
		}
	}

	// Revoked: what is connected ends, nothing opens any more, and the list says so.
	p.Admin().Want(t, 204, "PUT", "/tenant/trusted-certificates/settings/crl", map[string]any{"crls": []any{map[string]string{"serialNumberInHex": leaf.SerialNumber.Text(16)}}}, nil)
	select {
	case <-lost:
	case <-time.After(20 * time.Second):
		t.Error("the connection goes on")
	}
	if _, _, err := p.dial("est-1", pair, nil); err == nil {
		t.Error("MQTT with a revoked certificate")
	}
	if status, _, _ := p.send("POST", token, "", &pair); status != 401 {
		t.Errorf("a token with a revoked certificate: %d", status)
	}
	if c, _, err := p.dial("est-1", renewed, nil); err != nil {
		t.Errorf("the renewed one: %v", err)
	} else {
		c.Disconnect(0)
	}
	a, err := p.Admin().Do("GET", "/tenant/trusted-certificates/settings/crl", nil)
	if err != nil || a.Header.Get("Content-Type") != "application/pkix-crl" {
		t.Fatalf("%v %v", a.Header, err)
	}
	if err := os.WriteFile(p.file("revoked.crl"), a.Body, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := p.openssl("crl", "-inform", "DER", "-in", "revoked.crl", "-noout", "-text"); !strings.Contains(out, fmt.Sprintf("%X", leaf.SerialNumber)) {
		t.Errorf("the list does not name it:\n%s", out)
	}
	noDefects(t, p.Server)
}

// TestTokenWithAChain: the header adds what is missing between the certificate and the anchor.
func TestTokenWithAChain(t *testing.T) {
	t.Parallel()
	p := startPlant(t)
	root := issue(t, "Chain CA", nil, ca)
	sub := issue(t, "Chain line", root, ca)
	leaf := issue(t, "chain-1", sub, nil)
	p.trust(t, root, true)
	token, cert := "https://"+p.mtls+"/devicecontrol/deviceAccessToken", leaf.chain()
	spaced := func(i *issued) string { return strings.ReplaceAll(i.pem(), "\n", " ") }
	for name, c := range map[string]struct {
		header string
		status int
	}{"nothing": {"", 401}, "what is missing": {spaced(sub), 200}, "all": {spaced(leaf) + spaced(sub), 200}, "another one": {spaced(root), 401}, "no certificate": {"x", 400},
		"too many": {strings.Repeat(spaced(sub), 6), 400}} {
		var header []string
		if c.header != "" {
			header = []string{"X-SSL-CERT-CHAIN", c.header}
		}
		if status, _, body := p.send("POST", token, "", &cert, header...); status != c.status {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	var user rig.Object
	p.Admin().Want(t, 200, "GET", "/user/main/users/device_chain-1", nil, &user)
}
