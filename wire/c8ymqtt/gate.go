package c8ymqtt

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/maypok86/otter/v2"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/usage"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/platform/connectivity"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/platform/identity"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/wire/smartrest/one"
)

// Deps is what the dialect needs: the faces that it calls.
type Deps struct {
	Users         *access.Users
	Registry      *registry.Registry
	Telemetry     *telemetry.Telemetry
	Operations    *devicemgmt.Operations
	Registrations *identity.Registrations
	Anchors       *identity.Anchors // nil: there are no logins with certificates
	Topics        *access.Topics    // nil: there are no rules for free topics
	Connectivity  *connectivity.Connectivity
	Collections   *Collections // of templates of SmartREST 2
	One           *one.Engine  // executes SmartREST 1
	Clock         clock.Clock
	Log           *slog.Logger
	Version       string
	Usage         *usage.Meter // counts what devices send; nil: nobody does
	// Room is asked before a command that stores something; its error refuses the command. Measurements are refused by their store. nil: always room.
	Room func() error
	// After runs f on a goroutine of its own when d has passed, unless stop is called before; nil: time.AfterFunc.
	After func(d time.Duration, f func()) (stop func() bool)
}

// Gate lets clients in. It is safe for concurrent use.
type Gate struct {
	Deps
	ends *otter.Cache[clientKey, end] // how the last connection of each client ended

	mu      sync.Mutex // guards the fields below
	owners  map[owned]*handler
	live    map[*handler]time.Time // connections, and since when they are known to be welcome
	changes uint64                 // how often users changed
}

// owned names a device that a connection speaks for.
type owned struct {
	tenant iot.TenantID
	device iot.ID
}

// New returns the policy for the broker.
func New(d Deps) *Gate {
	if d.Room == nil {
		d.Room = func() error { return nil }
	}
	if d.After == nil {
		d.After = func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
	}
	return &Gate{Deps: d, ends: otter.Must(&otter.Options[clientKey, end]{MaximumSize: maxEnds}), owners: map[owned]*handler{}, live: map[*handler]time.Time{}}
}

// maxClientID is a bound on what becomes an external id.
const maxClientID = 1000

// Connect implements mqtt.Gate.
func (g *Gate) Connect(ctx context.Context, req *mqtt.ConnectRequest) (mqtt.Handler, error) {
	serial, ok := parseClientID(req.ClientID)
	if !ok {
		return nil, &mqtt.Refusal{Reason: packet.ClientIDNotValid,
			Text: "the client id must be [d:]<device id>[:<template>], and a device id must contain neither colons nor control characters"}
	}
	if req.Assigned {
		serial = "" // who says no id can use free topics, but stands for no device
	}
	g.mu.Lock()
	since, seen := g.Clock.Now(), g.changes
	g.mu.Unlock()
	in, err := g.login(ctx, req, serial)
	if err != nil {
		return nil, refusal(err)
	}
	p := in.Principal
	h := &handler{g: g, p: p, conn: req.Conn, serial: serial, template: defaultTemplate(req.ClientID), anchor: in.Anchor, ctx: context.WithoutCancel(ctx)}
	h.begin(req.ClientID)
	if in.Anchor != "" {
		since = g.Clock.Now() // passwords do not matter
		h.expire(in.Until.Sub(since))
	}
	h.since = since
	client := serial
	if req.Assigned {
		client = req.ClientID
	}
	h.topicID = client
	if err := h.readRules(ctx); err != nil {
		return nil, err
	}
	if why := h.topics.Load().Broken(); why != "" {
		return nil, &mqtt.Refusal{Reason: packet.ClientIDNotValid, Text: why}
	}
	h.bootstrap = p.Has("ROLE_DEVICE_BOOTSTRAP") && !p.Has("ROLE_INVENTORY_CREATE")
	if !h.bootstrap && serial != "" {
		h.find()
	}
	if req.Will != nil && !h.mayPublish(req.Will.Topic) {
		h.Closed(mqtt.CloseReason{Cause: mqtt.ByPolicy, Reason: packet.NotAuthorized})
		return nil, &mqtt.Refusal{Reason: packet.NotAuthorized, Text: "the will must not be published to its topic"}
	}
	g.enter(h, since, seen)
	return h, nil
}

// login proves who a client is. A certificate wins: a client that has shown one is that device or nobody, whatever else it says.
func (g *Gate) login(ctx context.Context, req *mqtt.ConnectRequest, serial string) (identity.Admission, error) {
	if req.TLS != nil && len(req.TLS.PeerCertificates) > 0 && g.Anchors != nil {
		return g.Anchors.Login(ctx, identity.CertificateLogin{Chain: req.TLS.PeerCertificates, Device: serial, RemoteAddr: req.RemoteAddr.String()})
	}
	if !req.HasUser || req.User == "" || !req.HasPassword || len(req.Password) == 0 { // c8y: an empty password is not a bad one
		return identity.Admission{}, &mqtt.Refusal{Reason: packet.NotAuthorized, Text: "user and password, or a client certificate, are needed"}
	}
	p, err := g.Users.Basic(ctx, access.Login{User: req.User, Password: string(req.Password), RemoteAddr: req.RemoteAddr.String()})
	return identity.Admission{Principal: p}, err
}

func refusal(err error) error {
	switch fault.KindOf(err) {
	case fault.Unauthenticated:
		return &mqtt.Refusal{Reason: packet.BadUserOrPassword, Text: fault.Message(err)}
	case fault.Exhausted:
		return &mqtt.Refusal{Reason: packet.ConnectionRateExceeded, Text: fault.Message(err)}
	case fault.Denied:
		return &mqtt.Refusal{Reason: packet.NotAuthorized, Text: fault.Message(err)}
	}
	return err
}

// defaultTemplate reads the third part of a client id, which parseClientID has accepted.
func defaultTemplate(id string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(id, "d:"), ":")
	return rest
}

// parseClientID reads [connectionType:]deviceIdentifier[:defaultTemplate]; the only connection type in use is d.
func parseClientID(id string) (serial string, ok bool) {
	parts := strings.Split(id, ":")
	if len(parts) > 1 && parts[0] == "d" {
		parts = parts[1:]
	}
	if len(parts) > 2 || parts[0] == "" || len(parts[0]) > maxClientID || strings.ContainsFunc(parts[0], unicode.IsControl) {
		return "", false
	}
	return parts[0], true
}

// claim makes h the connection of its device. c8y: an older one under another client id ("d:x" and "x" are one device) is dropped; one
// under the same client id the broker ends itself.
func (g *Gate) claim(id iot.ID, h *handler) {
	key := owned{h.p.Tenant, id}
	g.mu.Lock()
	old := g.owners[key]
	g.owners[key] = h
	g.mu.Unlock()
	if old != nil && old != h && old.conn.ClientID() != h.conn.ClientID() {
		old.conn.Close(packet.SessionTakenOver)
	}
}

func (g *Gate) disclaim(id iot.ID, h *handler) {
	key := owned{h.p.Tenant, id}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.owners[key] == h {
		delete(g.owners, key)
	}
}

// mode reads the first level of a topic that says how far a message goes.
func mode(level string) (iot.ProcessingMode, bool) {
	switch level {
	case "s":
		return iot.Persistent, true
	case "t":
		return iot.Transient, true
	case "q":
		return iot.Quiescent, true
	case "c":
		return iot.CEP, true
	}
	return 0, false
}
