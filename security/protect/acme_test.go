package protect_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/security/protect"
)

// pebbleVersion is the authority that the test runs against: the one that Let's Encrypt made for testing clients.
const pebbleVersion = "v2.10.1"

// pebble returns the folder with the authority's programs. They are built once per machine, outside of our module.
func pebble(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "isobar-test", "pebble-"+pebbleVersion)
	for _, name := range []string{"pebble", "pebble-challtestsrv"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			continue
		}
		cmd := exec.Command("go", "install", "github.com/letsencrypt/pebble/v2/cmd/"+name+"@"+pebbleVersion)
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	return dir
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func run(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	var out logged
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(name), out.b.String())
		}
	})
}

// authority is a running ACME server that resolves every name to this machine.
type authority struct {
	directory, ca     string
	tlsPort, httpPort int
	management        string
	client            *http.Client
}

func start(t *testing.T) *authority {
	t.Helper()
	bin, dir := pebble(t), t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key := pair(t, "localhost", time.Now().Add(time.Hour))
	a := &authority{ca: write("ca.pem", cert), tlsPort: freePort(t), httpPort: freePort(t)}
	api, management, dns := freePort(t), freePort(t), freePort(t)
	conf, err := json.Marshal(map[string]any{"pebble": map[string]any{"listenAddress": fmt.Sprintf("127.0.0.1:%d", api), "managementListenAddress": fmt.Sprintf("127.0.0.1:%d", management),
		"certificate": a.ca, "privateKey": write("key.pem", key), "httpPort": a.httpPort, "tlsPort": a.tlsPort, "keyAlgorithm": "ecdsa",
		"retryAfter": map[string]int{"authz": 1, "order": 1}, "profiles": map[string]any{"default": map[string]any{"description": "default", "validityPeriod": 7776000}}}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, nil, filepath.Join(bin, "pebble-challtestsrv"), "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dnsserver", fmt.Sprintf("127.0.0.1:%d", dns), "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "",
		"-management", fmt.Sprintf("127.0.0.1:%d", freePort(t)))
	run(t, []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=5"}, filepath.Join(bin, "pebble"), "-config", write("config.json", conf), "-dnsserver", fmt.Sprintf("127.0.0.1:%d", dns))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	a.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	a.directory, a.management = fmt.Sprintf("https://localhost:%d/dir", api), fmt.Sprintf("https://localhost:%d", management)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		res, err := a.client.Get(a.directory)
		if err == nil {
			res.Body.Close()
			return a
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// issuers returns the roots of what the authority issues.
func (a *authority) issuers(t *testing.T) *x509.CertPool {
	t.Helper()
	res, err := a.client.Get(a.management + "/roots/0")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(raw) {
		t.Fatalf("no root: %v %s", err, raw)
	}
	return pool
}

// TestACME gets certificates from a real authority: proven on the TLS port, and where that is not reached, on the plain port.
func TestACME(t *testing.T) {
	if testing.Short() {
		t.Skip("starts an ACME server")
	}
	for name, overHTTP := range map[string]bool{"TLS-ALPN-01": false, "HTTP-01": true} {
		t.Run(name, func(t *testing.T) {
			a := start(t)
			cache, reg, log := filepath.Join(t.TempDir(), "acme"), prometheus.NewRegistry(), &logged{}
			names := []string{"iot.example.com", "mqtt.example.com"}
			o := protect.Options{ACME: protect.ACME{Domains: names, Email: "someone@example.com", Directory: a.directory, Cache: cache, CAFile: a.ca}, Clock: clock.System{}, Log: log.logger(), Reg: reg}
			c, err := protect.Open(o)
			if err != nil {
				t.Fatal(err)
			}
			conf := c.Config("http/1.1")
			if overHTTP {
				plain := &http.Server{Addr: fmt.Sprintf("127.0.0.1:%d", a.httpPort), Handler: c.Challenges(http.NotFoundHandler())}
				go func() { _ = plain.ListenAndServe() }()
				defer plain.Close()
			} else {
				go forward(t, a.tlsPort, serve(t, conf))
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() { defer close(done); c.Run(ctx, make(chan time.Time), nil) }()
			defer func() { cancel(); <-done }()
			roots, addr := a.issuers(t), serve(t, conf)
			for end := time.Now().Add(60 * time.Second); log.count("from the authority is in use") < len(names); time.Sleep(50 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("no certificate:\n%s", log.b.String())
				}
			}
			for _, name := range names {
				conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, ServerName: name})
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				conn.Close()
			}
			if nobody, err := dial(t, addr, &tls.Config{}); err != nil || nobody.ConnectionState().PeerCertificates[0].DNSNames[0] != names[0] {
				t.Errorf("a client without SNI: %v", err)
			}
			if _, err := dial(t, addr, &tls.Config{ServerName: "evil.example.com"}); err == nil {
				t.Error("there is a certificate for a name that is not ours")
			}
			if n := testutil.CollectAndCount(reg, "isobar_tls_certificate_expiry_timestamp_seconds"); n != len(names) {
				t.Errorf("%d certificates in the gauge", n)
			}
			if info, err := os.Stat(cache); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("the cache is open to others: %v, %v", info.Mode(), err)
			}

			o.ACME.Directory, o.Reg = "https://127.0.0.1:1/gone", nil // what is in the cache needs no authority
			again, err := protect.Open(o)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := tls.Dial("tcp", serve(t, again.Config()), &tls.Config{RootCAs: roots, ServerName: names[1]})
			if err != nil {
				t.Fatalf("after a restart: %v", err)
			}
			conn.Close()
		})
	}
}

// forward passes connections of a port on to an address, byte by byte.
func forward(t *testing.T, port int, to string) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(func() { l.Close() })
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			in.Close()
			continue
		}
		go func() { _, _ = io.Copy(out, in); out.Close() }()
		go func() { _, _ = io.Copy(in, out); in.Close() }()
	}
}
