package directory

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/isobar-iot/isobar/fault"
)

// Bounds of what foreign servers may take and send.
const (
	dialTimeout     = 5 * time.Second
	requestTimeout  = 10 * time.Second
	maxResponse     = 1 << 20
	maxHeader       = 64 << 10
	maxRedirects    = 3
	maxCertificates = 64 << 10 // bytes of PEM
)

// Door is the way to servers that administrators of tenants name. They must not make the platform talk to itself or to what only its machine
// reaches. Addresses of private networks are allowed: that is where directories of enterprises are.
type Door struct {
	AllowLoopback bool // also without encryption; for tests
}

// Dialer returns a dialer that checks every address just before the connection, so that a name cannot change its meaning in between.
func (d Door) Dialer() *net.Dialer {
	return &net.Dialer{Timeout: dialTimeout, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		ip := ap.Addr().Unmap()
		if ip.IsLoopback() && d.AllowLoopback {
			return nil
		}
		if ip.IsLoopback() || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return fmt.Errorf("the address %s is not reached from here: it belongs to this machine or its link", ip)
		}
		return nil
	}}
}

// Loopback reports whether a host is this machine and may be reached without encryption.
func (d Door) Loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return d.AllowLoopback && (host == "localhost" || err == nil && ip.IsLoopback())
}

// CheckURL accepts addresses that can be called: https, and http to this machine where that is allowed. name is for the message.
func (d Door) CheckURL(name, raw string) error {
	const op = fault.Op("directory.URL")
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || len(raw) > 2048:
		return fault.E(op, fault.Invalid, name+" must be an address such as https://login.example.com/realm, without a user and a fragment")
	case u.Scheme == "https" || u.Scheme == "http" && d.Loopback(u.Hostname()):
		return nil
	}
	return fault.E(op, fault.Invalid, name+" must start with https")
}

// Pool reads the certificates of authorities (PEM); nil, for those of the machine, if there is no text.
func Pool(pem string) (*x509.CertPool, error) {
	if strings.TrimSpace(pem) == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if len(pem) > maxCertificates || !pool.AppendCertsFromPEM([]byte(pem)) {
		return nil, fault.E(fault.Op("directory.Pool"), fault.Invalid, "caCertificates must hold certificates as PEM, at most 64 KiB")
	}
	return pool, nil
}

// Client returns an HTTP client whose every request obeys the door. It follows redirects on the same host only, and reads no answer that is
// larger than 1 MiB.
func (d Door) Client(roots *x509.CertPool) *http.Client {
	t := &http.Transport{DialContext: d.Dialer().DialContext, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: dialTimeout,
		ResponseHeaderTimeout: requestTimeout, MaxResponseHeaderBytes: maxHeader, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true}
	return &http.Client{Transport: guarded{d, t}, Timeout: requestTimeout, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects || r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
			return errors.New("redirects to other hosts are not followed")
		}
		return nil
	}}
}

type guarded struct {
	door Door
	next *http.Transport
}

// CloseIdleConnections lets http.Client close what is not in use.
func (g guarded) CloseIdleConnections() { g.next.CloseIdleConnections() }

// RoundTrip implements http.RoundTripper.
func (g guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.door.CheckURL("the address of the provider", r.URL.String()); err != nil {
		return nil, err
	}
	res, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{&bounded{res.Body, maxResponse}, res.Body}
	return res, nil
}

// bounded fails, rather than ends, after so many bytes.
type bounded struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("the answer is too large")
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	return n, err
}
