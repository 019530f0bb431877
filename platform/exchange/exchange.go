package exchange

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/security/access"
)

// Deps is what Exchange needs.
type Deps struct {
	Store     Store
	Registry  *registry.Registry
	Telemetry *telemetry.Telemetry
	Tenants   access.Tenants // who of them is let in
	Policy    *access.Policy
	Audit     access.Auditor
	Signer    Signer
	Bus       *bus.Bus
	Clock     clock.Clock
	Log       *slog.Logger
	Reg       prometheus.Registerer // may be nil
	// Home is the name of this node over all its processes, of which one runs at a time: what the one before left is passed on at the start. Empty: it is not known.
	Home string
	// Sole says that no other node works on the same stores: what others left is from processes that have ended.
	Sole bool
	// MaxBytes bounds the stream of a topic; zero: 256 MiB. Beyond it the oldest messages go, which is counted.
	MaxBytes int64
	// MaxHeld bounds the bytes of messages that all consumers of this node hold in memory; zero: 256 MiB. Each may always hold 16 KiB, or one message.
	MaxHeld int64
	// Patience is how long a consumer may leave a message without an acknowledgement while too many behind it have theirs; zero: a minute.
	Patience time.Duration
}

const (
	defaultMaxBytes = 256 << 20
	// keepFor is how long a message waits for its consumers.
	keepFor = 36 * time.Hour
	// patience is how long notes of another node may lie until it is taken for dead.
	patience = time.Minute
	// sweepEvery is how often streams are cleared of what all consumers are done with.
	sweepEvery = 15 * time.Second
	// stallTime is how long a consumer may stand still because of one message.
	stallTime = time.Minute
	// openTime bounds a talk to the streams.
	openTime = 10 * time.Second
)

// Exchange is the face. It is safe for concurrent use.
type Exchange struct {
	d         Deps
	log       *slog.Logger
	node      string
	books     books
	joining   locks             // held while a consumer of a topic comes or goes, so that no topic is removed under one that comes
	beginning sync.Mutex        // held while a topic gets its first consumer; taken after joining
	hearing   sync.Mutex        // guards ears
	ears      map[string]func() // what is listened to for topics that live in memory, with what ends it
	hubs      *hubs
	pool      *pool
	conn      *nats.Conn // of the streams alone
	topics    *topics
	stops     []func()
	ctx       context.Context // ends with Close
	cancel    context.CancelFunc
	work      sync.WaitGroup

	mu       sync.Mutex // guards relays and closed
	relays   map[iot.TenantID]*relay
	closed   bool
	metrics  metrics
	adopting sync.Mutex
}

// farewell tells other nodes that a consumer was removed.
type farewell struct {
	Node string
	Key  hubKey
}

type metrics struct {
	relayed, delivered, acked, expired, dropped, failed prometheus.Counter
	backlog, held                                       prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) metrics {
	count := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "isobar_notifications_" + name + "_total", Help: help})
	}
	m := metrics{
		relayed: count("stored", "Notifications written to the streams of persistent topics."), delivered: count("delivered", "Notifications handed to connections of consumers."),
		acked: count("acknowledged", "Notifications that consumers acknowledged."), expired: count("expired", "Notifications that went because of their age or the size of their topic before a consumer was done with them."),
		dropped: count("dropped", "Notifications of non-persistent topics dropped because a consumer was too slow."), failed: count("relay_failures", "Attempts to write to a stream that failed and are repeated."),
		backlog: prometheus.NewGauge(prometheus.GaugeOpts{Name: "isobar_notifications_backlog", Help: "Notifications that wait for consumers of persistent topics, summed over consumers."}),
		held:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "isobar_notifications_held_bytes", Help: "Bytes of notifications in memory for consumers that are connected."}),
	}
	if r != nil {
		r.MustRegister(m.relayed, m.delivered, m.acked, m.expired, m.dropped, m.failed, m.backlog, m.held)
	}
	return m
}

// New returns the face, passes on what earlier processes could not, and becomes the keeper of the bus. Close ends it.
func New(ctx context.Context, d Deps) (*Exchange, error) {
	if d.MaxBytes <= 0 {
		d.MaxBytes = defaultMaxBytes
	}
	if d.MaxHeld <= 0 {
		d.MaxHeld = defaultMaxHeld
	}
	if d.Patience <= 0 {
		d.Patience = stallTime
	}
	x := &Exchange{d: d, log: d.Log, node: d.Home + "/" + rand.Text(), ears: map[string]func(){}, relays: map[iot.TenantID]*relay{}, metrics: newMetrics(d.Reg)}
	x.books.m = map[iot.TenantID]*book{}
	x.hubs = &hubs{x: x, m: map[hubKey]*hub{}, of: map[topicKey]map[*hub]bool{}}
	x.pool = newPool(d.MaxHeld, x.metrics.held)
	x.ctx, x.cancel = context.WithCancel(context.Background())
	if err := x.begin(ctx); err != nil {
		x.Close()
		return nil, err
	}
	d.Bus.SetKeeper(x)
	x.work.Go(x.sweep)
	return x, nil
}

func (x *Exchange) begin(ctx context.Context) (err error) {
	if x.conn, err = x.d.Bus.Dial(); err != nil {
		return err
	}
	if x.topics, err = newTopics(x.conn, x.d.MaxBytes); err != nil {
		return err
	}
	tenants, err := x.d.Store.Tenants(ctx)
	if err != nil {
		return err
	}
	for _, t := range tenants {
		if err := x.read(ctx, t, change{}); err != nil {
			return err
		}
	}
	if err := x.listen(); err != nil {
		return err
	}
	return x.adopt(ctx)
}

// listen follows other nodes, and the end of objects.
func (x *Exchange) listen() error {
	for subject, handle := range map[string]func(iot.TenantID, string, []byte){
		bus.All("exchange"): x.hasChanged,
		bus.All("exchange", "unsubscribed"): func(t iot.TenantID, _ string, data []byte) {
			var m farewell
			if json.Unmarshal(data, &m) == nil && m.Key.Tenant == t && m.Node != x.node {
				x.hubs.end(m.Key, true)
				x.topics.forget(t, m.Key.Topic)
			}
		},
		bus.All("tenant"): func(t iot.TenantID, _ string, _ []byte) { x.expel(t) },
		bus.All("exchange", "written"): func(t iot.TenantID, _ string, data []byte) {
			if node, name, ok := strings.Cut(string(data), "\n"); ok && node != x.node {
				x.hubs.written(t, name)
			}
		},
		bus.All("inventory", string(iot.Deleted), "*"): x.objectGone,
	} {
		stop, err := x.d.Bus.Subscribe(subject, handle)
		if err != nil {
			return err
		}
		x.stops = append(x.stops, stop)
	}
	return nil
}

// The subjects of what topics in memory hear of.
var (
	documents    = []string{bus.All("inventory", "*", "*"), bus.All(string(iot.KindEvent), "*", "*"), bus.All(string(iot.KindAlarm), "*", "*"), bus.All(string(iot.KindOperation), "*", "*")}
	measurements = []string{bus.All(string(iot.KindMeasurement), "*")}
)

// hear listens to subjects for topics in memory, or no longer. While nobody is connected to such a topic, publishing must not cost more.
func (x *Exchange) hear(on bool, subjects []string) error {
	for _, subject := range subjects {
		stop := x.ears[subject]
		switch {
		case on && stop == nil:
			stop, err := x.d.Bus.Subscribe(subject, x.inMemory)
			if err != nil {
				return err
			}
			x.ears[subject] = stop
		case !on && stop != nil:
			stop()
			delete(x.ears, subject)
		}
	}
	return nil
}

// Close ends all connections. Notes that wait are passed on by the next start.
func (x *Exchange) Close() {
	x.mu.Lock()
	x.closed = true
	x.mu.Unlock()
	for _, stop := range x.stops {
		stop()
	}
	x.hubs.close()
	x.cancel()
	x.work.Wait()
	x.hearing.Lock()
	defer x.hearing.Unlock()
	_ = x.hear(false, append(documents, measurements...)) // to end never fails
	if x.conn != nil {
		x.conn.Close()
	}
}

func (x *Exchange) revision(p iot.Principal) sqlkit.Revision {
	return sqlkit.Revision{At: x.d.Clock.Now().Truncate(time.Millisecond), By: string(p.User), Set: sqlkit.NewSetID()}
}

// objectGone removes the subscriptions of an object that was deleted.
func (x *Exchange) objectGone(t iot.TenantID, subject string, _ []byte) {
	id, ok := iot.ParseID(subject[strings.LastIndexByte(subject, '.')+1:])
	if b := x.books.find(t); !ok || b == nil || !b.has(id) {
		return
	}
	r := x.relay(t)
	if r == nil {
		return
	}
	r.mu.Lock()
	r.gone = append(r.gone, id)
	r.mu.Unlock()
	r.kick() // after the notes: the subscription is to bring the end of its object
}

// inMemory gives a fact to the topics that live in memory.
func (x *Exchange) inMemory(t iot.TenantID, subject string, data []byte) {
	in := x.books.volatile(t)
	if in.idle() || (strings.Contains(subject, "."+string(iot.KindMeasurement)+".") && in.measures.Load() == 0) {
		return
	}
	facts, err := decode(subject, data)
	if err != nil {
		x.log.Error("decode a fact", "tenant", t, "topic", subject, "err", err)
		return
	}
	for i := range facts {
		letters, err := x.letters(x.ctx, t, in, &facts[i], "")
		if err != nil {
			x.log.Warn("where a fact goes", "tenant", t, "err", err)
		}
		for _, l := range letters {
			x.hubs.push(t, l)
		}
	}
}

// Erase removes the topics of a tenant that is deleted and returns how many there were.
func (x *Exchange) Erase(ctx context.Context, t iot.TenantID) (int64, error) {
	x.hubs.endTenant(t, true)
	n, err := x.topics.erase(ctx, t)
	if err == nil {
		err = x.read(ctx, t, change{})
	}
	return n, err
}

// sweep clears streams and counts what waits, until Close.
func (x *Exchange) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-x.ctx.Done():
			return
		case <-tick.C:
		}
		x.kickAll()
		if err := x.adopt(x.ctx); err != nil && x.ctx.Err() == nil {
			x.log.Warn("facts that other nodes left", "err", err)
		}
		tenants, err := x.d.Store.Tenants(x.ctx)
		if err != nil {
			x.log.Warn("tenants with subscriptions", "err", err)
			continue
		}
		for _, t := range x.hubs.tenants() { // the word that one is suspended may be lost
			x.expel(t)
		}
		if err := x.tidy(x.ctx); err != nil && x.ctx.Err() == nil {
			x.log.Warn("topics without consumers", "err", err)
		}
		waiting := uint64(0)
		for _, t := range tenants {
			n, err := x.clear(x.ctx, t)
			if err != nil && x.ctx.Err() == nil {
				x.log.Warn("streams of a tenant", "tenant", t, "err", err)
			}
			waiting += n
		}
		x.metrics.backlog.Set(float64(waiting))
	}
}

// clear removes from the streams of a tenant what all consumers are done with, and returns what they still have to do.
func (x *Exchange) clear(ctx context.Context, t iot.TenantID) (waiting uint64, err error) {
	places, err := x.d.Store.Places(ctx, t)
	if err != nil {
		return 0, err
	}
	for len(places) > 0 {
		name, low, n := places[0].Topic, places[0].Floor, 0
		for n < len(places) && places[n].Topic == name {
			low = min(low, places[n].Floor)
			n++
		}
		last, created, err := x.topics.clear(ctx, t, name, low)
		if err != nil {
			return waiting, err
		}
		for _, p := range places[:n] {
			if p.Stream == created && p.Floor < last {
				waiting += last - p.Floor - min(uint64(len(p.Done)), last-p.Floor)
			}
		}
		places = places[n:]
	}
	return waiting, nil
}
