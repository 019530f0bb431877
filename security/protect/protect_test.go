package protect_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/security/protect"
)

// logged collects a log. It is safe for concurrent use.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), s)
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// pair is a certificate for a name that signs itself, and its key, as PEM.
func pair(t *testing.T, name string, ends time.Time) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<60))
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: ends.Add(-90 * 24 * time.Hour), NotAfter: ends}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// fixture is a pair of files and the certificates that are read from them; tick does what is due and waits until it is done.
type fixture struct {
	cert, key string
	log       logged
	reg       *prometheus.Registry
	clock     *clock.Manual
	c         *protect.Certificates
	version   time.Time
	tick      func()
}

func (f *fixture) write(t *testing.T, cert, key []byte) {
	t.Helper()
	f.version = f.version.Add(time.Second) // no file system has to be so exact that it tells two writes of one test apart
	for name, content := range map[string][]byte{f.cert: cert, f.key: key} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, f.version, f.version); err != nil {
			t.Fatal(err)
		}
	}
}

func files(t *testing.T, name string) *fixture {
	t.Helper()
	dir := t.TempDir()
	f := &fixture{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), reg: prometheus.NewRegistry(), clock: clock.NewManual(time.Now()), version: time.Now()}
	cert, key := pair(t, name, f.clock.Now().Add(60*24*time.Hour))
	f.write(t, cert, key)
	var err error
	if f.c, err = protect.Open(protect.Options{CertFile: f.cert, KeyFile: f.key, Clock: f.clock, Log: f.log.logger(), Reg: f.reg}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ticks, done := make(chan time.Time), make(chan struct{})
	go func() { defer close(done); f.c.Run(ctx, ticks, nil) }()
	f.tick = func() {
		ticks <- f.clock.Now()
		ticks <- f.clock.Now() // taken when the first one is done with
	}
	t.Cleanup(func() { cancel(); <-done })
	return f
}

// serve accepts TLS connections, echoes what they say, and returns the address.
func serve(t *testing.T, conf *tls.Config) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				var b [1]byte
				for {
					if _, err := c.Read(b[:]); err != nil {
						return
					}
					if _, err := c.Write(b[:]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, addr string, conf *tls.Config) (*tls.Conn, error) {
	t.Helper()
	conf.InsecureSkipVerify = true
	c, err := tls.Dial("tcp", addr, conf)
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

func shown(t *testing.T, addr string) string {
	t.Helper()
	c, err := dial(t, addr, &tls.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().PeerCertificates[0].DNSNames[0]
}

// TestHandshakes tries what clients may offer. What is refused is refused by the server, not by the client.
func TestHandshakes(t *testing.T) {
	addr := serve(t, files(t, "one.example").c.Config("h2", "http/1.1"))
	gcm := []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	for name, c := range map[string]struct {
		conf  *tls.Config
		ok    bool
		check func(tls.ConnectionState) bool
	}{
		"TLS 1.3 agrees on a hybrid key": {&tls.Config{}, true, func(s tls.ConnectionState) bool {
			return s.Version == tls.VersionTLS13 && s.CurveID == tls.X25519MLKEM768
		}},
		"TLS 1.3 with a classic client":     {&tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP256}}, true, func(s tls.ConnectionState) bool { return s.CurveID == tls.CurveP256 }},
		"TLS 1.2 with an AEAD suite":        {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: gcm}, true, func(s tls.ConnectionState) bool { return s.CipherSuite == gcm[0] }},
		"the preferred protocol":            {&tls.Config{NextProtos: []string{"http/1.1", "h2"}}, true, func(s tls.ConnectionState) bool { return s.NegotiatedProtocol == "h2" }},
		"a protocol that is not there":      {&tls.Config{NextProtos: []string{"mqtt"}}, false, nil},
		"TLS 1.1":                           {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false, nil},
		"TLS 1.0":                           {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, false, nil},
		"CBC":                               {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA}}, false, nil},
		"no forward secrecy":                {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, false, nil},
		"a curve that is not offered":       {&tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP521}}, false, nil},
		"TLS 1.2 with a curve not offered":  {&tls.Config{MaxVersion: tls.VersionTLS12, CurvePreferences: []tls.CurveID{tls.CurveP521}}, false, nil},
		"3DES":                              {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA}}, false, nil},
		"a client that names nobody (SNI)":  {&tls.Config{}, true, func(s tls.ConnectionState) bool { return s.ServerName == "" }},
		"a client that names somebody else": {&tls.Config{ServerName: "other.example"}, true, func(s tls.ConnectionState) bool { return s.PeerCertificates[0].DNSNames[0] == "one.example" }},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := dial(t, addr, c.conf)
			if (err == nil) != c.ok {
				t.Fatalf("connected: %v, %v", err == nil, err)
			}
			if c.ok && !c.check(conn.ConnectionState()) {
				t.Errorf("state %+v", conn.ConnectionState())
			}
			if !c.ok && !strings.Contains(err.Error(), "remote error") {
				t.Errorf("not the server refused: %v", err)
			}
		})
	}
}

// TestAllSuitesAreAEAD looks at the list itself, against the one of the library.
func TestAllSuitesAreAEAD(t *testing.T) {
	conf := files(t, "one.example").c.Config()
	if len(conf.CipherSuites) == 0 || conf.MinVersion < tls.VersionTLS12 || conf.Renegotiation != tls.RenegotiateNever {
		t.Fatalf("suites %v, least version %x", conf.CipherSuites, conf.MinVersion)
	}
	for _, id := range conf.CipherSuites {
		name := tls.CipherSuiteName(id)
		if !strings.HasPrefix(name, "TLS_ECDHE_") || !strings.Contains(name, "_GCM_") && !strings.Contains(name, "_POLY1305") {
			t.Errorf("suite %s", name)
		}
	}
}

func TestFilesAreReadAgain(t *testing.T) {
	f := files(t, "one.example")
	addr := serve(t, f.c.Config())
	old, err := dial(t, addr, &tls.Config{})
	if err != nil {
		t.Fatal(err)
	}
	echo := func() {
		t.Helper()
		_ = old.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := old.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := old.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	echo()
	f.tick()
	if n := f.log.count("in use"); n != 0 {
		t.Errorf("%d new certificates where nothing changed", n)
	}

	two, twoKey := pair(t, "two.example", f.clock.Now().Add(80*24*time.Hour))
	three, _ := pair(t, "three.example", f.clock.Now().Add(80*24*time.Hour))
	for _, step := range []struct {
		name, want string
		cert, key  []byte
		refused    int
	}{
		{"a new pair", "two.example", two, twoKey, 0},
		{"a certificate with the key of another", "two.example", three, twoKey, 1},
		{"no certificate at all", "two.example", []byte("nothing"), twoKey, 2},
		{"an empty key", "two.example", two, nil, 3},
		{"the good pair again", "two.example", two, twoKey, 3},
	} {
		f.write(t, step.cert, step.key)
		f.tick()
		f.tick()
		if got := shown(t, addr); got != step.want {
			t.Errorf("%s: %s is shown", step.name, got)
		}
		if got := f.log.count("cannot be used"); got != step.refused {
			t.Errorf("%s: refused %d times, want %d", step.name, got, step.refused)
		}
	}
	if err := os.Remove(f.key); err != nil {
		t.Fatal(err)
	}
	f.tick()
	f.tick()
	if got := shown(t, addr); got != "two.example" || f.log.count("cannot be used") != 4 {
		t.Errorf("without a key file: %s is shown, refused %d times", got, f.log.count("cannot be used"))
	}
	f.write(t, two, twoKey)
	f.tick()
	echo() // the connection of the first certificate has seen nothing of all this
	want := "# HELP isobar_tls_certificate_reloads_total Changed certificate files by result: used, refused.\n# TYPE isobar_tls_certificate_reloads_total counter\n" +
		"isobar_tls_certificate_reloads_total{result=\"refused\"} 4\nisobar_tls_certificate_reloads_total{result=\"used\"} 3\n"
	if err := testutil.GatherAndCompare(f.reg, strings.NewReader(want), "isobar_tls_certificate_reloads_total"); err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(f.reg, "isobar_tls_certificate_expiry_timestamp_seconds"); n != 1 {
		t.Errorf("%d certificates in the gauge", n)
	}
}

func TestTheEndOfACertificateIsToldInTime(t *testing.T) {
	f := files(t, "one.example") // 60 days
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 0}, {49 * 24 * time.Hour, 0}, {25 * time.Hour, 1}, {time.Hour, 1}, {24 * time.Hour, 2}} {
		f.clock.Advance(step.after)
		f.tick()
		if got := f.log.count("ends soon"); got != step.want {
			t.Errorf("%s later: %d warnings, want %d", step.after, got, step.want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	good, key := pair(t, "one.example", time.Now().Add(time.Hour))
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, keyFile, broken := file("cert", good), file("key", key), file("broken", []byte("x"))
	acme := protect.ACME{Domains: []string{"one.example"}, Cache: filepath.Join(dir, "acme")}
	withCA := acme
	withCA.CAFile = broken
	for name, o := range map[string]protect.Options{
		"no files":          {CertFile: filepath.Join(dir, "none"), KeyFile: keyFile},
		"a broken file":     {CertFile: broken, KeyFile: keyFile},
		"the key as both":   {CertFile: keyFile, KeyFile: keyFile},
		"files and ACME":    {CertFile: cert, KeyFile: keyFile, ACME: acme},
		"roots that are no": {ACME: withCA},
	} {
		o.Clock, o.Log = clock.System{}, slog.New(slog.DiscardHandler)
		if _, err := protect.Open(o); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func TestPermission(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":                          {},
		"false":                     {},
		"true":                      now.Add(24 * time.Hour),
		"24h":                       now.Add(24 * time.Hour),
		"90m":                       now.Add(90 * time.Minute),
		"until 2026-12-01":          time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
		"2026-12-01":                time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
		"2026-11-02T08:00:00+02:00": time.Date(2026, 11, 2, 6, 0, 0, 0, time.UTC),
	} {
		var p protect.Permission
		if err := p.Set(text); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var again protect.Permission
		if err := again.Set(p.String()); err != nil || again != p {
			t.Errorf("%q becomes %q, which is read as %+v, %v", text, p.String(), again, err)
		}
		if p.Given() != !want.IsZero() {
			t.Errorf("%q: given %v", text, p.Given())
		}
		if want.IsZero() {
			continue
		}
		m := clock.NewManual(now)
		w, err := protect.NewPlaintext(p, m, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		m.Advance(want.Sub(now) - time.Second)
		if !w.Allowed("http", "") {
			t.Errorf("%q ends too early", text)
		}
		m.Advance(time.Second)
		if w.Allowed("http", "") {
			t.Errorf("%q does not end", text)
		}
	}
	for _, text := range []string{"perhaps", "-1h", "0s", "8785h", "2026-13-01", "until", "for ever"} {
		var p protect.Permission
		if err := p.Set(text); err == nil && text != "until" {
			t.Errorf("%q is taken as %+v", text, p)
		}
	}
	var far protect.Permission
	if err := far.Set("2099-01-01"); err != nil {
		t.Fatal(err)
	}
	if _, err := protect.NewPlaintext(far, clock.NewManual(now), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a permission until 2099 is taken")
	}
}

func TestPlaintextEnds(t *testing.T) {
	m, log := clock.NewManual(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)), &logged{}
	w, err := protect.NewPlaintext(protect.Permission{For: 150 * time.Minute}, m, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := 0
	w.Watch("mqtt", "0.0.0.0:1883", func() { closed++; l.Close() })
	ctx, cancel := context.WithCancel(context.Background())
	ticks, done := make(chan time.Time), make(chan struct{})
	go func() { defer close(done); w.Run(ctx, ticks) }()
	for _, step := range []struct {
		after          time.Duration
		warned, closed int
	}{{0, 1, 0}, {59 * time.Minute, 1, 0}, {time.Minute, 2, 0}, {time.Second, 2, 0}, {time.Hour, 3, 0}, {29 * time.Minute, 3, 0}, {time.Minute, 3, 1}, {time.Hour, 3, 1}} {
		m.Advance(step.after)
		ticks <- m.Now()
		ticks <- m.Now()
		if log.count("is not encrypted") != step.warned || log.count("has ended") != step.closed {
			t.Errorf("after %s: %d warnings, want %d; %d ends, want %d", step.after, log.count("is not encrypted"), step.warned, log.count("has ended"), step.closed)
		}
	}
	cancel()
	<-done
	if closed != 1 {
		t.Errorf("closed %d times", closed)
	}
	if log.count("--mqtts") != 1 || log.count("--allow-plaintext") != 1 {
		t.Error("the log does not say what to do")
	}
	if w.Allowed("mqtt", "0.0.0.0:1883") {
		t.Error("it may be opened again")
	}
}
