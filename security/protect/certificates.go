package protect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/acme/autocert"

	"github.com/isobar-iot/isobar/kit/clock"
)

// Options say where certificates come from: CertFile and KeyFile, or ACME.
type Options struct {
	CertFile string // PEM, the server's certificate first, then the chain
	KeyFile  string // PEM
	ACME     ACME
	Clock    clock.Clock
	Log      *slog.Logger
	Reg      prometheus.Registerer // may be nil
}

// Interval is how often Run should get a tick: how late a new certificate in the files is seen.
const Interval = 5 * time.Second

// expiresSoon is when the log begins to warn of a certificate that nobody renewed, once a day.
const expiresSoon = 10 * 24 * time.Hour

// Certificates is the source of the certificates of all listeners. It is safe for concurrent use.
type Certificates struct {
	clock   clock.Clock
	log     *slog.Logger
	reloads *prometheus.CounterVec
	expiry  *prometheus.GaugeVec

	files *files            // nil with ACME
	acme  *autocert.Manager // nil with files
	names []string          // that ACME gets certificates for

	mu     sync.Mutex // guards the fields below
	leaves map[string]*x509.Certificate
	warned time.Time // when the log last warned of an end
	tries  map[string]try
}

// try is what came of asking for the certificate of a name ahead of the first client.
type try struct {
	done  bool
	next  time.Time
	pause time.Duration
}

// Open reads the files, which must be good, or prepares ACME, which asks nobody yet.
func Open(o Options) (*Certificates, error) {
	c := &Certificates{clock: o.Clock, log: o.Log, leaves: map[string]*x509.Certificate{}, tries: map[string]try{},
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "isobar_tls_certificate_reloads_total", Help: "Changed certificate files by result: used, refused."}, []string{"result"}),
		expiry:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "isobar_tls_certificate_expiry_timestamp_seconds", Help: "When the certificate in use ends, in seconds since 1970."}, []string{"name"}),
	}
	if o.Reg != nil {
		o.Reg.MustRegister(c.reloads, c.expiry)
	}
	switch {
	case len(o.ACME.Domains) > 0 && (o.CertFile != "" || o.KeyFile != ""):
		return nil, errors.New("certificates come either from files or from ACME, not from both")
	case len(o.ACME.Domains) > 0:
		m, err := o.ACME.manager(o.Log)
		if err != nil {
			return nil, err
		}
		c.acme, c.names = m, o.ACME.Domains
		return c, nil
	}
	c.files = &files{cert: o.CertFile, key: o.KeyFile}
	if _, err := c.files.load(); err != nil {
		return nil, err
	}
	c.used("", c.files.current.Load().Leaf)
	return c, nil
}

// get chooses the certificate of one handshake.
func (c *Certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c.files != nil {
		return c.files.current.Load(), nil
	}
	if hello.ServerName == "" { // devices that were told an address or know no SNI
		h := *hello
		h.ServerName = c.names[0]
		hello = &h
	}
	cert, err := c.acme.GetCertificate(hello)
	if err == nil && cert.Leaf != nil && len(cert.Leaf.DNSNames) > 0 {
		c.used(hello.ServerName, cert.Leaf)
	}
	return cert, err
}

// used notes a certificate that serves, under a name or its own first one.
func (c *Certificates) used(name string, leaf *x509.Certificate) {
	if name == "" {
		name = leaf.Subject.CommonName
		if len(leaf.DNSNames) > 0 {
			name = leaf.DNSNames[0]
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaves[name] == leaf {
		return
	}
	if c.files != nil { // one pair: the old one's name must not stay
		clear(c.leaves)
		c.expiry.Reset()
	}
	c.leaves[name] = leaf
	c.expiry.WithLabelValues(name).Set(float64(leaf.NotAfter.Unix()))
}

// Run does what is due at every tick, until ctx ends: it looks at the files or asks the authority, and warns of what ends soon. reload makes it look at
// the files at once, whatever their times say; it may be nil.
func (c *Certificates) Run(ctx context.Context, ticks <-chan time.Time, reload <-chan struct{}) {
	for {
		c.due(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		case <-reload:
			if c.files != nil {
				c.files.forget()
			}
		}
	}
}

func (c *Certificates) due(ctx context.Context) {
	if c.files != nil {
		c.reload()
	} else {
		c.obtain(ctx)
	}
	c.warn()
}

// reload takes over changed files. What cannot be used is said once per change, and the old pair stays.
func (c *Certificates) reload() {
	changed, err := c.files.load()
	switch {
	case err != nil:
		c.reloads.WithLabelValues("refused").Inc()
		c.log.Error("the changed certificate cannot be used, the old one stays", "err", err)
	case changed:
		leaf := c.files.current.Load().Leaf
		c.used("", leaf)
		c.reloads.WithLabelValues("used").Inc()
		c.log.Info("a new certificate is in use", "names", leaf.DNSNames, "expires", leaf.NotAfter)
	}
}

func (c *Certificates) warn() {
	now := c.clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.warned) < 24*time.Hour {
		return
	}
	for name, leaf := range c.leaves {
		if left := leaf.NotAfter.Sub(now); left < expiresSoon {
			c.warned = now
			c.log.Warn("a certificate ends soon or has ended: renew it", "name", name, "expires", leaf.NotAfter)
		}
	}
}

// Challenges answers the authority's questions over plain HTTP (HTTP-01, port 80) and passes everything else on. Without ACME it is next.
func (c *Certificates) Challenges(next http.Handler) http.Handler {
	if c == nil || c.acme == nil {
		return next
	}
	answer := c.acme.HTTPHandler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/") {
			next.ServeHTTP(w, r)
			return
		}
		if name, _, err := net.SplitHostPort(r.Host); err == nil { // autocert compares names only
			r = r.Clone(r.Context())
			r.Host = name
		}
		answer.ServeHTTP(w, r)
	})
}
