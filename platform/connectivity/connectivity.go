package connectivity

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/platform/devicemgmt"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/telemetry"
	"github.com/isobar-iot/isobar/security/access"
)

// Deps is what Connectivity needs.
type Deps struct {
	Users      *access.Users
	Registry   *registry.Registry
	Telemetry  *telemetry.Telemetry
	Operations *devicemgmt.Operations
	Bus        *bus.Bus
	// Group returns the group into which the registration of a device asked to put it; zero: none.
	Group func(ctx context.Context, t iot.TenantID, serial string) (iot.ID, error)
	// Tenants lists the tenants whose devices are watched; nil: those of which a device was heard in this process.
	Tenants func(ctx context.Context) ([]iot.TenantID, error)
	// Sole says that no other process has connections to devices. Then no device can be connected when this one starts, and those that
	// a process which died left so are set right. Of several nodes none may do that: it would be wrong about the devices of the others.
	Sole  bool
	Clock clock.Clock
	Log   *slog.Logger
	Reg   prometheus.Registerer
	// Tick returns a channel that gets a value every d, and what ends it; nil: time.NewTicker.
	Tick func(d time.Duration) (ticks <-chan time.Time, stop func())
}

// Connectivity is the face. It is safe for concurrent use.
type Connectivity struct {
	d Deps

	mu    sync.RWMutex // guards sinks
	sinks map[device][]Sink

	presence *presence
	stop     func()
}

type device struct {
	t  iot.TenantID
	id iot.ID
}

// Sink takes operations for one connected agent. It must not block.
type Sink interface {
	Deliver(op iot.Operation)
}

// New returns the face, which delivers operations from now on.
func New(d Deps) (*Connectivity, error) {
	if d.Tick == nil {
		d.Tick = func(d time.Duration) (<-chan time.Time, func()) { t := time.NewTicker(d); return t.C, t.Stop }
	}
	c := &Connectivity{d: d, sinks: map[device][]Sink{}}
	c.presence = newPresence(c)
	var err error
	if c.stop, err = d.Bus.Subscribe(bus.All("operation", string(iot.Created), "*"), c.operation); err != nil {
		return nil, err
	}
	if d.Sole {
		c.presence.forgetConnections(context.Background())
	}
	go c.presence.run()
	return c, nil
}

// Close ends deliveries and writes the signs of life that wait.
func (c *Connectivity) Close() {
	c.stop()
	c.presence.close()
}

func (c *Connectivity) operation(t iot.TenantID, _ string, data []byte) {
	var change devicemgmt.OperationChange
	if err := json.Unmarshal(data, &change); err != nil {
		c.d.Log.Error("decode operation", "tenant", t, "err", err)
		return
	}
	c.mu.RLock()
	sinks := c.sinks[device{t, change.Operation.Agent}]
	c.mu.RUnlock()
	for _, s := range sinks {
		s.Deliver(change.Operation)
	}
}

// Attach sends the operations of an agent that are created from now on to a sink, until the returned function is called.
func (c *Connectivity) Attach(t iot.TenantID, agent iot.ID, s Sink) (detach func()) {
	key := device{t, agent}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sinks[key] = append(append([]Sink{}, c.sinks[key]...), s) // readers iterate over the old slice
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		var left []Sink
		for _, x := range c.sinks[key] {
			if x != s {
				left = append(left, x)
			}
		}
		if c.sinks[key] = left; len(left) == 0 {
			delete(c.sinks, key)
		}
	})
}

// Contact says which object a session talks about, and what to create if it does not exist.
type Contact struct {
	Serial string
	Object iot.ManagedObject // type, name and fragments of the object to create
	Place  registry.Place    // where to hang it
}

// Ensure returns the id of the object with a serial, creating it if need be; created says whether it did. Of several sessions that meet a
// new serial at once, one creates it.
func (c *Connectivity) Ensure(ctx context.Context, p iot.Principal, x Contact) (id iot.ID, created bool, err error) {
	for range 3 {
		id, err = c.d.Registry.Lookup(ctx, p.Tenant, iot.SerialType, x.Serial)
		if !fault.Is(err, fault.NotFound) {
			return id, false, err
		}
		draft := registry.Draft{Type: &x.Object.Type, Name: &x.Object.Name, Fragments: x.Object.Fragments, ExternalIDs: []iot.ExternalID{{Type: iot.SerialType, Value: x.Serial}}}
		objects, err := c.d.Registry.Create(ctx, p, x.Place, draft)
		if err == nil {
			if x.Place.Parent == 0 {
				c.JoinGroup(ctx, p.Tenant, x.Serial, objects[0].ID)
			}
			return objects[0].ID, true, nil
		}
		if !fault.Is(err, fault.Exists) {
			return 0, false, err
		}
	}
	return 0, false, err
}

// JoinGroup puts a new device into the group that its registration named, if it did. It acts for the platform; that the group has gone
// meanwhile does not keep the device out.
func (c *Connectivity) JoinGroup(ctx context.Context, t iot.TenantID, serial string, id iot.ID) {
	group, err := c.d.Group(ctx, t, serial)
	if err == nil && group != 0 {
		err = c.d.Registry.Link(ctx, iot.System(t), group, iot.ChildAsset, []iot.ID{id})
	}
	if err != nil {
		c.d.Log.Warn("put a device into its group", "tenant", t, "device", id, "err", err)
	}
}
