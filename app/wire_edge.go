package app

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/isobar-iot/isobar/edge/services/firewall"
	"github.com/isobar-iot/isobar/edge/services/limits"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/security/protect"
	"github.com/isobar-iot/isobar/wire/c8yrest"
)

// EdgeConfig is what a server needs to know about its edge: who may come in, whom to believe, and how much one may ask for.
// The zero value lets everybody in, believes no proxy and limits nothing.
type EdgeConfig struct {
	Allow, Deny           []string
	Firewall              string
	TrustedProxies        []string
	ProxyProtocol         bool
	Connections           int // per listener
	ConnectionsPerAddress int // per listener
	Rates                 limits.Rates
}

func (c *EdgeConfig) flags(f *pflag.FlagSet) {
	f.StringSliceVar(&c.Allow, "allow", nil, "networks that may connect, to all listeners; none: everybody")
	f.StringSliceVar(&c.Deny, "deny", nil, "networks that may not connect; stronger than --allow")
	f.StringVar(&c.Firewall, "firewall", "", "file with lines of the form allow NETWORK or deny NETWORK; read again when it changes")
	f.StringSliceVar(&c.TrustedProxies, "trusted-proxies", []string{"127.0.0.0/8", "::1/128"}, "networks of proxies that are believed about their clients")
	f.BoolVar(&c.ProxyProtocol, "proxy-protocol", false, "read the PROXY header (version 1 or 2) of trusted proxies on all listeners")
	f.IntVar(&c.Connections, "limit-connections", 200_000, "connections per listener; 0: no limit")
	f.IntVar(&c.ConnectionsPerAddress, "limit-connections-address", 10_000, "connections per listener and address; 0: no limit")
	f.Float64Var(&c.Rates.RequestsPerAddress, "limit-requests-address", 5_000, "HTTP requests per second and address; 0: no limit")
	f.Float64Var(&c.Rates.RequestsPerUser, "limit-requests-user", 2_000, "HTTP requests per second and user; 0: no limit")
	f.Float64Var(&c.Rates.RequestsPerTenant, "limit-requests-tenant", 20_000, "HTTP requests per second and tenant; 0: no limit")
	f.Float64Var(&c.Rates.ConnectsPerAddress, "limit-connects-address", 1_000, "MQTT connects per second and address; 0: no limit")
	f.Float64Var(&c.Rates.Publishes, "limit-publishes", 0, "MQTT messages per second and connection; faster ones are slowed down; 0: no limit")
}

func (c *EdgeConfig) check(bad func(format string, args ...any)) {
	if err := (firewall.Options{Allow: c.Allow, Deny: c.Deny, Trusted: c.TrustedProxies}).Check(); err != nil {
		bad("%w", err)
	}
	for name, n := range map[string]float64{"limit-connections": float64(c.Connections), "limit-connections-address": float64(c.ConnectionsPerAddress),
		"limit-requests-address": c.Rates.RequestsPerAddress, "limit-requests-user": c.Rates.RequestsPerUser, "limit-requests-tenant": c.Rates.RequestsPerTenant,
		"limit-connects-address": c.Rates.ConnectsPerAddress, "limit-publishes": c.Rates.Publishes} {
		if !(n == 0 || n >= 1 && n <= 1e9) {
			bad("%s: must be 0 or a number from 1", name)
		}
	}
}

// background runs a part that looks after something at every tick, until the returned function is called.
func background(every time.Duration, run func(ctx context.Context, ticks <-chan time.Time, reload <-chan struct{}), hangup bool) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ticker := time.NewTicker(every)
	reload, signals, done := make(chan struct{}, 1), make(chan os.Signal, 1), make(chan struct{})
	if hangup { // only then: without files to read again, SIGHUP ends the program as ever
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
				select {
				case reload <- struct{}{}:
				default:
				}
			}
		}
	}()
	go func() {
		defer close(done)
		run(ctx, ticker.C, reload)
	}()
	return func() {
		signal.Stop(signals)
		ticker.Stop()
		cancel()
		<-done
	}
}

// startCertificates opens what the encrypted listeners show. Without such listeners there is nothing to do.
func startCertificates(_ context.Context, p *parts) (stopFunc, error) {
	if p.conf.HTTPS == "" && p.conf.MQTTS == "" && p.conf.MTLS == "" {
		return nil, nil
	}
	acme := p.conf.ACME
	if acme.Cache == "" {
		acme.Cache = filepath.Join(p.conf.Data, "acme")
	}
	var err error
	p.certificates, err = protect.Open(protect.Options{CertFile: p.conf.TLSCert, KeyFile: p.conf.TLSKey, ACME: acme, Clock: p.clock, Log: p.component("certificates"), Reg: p.reg})
	return nil, err
}

func startFirewall(_ context.Context, p *parts) (stopFunc, error) {
	c := p.conf.Edge
	var err error
	p.firewall, err = firewall.Open(firewall.Options{Allow: c.Allow, Deny: c.Deny, File: c.Firewall, Trusted: c.TrustedProxies, Log: p.component("firewall"), Reg: p.reg})
	if err != nil {
		return nil, err
	}
	if p.plaintext, err = protect.NewPlaintext(p.conf.AllowPlaintext, p.clock, p.component("plaintext")); err != nil {
		return nil, err
	}
	stops := []func(){background(protect.Interval, p.firewall.Run, c.Firewall != "")}
	if p.conf.AllowPlaintext.Given() {
		stops = append(stops, background(time.Second, func(ctx context.Context, ticks <-chan time.Time, _ <-chan struct{}) { p.plaintext.Run(ctx, ticks) }, false))
	}
	return func(context.Context) error {
		for _, stop := range stops {
			stop()
		}
		return nil
	}, nil
}

func startLimits(_ context.Context, p *parts) (stopFunc, error) {
	rates := p.conf.Edge.Rates
	rates.ConnectionsPerAddress = p.conf.Edge.ConnectionsPerAddress
	p.limits = limits.New(limits.Options{Rates: rates, Option: p.option, Exempt: p.firewall.Trusted, Clock: p.clock, Log: p.component("limits"), Reg: p.reg})
	return func(context.Context) error { p.limits.Close(); return nil }, nil
}

// listen opens the listeners of a protocol: plain and encrypted. A plain one beyond this machine needs a permission that has not ended.
func (p *parts) listen(name, plain, encrypted string, o firewall.ListenerOptions, protocols ...string) (map[string]net.Listener, error) {
	out := map[string]net.Listener{}
	closeAll := func() {
		for _, l := range out {
			_ = l.Close()
		}
	}
	for n, addr := range map[string]string{name: plain, name + "s": encrypted} {
		if addr == "" {
			continue
		}
		host, _, _ := net.SplitHostPort(addr)
		open := n == name && !loopback(host)
		if open && !p.plaintext.Allowed(n, addr) {
			continue
		}
		raw, err := net.Listen("tcp", addr)
		if err != nil {
			closeAll()
			return nil, cannotListen(n, addr, err)
		}
		p.addrs[n] = raw.Addr().String()
		o.Name = n
		guarded := p.firewall.Listener(raw, o)
		switch {
		case n != name:
			conf := p.certificates.Config(protocols...)
			if name == "mqtt" {
				// Devices may show a certificate; what it is worth, the gate decides. No authorities are named to them: whose devices connect
				// here is not a stranger's business. Browsers on HTTPS are not asked.
				conf.ClientAuth = tls.RequestClientCert
			}
			out[n] = tls.NewListener(guarded, conf)
		case open:
			p.plaintext.Watch(n, addr, guarded.Shut)
			fallthrough
		default:
			out[n] = guarded
		}
	}
	return out, nil
}

// listenDevices adds the listener for HTTPS that asks for client certificates. Only the route that hands out tokens looks at them.
func (p *parts) listenDevices(listeners map[string]net.Listener, o firewall.ListenerOptions) error {
	if p.conf.MTLS == "" {
		return nil
	}
	o.Name = "mtls"
	raw, err := net.Listen("tcp", p.conf.MTLS)
	if err != nil {
		for _, l := range listeners {
			_ = l.Close()
		}
		return cannotListen(o.Name, p.conf.MTLS, err)
	}
	p.addrs[o.Name] = raw.Addr().String()
	conf := p.certificates.Config("h2", "http/1.1")
	conf.ClientAuth = tls.RequestClientCert // what it is worth, the face decides
	listeners[o.Name] = tls.NewListener(p.firewall.Listener(raw, o), conf)
	return nil
}

func (p *parts) listenerOptions() firewall.ListenerOptions {
	c := p.conf.Edge
	return firewall.ListenerOptions{MaxConnections: c.Connections, MaxPerAddress: c.ConnectionsPerAddress, ProxyProtocol: c.ProxyProtocol}
}

func startHTTPListeners(_ context.Context, p *parts) (stopFunc, error) {
	o := p.listenerOptions()
	o.Stall = time.Minute
	listeners, err := p.listen("http", p.conf.HTTP, p.conf.HTTPS, o, "h2", "http/1.1")
	if err != nil {
		return nil, err
	}
	if len(listeners) == 0 {
		return nil, errors.New("no listener for HTTP is left: the permission for unencrypted ones has ended; use --https, or renew --allow-plaintext")
	}
	if err := p.listenDevices(listeners, o); err != nil {
		return nil, err
	}
	s := &http.Server{Handler: p.door(p.handler()), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: 100, SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
		ErrorLog: slog.NewLogLogger(p.component("http").Handler(), slog.LevelDebug)}
	for name, l := range listeners {
		go func() {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				p.fail(name, err)
			}
		}()
	}
	stopCertificates := p.watchCertificates()
	return func(ctx context.Context) error {
		stopCertificates()
		p.realtime.Close() // ends the long polls, which would hold the shutdown up
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			return s.Close() // what is still running is an upload or a slow reader
		}
		return nil
	}, nil
}

// watchCertificates begins to look after the certificates. It waits until the listeners answer: an authority asks them.
func (p *parts) watchCertificates() (stop func()) {
	if p.certificates == nil {
		return func() {}
	}
	return background(protect.Interval, p.certificates.Run, p.conf.TLSCert != "")
}

func startMQTTListeners(_ context.Context, p *parts) (stopFunc, error) {
	o := p.listenerOptions()
	if o.MaxPerAddress > 0 {
		o.MaxPerAddress += o.MaxPerAddress/8 + 16 // so that the broker can tell those just above the limit why
	}
	listeners, err := p.listen("mqtt", p.conf.MQTT, p.conf.MQTTS, o, "mqtt")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	for name, l := range listeners {
		go func() {
			if err := p.broker.Serve(ctx, l); err != nil && ctx.Err() == nil {
				p.fail(name, err)
			}
		}()
	}
	return func(context.Context) error { cancel(); p.limits.Close(); return nil }, nil
}

// maxURL bounds a request line. The longest ones list the ids of a few hundred objects.
const maxURL = 16 << 10

// apiPolicy is the content security policy of everything but the web front, which has its own: what is stored and fetched again is never run.
const apiPolicy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// door is what every HTTP request comes through first: whose it is, whether it may come in, how slowly, and what holds for every answer.
func (p *parts) door(next http.Handler) http.Handler {
	inner := p.acmeChallenges(next)
	return p.firewall.Origin(limits.DefaultPace.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c8yrest.WithRequestID(w, r)
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Content-Security-Policy", apiPolicy)
		if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
			h.Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
		}
		if len(r.RequestURI) > maxURL {
			p.rest.Refuse(w, r, fault.E(fault.Op("edge.URL"), fault.Malformed, "the URL is longer than 16 KiB"))
			return
		}
		if !hasPrefix(r.URL.Path, "/healthz", "/readyz") {
			if err := p.limits.Address(r.RemoteAddr); err != nil {
				p.rest.Refuse(w, r, err)
				return
			}
		}
		if storing(r) {
			if err := p.disk.Room(); err != nil {
				p.rest.Refuse(w, r, err)
				return
			}
		}
		inner.ServeHTTP(w, r)
	})), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.rest.Refuse(w, r, fault.E(fault.Op("edge.Address"), fault.Denied, "your address may not connect"))
	}))
}

func (p *parts) acmeChallenges(next http.Handler) http.Handler {
	if p.conf.HTTP == "" {
		return next // the authority could not ask here
	}
	return p.certificates.Challenges(next)
}

// socketConn is a connection over a WebSocket whose client is behind a proxy.
type socketConn struct {
	net.Conn
	remote net.Addr
}

// RemoteAddr is the address of the client.
func (c socketConn) RemoteAddr() net.Addr { return c.remote }

// from gives a connection the client's address that its request came with.
func from(c net.Conn, r *http.Request) net.Conn {
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return socketConn{c, net.TCPAddrFromAddrPort(a)}
	}
	return c
}
