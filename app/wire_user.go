package app

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/isobar-iot/isobar/user/web"
	"github.com/isobar-iot/isobar/wire/bayeux"
	"github.com/isobar-iot/isobar/wire/c8yrest"
	"github.com/isobar-iot/isobar/wire/notification2"
)

func startWeb(_ context.Context, p *parts) (stopFunc, error) {
	var err error
	p.web, err = web.New()
	return nil, err
}

func startRealtime(_ context.Context, p *parts) (stopFunc, error) {
	var err error
	p.realtime, err = bayeux.New(bayeux.Deps{Bus: p.bus, Registry: p.registry, Policy: p.policy, Authenticate: p.rest.Authenticate,
		Presence: p.connectivity, Lines: p.smartREST.Render, Clock: p.clock, Log: p.component("realtime"), Reg: p.reg})
	if err != nil {
		return nil, err
	}
	return func(context.Context) error { p.realtime.Close(); return nil }, nil
}

func startNotifications(_ context.Context, p *parts) (stopFunc, error) {
	p.notifications = notification2.New(notification2.Deps{Exchange: p.exchange, Registry: p.registry, Log: p.component("notification2")})
	return func(context.Context) error { p.notifications.Close(); return nil }, nil
}

func startREST(ctx context.Context, p *parts) (stopFunc, error) {
	if err := p.tenants.Resume(ctx); err != nil { // now that all erasers are known
		return nil, err
	}
	p.rest = c8yrest.New(c8yrest.Deps{Registry: p.registry, Telemetry: p.telemetry, Operations: p.operations, Bulks: p.bulks, Registrations: p.registrations, Anchors: p.anchors, Topics: p.topics, Changes: p.changes, API: p.api, Users: p.users, SSO: p.sso,
		Policy: p.policy, Tenants: p.tenants, Usage: p.usage, Retention: p.retention, Audit: p.audit, Blobs: p.blobs, MaxBinary: p.conf.Files.MaxSize << 20, Presence: p.connectivity, Exchange: p.exchange, SmartREST: p.smartREST, Clock: p.clock, Log: p.component("rest"), Reg: p.reg, Version: Version, Raw: p.rawlog, Limit: p.limits.Request,
		Applications: p.applications})
	return func(context.Context) error { p.rest.Close(); return nil }, nil
}

// handler is the one way into the process over HTTP.
func (p *parts) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", p.rest)
	mux.Handle("/notification/", p.rest.CrossOrigin(p.realtime))
	mux.Handle("/cep/", p.rest.CrossOrigin(p.realtime))
	mux.Handle("/devicecontrol/notifications", p.rest.CrossOrigin(p.realtime))
	mux.Handle("/notification2/consumer", p.notifications)
	mux.Handle("/notification2/consumer/", p.notifications)
	mux.Handle("/apps/", p.web)
	mux.Handle("/favicon.ico", p.web)
	mux.HandleFunc("/mqtt", p.mqttSocket)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", p.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.reg, promhttp.HandlerOpts{Registry: p.reg}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/":
			p.web.ServeHTTP(w, r)
		case hasPrefix(r.URL.Path, "/apps", "/notification", "/cep", "/devicecontrol/notifications", "/notification2/consumer", "/mqtt", "/healthz", "/readyz", "/metrics", "/favicon.ico"):
			mux.ServeHTTP(w, r)
		case hasPrefix(r.URL.Path, "/service"):
			p.rest.ServeService(w, r)
		default: // not through the mux, which would redirect doubled slashes and lose the body
			p.rest.ServeHTTP(w, r)
		}
	})
}

func hasPrefix(path string, prefixes ...string) bool {
	for _, x := range prefixes {
		if len(path) >= len(x) && path[:len(x)] == x && (len(path) == len(x) || path[len(x)] == '/') {
			return true
		}
	}
	return false
}

func (p *parts) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	for _, x := range p.ready {
		if err := x.check(ctx); err != nil {
			p.log.Warn("not ready", "component", x.name, "err", err)
			http.Error(w, "not ready: "+x.name, http.StatusServiceUnavailable)
			return
		}
	}
	if p.disk.Full() { // reading and deleting work, which a balancer must not take away
		fmt.Fprintln(w, "ready, but the disk is nearly full: new data is refused")
		return
	}
	fmt.Fprintln(w, "ready")
}

// mqttSocket is MQTT over WebSocket (MQTT 5.0 section 6): the sub-protocol is mqtt, messages are binary. Clients authenticate in CONNECT,
// never by cookie, so that any origin may open one.
func (p *parts) mqttSocket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"mqtt", "mqttv3.1"}, InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered
	}
	c.SetReadLimit(1 << 20)
	conn := from(websocket.NetConn(r.Context(), c, websocket.MessageBinary), r)
	defer conn.Close()
	p.broker.ServeConn(r.Context(), conn)
}
