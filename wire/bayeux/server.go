package bayeux

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/service"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/security/access"
	"github.com/isobar-iot/isobar/wire/c8yrest"
)

// Deps is what Server needs.
type Deps struct {
	Bus      *bus.Bus
	Registry *registry.Registry
	Policy   *access.Policy
	// Authenticate finds out who makes a request from its Authorization header, or its login cookie with the XSRF header. Credentials
	// that a handshake carries itself are put into these headers, so that there is one way in.
	Authenticate func(*http.Request) (iot.Principal, error)
	Presence     Presence // may be nil
	// Lines makes lines of SmartREST 1 of a document, by the templates of an X-Id. Nil: SmartREST is not served.
	Lines func(ctx context.Context, t iot.TenantID, xid string, doc json.RawMessage) ([]string, error)
	Clock clock.Clock
	Log   *slog.Logger
	Reg   prometheus.Registerer // may be nil
	// Hold is how long a connect without an advice of the client is held; zero: 50 seconds.
	Hold time.Duration
	// Heartbeat is how often a held connection shows that it is alive; zero: 30 seconds.
	Heartbeat time.Duration
}

const (
	// defaultHold stays below the minute after which many proxies close a silent connection.
	defaultHold      = 50 * time.Second
	defaultHeartbeat = 30 * time.Second
	// maxHold bounds what a client may ask for.
	maxHold       = 10 * time.Minute
	sweepInterval = 5 * time.Second
	lookupTimeout = 10 * time.Second
	// writeTimeout is how long one message may take to a client before the connection is given up.
	writeTimeout = 30 * time.Second
	// aboveTTL is how long it may take until a moved device is heard of on the channels of its new parents.
	aboveTTL  = 5 * time.Second
	aboveSize = 50_000
)

// Server is the handler of /notification/realtime, /cep/realtime and /notification/operations. It is safe for concurrent use.
type Server struct {
	d        Deps
	log      *slog.Logger
	table    *table
	index    *index
	presence *presence
	parents  *otter.Cache[agent, []iot.ID]
	stops    []func()
	ctx      context.Context // ends with Close; for work that belongs to no request
	cancel   context.CancelFunc
	backlog  atomic.Int64 // bytes in all queues
	sockets  atomic.Int64

	calls service.Calls // and work that Close waits for

	mu       sync.Mutex                // guards suspects
	suspects map[iot.TenantID]struct{} // tenants in which users changed

	queued  prometheus.Counter
	dropped prometheus.Counter
}

// New returns the handler and subscribes it to the bus. Close ends it.
func New(d Deps) (*Server, error) {
	if d.Hold <= 0 {
		d.Hold = defaultHold
	}
	if d.Heartbeat <= 0 {
		d.Heartbeat = defaultHeartbeat
	}
	s := &Server{
		d: d, log: d.Log.With("component", "bayeux"), table: newTable(), index: newIndex(), presence: newPresence(d.Presence), suspects: map[iot.TenantID]struct{}{},
		parents: otter.Must(&otter.Options[agent, []iot.ID]{MaximumSize: aboveSize, ExpiryCalculator: otter.ExpiryWriting[agent, []iot.ID](aboveTTL)}),
		queued:  prometheus.NewCounter(prometheus.CounterOpts{Name: "isobar_realtime_queued_messages_total", Help: "Messages put into queues of realtime sessions."}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "isobar_realtime_dropped_messages_total", Help: "Messages dropped because a realtime session was too slow."}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if d.Reg != nil {
		d.Reg.MustRegister(s.queued, s.dropped, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "isobar_realtime_sessions", Help: "Realtime sessions."},
			func() float64 { return float64(s.table.len()) }))
	}
	if err := s.subscribe(); err != nil {
		s.Close()
		return nil, err
	}
	s.start(func() { s.presence.run(s.ctx) })
	s.start(s.sweepAll)
	return s, nil
}

// Close ends all sessions and connections and waits for what serves them.
func (s *Server) Close() {
	s.calls.Refuse()
	for _, stop := range s.stops {
		stop()
	}
	s.table.close()
	s.cancel()
	s.calls.Wait()
}

// start runs work on a goroutine that Close waits for.
func (s *Server) start(work func()) {
	if !s.calls.Enter() {
		return
	}
	go func() {
		defer s.calls.Leave()
		defer s.recover()
		work()
	}()
}

func (s *Server) recover() {
	if r := recover(); r != nil {
		s.log.Error("panic", "err", r)
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.calls.Enter() {
		c8yrest.RefuseFault(w, r, fault.E(fault.Unavailable, "the server is closing"))
		return
	}
	defer s.calls.Leave()
	e, ok := endpointOf(r.URL.Path)
	switch {
	case !ok:
		http.NotFound(w, r)
	case r.Method == http.MethodPost:
		s.poll(w, r, e)
	case r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		s.socket(w, r, e)
	default:
		w.Header().Set("Allow", "POST, GET")
		c8yrest.Refuse(w, r, http.StatusMethodNotAllowed, "notification/Method Not Allowed", "send Bayeux messages with POST or over a WebSocket")
	}
}

// above returns the ids of the devices and assets above a source, from a cache.
func (s *Server) above(t iot.TenantID, id iot.ID) []iot.ID {
	ctx, cancel := context.WithTimeout(s.ctx, lookupTimeout)
	defer cancel()
	ids, err := s.parents.Get(ctx, agent{t, id}, otter.LoaderFunc[agent, []iot.ID](func(ctx context.Context, a agent) ([]iot.ID, error) {
		return s.d.Registry.Above(ctx, a.t, a.id, iot.ChildDevice, iot.ChildAsset)
	}))
	if err != nil {
		s.log.Warn("parents of a source", "tenant", t, "err", err)
	}
	return ids
}
