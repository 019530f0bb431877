package compat_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/pires/go-proxyproto"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// authority issues certificates for this machine.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	dir  string
	n    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Compat CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, pool: x509.NewCertPool(), dir: t.TempDir(), n: 1}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	a.write(t, "ca.pem", &pem.Block{Type: "CERTIFICATE", Bytes: der})
	a.issue(t)
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) write(t *testing.T, name string, block *pem.Block) {
	t.Helper()
	if err := os.WriteFile(a.file(name), pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
}

// issue replaces cert.pem and key.pem, one after the other, and returns the serial number.
func (a *authority) issue(t *testing.T) int64 {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.n++
	template := &x509.Certificate{SerialNumber: big.NewInt(a.n), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * time.Minute)}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, "cert.pem", &pem.Block{Type: "CERTIFICATE", Bytes: der})
	a.write(t, "key.pem", &pem.Block{Type: "PRIVATE KEY", Bytes: raw})
	return a.n
}

func (a *authority) client() *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.pool}, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// edge is a server with listeners of all four kinds.
type edge struct {
	*rig.Server
	*authority
	https, mqtts string // host:port
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func startEdge(t *testing.T, args ...string) *edge {
	t.Helper()
	e := &edge{authority: newAuthority(t), https: freeAddr(t), mqtts: freeAddr(t)}
	web, mqtt := freeAddr(t), freeAddr(t)
	args = append([]string{"server", "--data", t.TempDir(), "--http", web, "--https", e.https, "--mqtt", mqtt, "--mqtts", e.mqtts, "--tls-cert", e.file("cert.pem"), "--tls-key", e.file("key.pem")}, args...)
	p := rig.Run(t, []string{"ISOBAR_ADMIN_PASSWORD=" + rig.AdminPassword, "ISOBAR_BOOTSTRAP_PASSWORD=" + rig.BootstrapPassword}, args...)
	e.Server = &rig.Server{Process: p, URL: "http://" + web, MQTT: mqtt}
	rig.Eventually(t, "a server that is ready", func() bool {
		res, err := e.client().Get("https://" + e.https + "/readyz")
		if err != nil {
			select {
			case <-p.Done():
				t.Fatalf("the server ended\n%s%s", p.Out.String(), p.Err.String())
			default:
			}
			return false
		}
		res.Body.Close()
		return res.StatusCode == 200
	})
	return e
}

// get asks for a path over a listener and returns the answer with its body.
func (e *edge) get(t *testing.T, base, path string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest("GET", base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("main/admin", rig.AdminPassword)
	req.Header.Set("Accept", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := e.client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestTransport(t *testing.T) {
	t.Parallel() // it mostly waits
	e := startEdge(t, "--trusted-proxies", "")
	secure, plain := "https://"+e.https, e.URL

	t.Run("links and headers", func(t *testing.T) {
		for base, want := range map[string]string{secure: "https:", plain: "http:"} {
			for _, path := range []string{"/platform", "/inventory/managedObjects", "/tenant/loginOptions", "/apps/isobar/", "/", "/nothing"} {
				res, body := e.get(t, base, path, "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example")
				all := fmt.Sprint(res.Header) + body
				if strings.Contains(all, "evil.example") || base == plain && strings.Contains(strings.ReplaceAll(all, "https://isobar.dev/", ""), `"https://`) || base == secure && strings.Contains(body, `"http://`) {
					t.Errorf("%s%s has links it must not have: %.300s", base, path, all)
				}
				if hsts := res.Header.Get("Strict-Transport-Security"); (hsts != "") != (base == secure) || hsts != "" && hsts != "max-age=63072000; includeSubDomains" {
					t.Errorf("%s%s: Strict-Transport-Security %q", base, path, hsts)
				}
				for name, part := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Content-Security-Policy": "frame-ancestors 'none'"} {
					if v := res.Header.Values(name); len(v) != 1 || !strings.Contains(v[0], part) {
						t.Errorf("%s%s: %s %q", base, path, name, v)
					}
				}
			}
			app, _ := e.get(t, base, "/apps/isobar/")
			for name, part := range map[string]string{"Content-Security-Policy": "script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; ", "Permissions-Policy": "camera=()",
				"Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY"} {
				if v := app.Header.Get(name); !strings.Contains(v, part) {
					t.Errorf("%s/apps/isobar/: %s %q", base, name, v)
				}
			}
			if res, body := e.get(t, base, "/inventory/managedObjects"); !strings.Contains(body, `"`+want+`//`) {
				t.Errorf("%s: status %d, no link with %s in %.300s", base, res.StatusCode, want, body)
			}
			form := url.Values{"grant_type": {"PASSWORD"}, "tenant_id": {"main"}, "username": {"admin"}, "password": {rig.AdminPassword}}
			res, err := e.client().PostForm(base+"/tenant/oauth", form)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			for _, c := range res.Cookies() {
				if c.Secure != (base == secure) || c.SameSite != http.SameSiteLaxMode {
					t.Errorf("%s: cookie %+v", base, c)
				}
			}
			if len(res.Cookies()) != 2 {
				t.Errorf("%s: status %d, cookies %v", base, res.StatusCode, res.Cookies())
			}
		}
		if res, _ := e.get(t, secure, "/platform"); res.ProtoMajor != 2 || res.TLS.CurveID != tls.X25519MLKEM768 {
			t.Errorf("protocol %s, key exchange %s", res.Proto, res.TLS.CurveID)
		}
	})

	t.Run("handshakes", func(t *testing.T) {
		for name, addr := range map[string]string{"https": e.https, "mqtts": e.mqtts} {
			for what, c := range map[string]struct {
				conf *tls.Config
				ok   bool
			}{
				"TLS 1.3": {&tls.Config{MinVersion: tls.VersionTLS13}, true},
				"TLS 1.2": {&tls.Config{MaxVersion: tls.VersionTLS12}, true},
				"TLS 1.1": {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
				"CBC":     {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA}}, false},
			} {
				c.conf.RootCAs = e.pool
				conn, err := tls.Dial("tcp", addr, c.conf)
				if (err == nil) != c.ok {
					t.Errorf("%s, %s: %v", name, what, err)
				}
				if err == nil {
					if suite := tls.CipherSuiteName(conn.ConnectionState().CipherSuite); !strings.Contains(suite, "GCM") && !strings.Contains(suite, "CHACHA20") {
						t.Errorf("%s, %s: suite %s", name, what, suite)
					}
					conn.Close()
				}
			}
		}
	})

	t.Run("WebSocket", func(t *testing.T) { // beside HTTP/2 on the same port
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		for path, protocols := range map[string][]string{"/mqtt": {"mqtt"}, "/notification/realtime": nil} {
			c, _, err := websocket.Dial(ctx, "wss://"+e.https+path, &websocket.DialOptions{HTTPClient: e.client(), Subprotocols: protocols})
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			_ = c.CloseNow()
		}
	})

	d := e.Register(t, "tls-1")
	events := func() (n int) {
		var got struct{ Events []struct{ Text string } }
		e.Admin().Want(t, 200, "GET", "/event/events?type=compat_TLS&pageSize=100", nil, &got)
		return len(got.Events)
	}
	t.Run("mosquitto", func(t *testing.T) {
		if _, err := exec.LookPath("mosquitto_pub"); err != nil {
			t.Skip("mosquitto_pub is not installed: run through make test")
		}
		_, port, _ := net.SplitHostPort(e.mqtts)
		args := []string{"-h", "localhost", "-p", port, "--cafile", e.file("ca.pem"), "-i", d.Serial, "-u", d.User, "-P", d.Password, "-q", "1", "-t", "s/us", "-m", "400,compat_TLS,hello"}
		if out, err := exec.Command("mosquitto_pub", args...).CombinedOutput(); err != nil || events() != 1 {
			t.Errorf("%v, %d events\n%s", err, events(), out)
		}
	})

	t.Run("a new certificate", func(t *testing.T) {
		lost := make(chan error, 1)
		c := paho.NewClient(paho.NewClientOptions().AddBroker("tls://" + e.mqtts).SetClientID(d.Serial).SetUsername(d.User).SetPassword(d.Password).SetTLSConfig(&tls.Config{RootCAs: e.pool}).
			SetAutoReconnect(false).SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- err }))
		if k := c.Connect(); !k.WaitTimeout(10*time.Second) || k.Error() != nil {
			t.Fatal(k.Error())
		}
		defer c.Disconnect(0)
		before, serial := events(), e.issue(t)
		for _, addr := range []string{e.https, e.mqtts} {
			rig.Eventually(t, "the new certificate at "+addr, func() bool {
				conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: e.pool})
				if err != nil {
					return false
				}
				defer conn.Close()
				return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64() == serial
			})
		}
		if k := c.Publish("s/us", 1, false, "400,compat_TLS,still there"); !k.WaitTimeout(10*time.Second) || k.Error() != nil || events() != before+1 {
			t.Errorf("the open connection: %v, %d events", k.Error(), events())
		}
		select {
		case err := <-lost:
			t.Errorf("the open connection ended: %v", err)
		default:
		}
	})
	noDefects(t, e.Server)
}

// TestFirewall tries all four listeners from an address that may and one that may not come in, by a flag and by a file that changes.
func TestFirewall(t *testing.T) {
	t.Parallel() // it mostly waits
	file := filepath.Join(t.TempDir(), "firewall")
	rules := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rules("# nobody yet\n")
	e := startEdge(t, "--deny", "127.0.0.2", "--firewall", file)
	_, web, _ := strings.Cut(e.URL, "://")
	listeners := map[string]string{"http": web, "https": e.https, "mqtt": e.MQTT, "mqtts": e.mqtts}
	// in reports whether an address comes in: the server reads what is said, and answers with something.
	in := func(from, name string) bool {
		t.Helper()
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
		var c net.Conn
		c, err := dialer.Dial("tcp", listeners[name])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if strings.HasSuffix(name, "s") {
			return tls.Client(c, &tls.Config{RootCAs: e.pool, ServerName: "localhost"}).Handshake() == nil
		}
		_, _ = c.Write(map[string][]byte{"http": []byte("GET /healthz HTTP/1.0\r\n\r\n"), "mqtt": {0x10, 0x0d, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 1, 'a'}}[name])
		n, _ := c.Read(make([]byte, 1))
		return n == 1
	}
	for name := range listeners {
		if !in("127.0.0.1", name) || in("127.0.0.2", name) || !in("127.0.0.3", name) {
			t.Errorf("%s: 127.0.0.1 %v, 127.0.0.2 %v, 127.0.0.3 %v", name, in("127.0.0.1", name), in("127.0.0.2", name), in("127.0.0.3", name))
		}
	}
	rules("deny 127.0.0.3\n")
	rig.Eventually(t, "the new rules", func() bool { return !in("127.0.0.3", "mqtt") })
	for name := range listeners {
		if !in("127.0.0.1", name) || in("127.0.0.2", name) || in("127.0.0.3", name) {
			t.Errorf("%s: the new rules do not hold", name)
		}
	}
	a, err := e.Admin().Do("GET", "/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name := range listeners {
		if !strings.Contains(string(a.Body), `isobar_firewall_refused_connections_total{listener="`+name+`",reason="denied"}`) {
			t.Errorf("%s is not counted", name)
		}
	}
}

// TestClientAddress: what the audit says of who failed to log in is the client behind the proxy, if the proxy is trusted.
func TestClientAddress(t *testing.T) {
	e := startEdge(t, "--proxy-protocol")
	_, web, _ := strings.Cut(e.URL, "://")
	dial := func(addr, client string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if client != "" {
			h := &proxyproto.Header{Version: 2, Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv4, SourceAddr: &net.TCPAddr{IP: net.ParseIP(client), Port: 4711},
				DestinationAddr: &net.TCPAddr{IP: net.IPv4(198, 51, 100, 1), Port: 443}}
			if _, err := h.WriteTo(c); err != nil {
				t.Fatal(err)
			}
		}
		return c
	}
	failed := func(client string) bool {
		_, body := e.get(t, e.URL, "/audit/auditRecords?type=UserAuthentication&pageSize=100")
		return strings.Contains(body, "from "+client+" failed")
	}
	request := "GET /inventory/managedObjects HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Basic bWFpbi9hZG1pbjp3cm9uZw==\r\n" // main/admin:wrong
	connect := []byte{0x10, 39, 0, 4, 'M', 'Q', 'T', 'T', 4, 0xC2, 0, 0, 0, 1, 'a', 0, 10}
	connect = append(append(append(connect, "main/admin"...), 0, 10), "wrongwrong"...)
	connect[1] = byte(len(connect) - 2)
	for client, try := range map[string]func(client string) net.Conn{
		"203.0.113.1": func(a string) net.Conn {
			c := dial(web, a)
			fmt.Fprint(c, request+"\r\n")
			return c
		},
		"203.0.113.2": func(a string) net.Conn {
			c := tls.Client(dial(e.https, a), &tls.Config{RootCAs: e.pool, ServerName: "localhost"})
			fmt.Fprint(c, request+"\r\n")
			return c
		},
		"203.0.113.3": func(a string) net.Conn {
			c := dial(e.MQTT, a)
			_, _ = c.Write(connect)
			return c
		},
		"203.0.113.4": func(a string) net.Conn {
			c := tls.Client(dial(e.mqtts, a), &tls.Config{RootCAs: e.pool, ServerName: "localhost"})
			_, _ = c.Write(connect)
			return c
		},
		"203.0.113.5": func(a string) net.Conn { // a header of HTTP instead
			c := dial(web, "")
			fmt.Fprint(c, request+"X-Forwarded-For: 198.51.100.7, "+a+"\r\n\r\n")
			return c
		},
		"203.0.113.6": func(string) net.Conn { // both: the proxy before the proxy is a stranger, and is not believed
			c := dial(web, "203.0.113.6")
			fmt.Fprint(c, request+"X-Forwarded-For: 203.0.113.66\r\n\r\n")
			return c
		},
	} {
		_, _ = io.Copy(io.Discard, try(client))
		rig.Eventually(t, "the audit to name "+client, func() bool { return failed(client) })
	}
	if failed("203.0.113.66") || failed("198.51.100.7") {
		t.Error("somebody was believed who is not trusted")
	}
	noDefects(t, e.Server)
}

func TestLimits(t *testing.T) {
	t.Run("per user", func(t *testing.T) {
		s := rig.Start(t, rig.Options{Args: []string{"--limit-requests-user", "5"}})
		limited(t, s, "per second of this user")
		// What a tenant's options say counts soon.
		rig.Eventually(t, "the option to be stored", func() bool {
			a, err := s.Admin().Do("PUT", "/tenant/options/limits", map[string]string{"requests.per.second.user": "0"})
			return err == nil && a.Status == 200
		})
		rig.Eventually(t, "the option to count", func() bool {
			for range 30 {
				if a, err := s.Admin().Do("GET", "/inventory/managedObjects", nil); err != nil || a.Status != 200 {
					return false
				}
			}
			return true
		})
	})
	t.Run("per address", func(t *testing.T) {
		s := rig.Start(t, rig.Options{Args: []string{"--limit-requests-address", "5", "--trusted-proxies", ""}})
		limited(t, s, "per second from your address")
	})
	t.Run("MQTT", func(t *testing.T) {
		s := rig.Start(t, rig.Options{Args: []string{"--limit-connects-address", "1", "--trusted-proxies", ""}})
		codes := map[byte]int{}
		for range 5 {
			c, err := net.Dial("tcp", s.MQTT)
			if err != nil {
				t.Fatal(err)
			}
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			_, _ = c.Write([]byte{0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 0, 0, 0, 1, 'a'})
			var head [4]byte
			if _, err := io.ReadFull(c, head[:]); err != nil {
				t.Fatal(err)
			}
			codes[head[3]]++
			c.Close()
		}
		if codes[0x9F] == 0 || codes[0x87] < 2 || codes[0x9F]+codes[0x87] != 5 {
			t.Errorf("reason codes %v, want 0x87 and then 0x9F", codes)
		}
	})
}

// limited asks until it is told to wait, waits as long, and is served again.
func limited(t *testing.T, s *rig.Server, why string) {
	t.Helper()
	for range 50 {
		a, err := s.Admin().Do("GET", "/inventory/managedObjects", nil)
		if err != nil {
			t.Fatal(err)
		}
		if a.Status == 200 {
			continue
		}
		var body struct{ Error, Message, Info string }
		if err := json.Unmarshal(a.Body, &body); err != nil || a.Status != 429 || !strings.HasSuffix(body.Error, "/Too Many Requests") || !strings.Contains(body.Message, why) {
			t.Fatalf("status %d, %v: %s", a.Status, err, a.Body)
		}
		wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
		if err != nil || wait < 1 || wait > 5 {
			t.Fatalf("Retry-After %q", a.Header.Get("Retry-After"))
		}
		rig.Eventually(t, "the limit to let go", func() bool {
			a, err := s.Admin().Do("GET", "/inventory/managedObjects", nil)
			return err == nil && a.Status == 200
		})
		return
	}
	t.Fatal("50 requests pass")
}

// TestPlaintextEnds starts a server with a permission of a few seconds: then only the listener of this machine and the encrypted one are left.
func TestPlaintextEnds(t *testing.T) {
	_, port, _ := net.SplitHostPort(freeAddr(t))
	e := startEdge(t, "--mqtt", "0.0.0.0:"+port, "--allow-plaintext=3s")
	open, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	for _, want := range []string{"is not encrypted", "closes="} {
		if !strings.Contains(e.Err.String(), want) {
			t.Errorf("the log does not say %q at the start:\n%s", want, e.Err.String())
		}
	}
	rig.Eventually(t, "the end of the listener", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	_ = open.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := open.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("its connection goes on: %v", err)
	}
	for _, base := range []string{e.URL, "https://" + e.https} {
		if res, _ := e.get(t, base, "/platform"); res.StatusCode != 200 {
			t.Errorf("%s: status %d", base, res.StatusCode)
		}
	}
	if log := e.Err.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "renew --allow-plaintext") {
		t.Errorf("the log does not say what to do:\n%s", log)
	}
	if code, _ := e.Stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestEdgeCommandLine(t *testing.T) {
	never := filepath.Join(t.TempDir(), "never")
	for _, c := range []struct {
		args []string
		code int
		out  string
	}{
		{[]string{"check", "--http", "0.0.0.0:80", "--allow-plaintext"}, 0, "good"},
		{[]string{"check", "--http", "0.0.0.0:80", "--allow-plaintext=72h"}, 0, "good"},
		{[]string{"check", "--http", "0.0.0.0:80", "--allow-plaintext=until 2026-12-01"}, 0, "good"},
		{[]string{"check", "--http", "0.0.0.0:80", "--allow-plaintext=false"}, 2, "without encryption"},
		{[]string{"check", "--allow-plaintext=perhaps"}, 2, "a time such as 24h"},
		{[]string{"check", "--allow-plaintext=999999h"}, 2, "366 days"},
		{[]string{"server", "--http", "0.0.0.0:0", "--allow-plaintext=2020-01-01"}, 1, "renew --allow-plaintext"},
		{[]string{"server", "--http", "127.0.0.1:0", "--allow-plaintext=2099-01-01"}, 1, "366 days away"},
		{[]string{"check", "--deny", "nonsense"}, 2, `deny: "nonsense" is neither an address nor a network`},
		{[]string{"check", "--trusted-proxies", "localhost"}, 2, "trusted-proxies"},
		{[]string{"check", "--limit-requests-user", "0.5"}, 2, "limit-requests-user: must be 0 or a number from 1"},
		{[]string{"check", "--limit-connections", "-1"}, 2, "limit-connections"},
		{[]string{"check", "--https", ":443", "--acme-domain", "iot.example.com", "--acme-domain", "b.example.com"}, 0, "good"},
		{[]string{"check", "--mqtts", ":8883", "--acme-domain", "iot.example.com"}, 2, "https is needed"},
		{[]string{"check", "--https", ":443", "--acme-domain", "*.example.com"}, 2, "wildcards"},
		{[]string{"check", "--https", ":443", "--acme-domain", "iot.example.com", "--tls-cert", "x"}, 2, "either from an authority or from files"},
		{[]string{"server", "--https", "127.0.0.1:0", "--tls-cert", "/nothing", "--tls-key", "/nothing"}, 1, "certificate"},
		{[]string{"server", "--firewall", "/nothing"}, 1, "firewall"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			p := rig.Run(t, []string{"ISOBAR_DATA=" + never, "ISOBAR_MQTT=127.0.0.1:0", "ISOBAR_LOG_LEVEL=error"}, c.args...)
			code := p.Exit(t, 20*time.Second)
			got := p.Out.String() + p.Err.String()
			if (code == 0) != (c.code == 0) || c.code == 2 && code != 2 || !strings.Contains(got, c.out) || bytes.Contains([]byte(got), []byte("goroutine ")) {
				t.Errorf("code %d, want %d and %q in\n%s", code, c.code, c.out, got)
			}
			_ = os.RemoveAll(never)
		})
	}
}
