package registry

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/usage"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// ErrCycle says that a relation would make an object its own ancestor.
var ErrCycle = errors.New("an object cannot be below itself")

// Deps is what Registry needs.
type Deps struct {
	Store  Driver
	Policy *access.Policy
	Audit  access.Auditor
	Bus    *bus.Bus
	Clock  clock.Clock
	Log    *slog.Logger
	Usage  *usage.Meter // counts what is created and updated; nil: nobody does
	// Knows says whether a tenant has a user: nobody else can be made the owner of an object. Nil: it is not asked.
	Knows func(ctx context.Context, t iot.TenantID, name iot.UserName) (bool, error)
}

// Registry is the face. It is safe for concurrent use.
type Registry struct {
	d      Deps
	owners *otter.Cache[ownerKey, Source]
	names  *otter.Cache[nameKey, iot.ID]

	namesMu sync.Mutex // guards forgotten, and is held while names is filled or emptied
	// forgotten counts how often names was emptied: an answer of the store that was on its way meanwhile must not be remembered.
	forgotten uint64

	revised atomic.Uint64 // counts what was forgotten

	stop func()
}

type ownerKey struct {
	t  iot.TenantID
	id iot.ID
}

type nameKey struct {
	t          iot.TenantID
	typ, value string
}

// Limits on what one request may create or change.
const (
	MaxBulk = 50
	// MaxFragments is how many members an object can have besides those of its own.
	MaxFragments = 10_000
	maxName      = 16 << 10
	cacheSize    = 200_000
	cacheTTL     = 10 * time.Minute // a bound on how long a fact that the bus lost stays unknown
	maxExternal  = 1000
)

// NewRegistry returns the face.
func NewRegistry(d Deps) (*Registry, error) {
	r := &Registry{d: d}
	r.owners = otter.Must(&otter.Options[ownerKey, Source]{MaximumSize: cacheSize, ExpiryCalculator: otter.ExpiryWriting[ownerKey, Source](cacheTTL)})
	r.names = otter.Must(&otter.Options[nameKey, iot.ID]{MaximumSize: cacheSize, ExpiryCalculator: otter.ExpiryWriting[nameKey, iot.ID](cacheTTL)})
	changes, err := d.Bus.Subscribe(bus.All("inventory", ">"), func(t iot.TenantID, _ string, data []byte) {
		var c Change
		if json.Unmarshal(data, &c) == nil {
			r.forget(t, c.Object.ID, c.Action == iot.Deleted)
		}
	})
	if err != nil {
		return nil, err
	}
	names, err := d.Bus.Subscribe(bus.All("unbound"), func(iot.TenantID, string, []byte) { r.forgetNames() })
	if err != nil {
		changes()
		return nil, err
	}
	r.stop = func() { changes(); names() }
	return r, nil
}

// Close ends the subscriptions to changes.
func (r *Registry) Close() { r.stop() }

// Change is what is published when an object is created, updated or deleted. Of a deleted object only the id is set.
type Change struct {
	Action iot.Action
	Object Object
}

func (r *Registry) publish(ctx context.Context, t iot.TenantID, a iot.Action, o Object) {
	if subject, data, ok := r.changed(t, a, o); ok {
		r.d.Bus.Publish(bus.InMode(subject, iot.ModeOf(ctx)), data)
	}
}

// changed forgets what was remembered of an object, and returns the fact of its change. What cannot be encoded is told.
func (r *Registry) changed(t iot.TenantID, a iot.Action, o Object) (subject string, data []byte, ok bool) {
	r.forget(t, o.ID, a == iot.Deleted)
	subject, data, err := Fact(t, a, o)()
	if err != nil {
		r.d.Log.Error("encode change", "tenant", t, "err", err)
	}
	return subject, data, err == nil
}

// Revision changes when anything changed that Lookup, Source and Check may have answered differently before, for whoever asks them again and
// again. Like their answers, it learns of changes on other nodes a moment later, and may miss one that the bus lost.
func (r *Registry) Revision() uint64 { return r.revised.Load() }

// Fact is the note that a driver leaves of what it does to an object.
func Fact(t iot.TenantID, a iot.Action, o Object) func() (subject string, data []byte, err error) {
	return func() (string, []byte, error) {
		if a == iot.Deleted {
			o = Object{ManagedObject: iot.ManagedObject{ID: o.ID}}
		}
		data, err := json.Marshal(Change{a, o})
		return bus.Subject(t, "inventory", string(a), o.ID.String()), data, err
	}
}

func (r *Registry) forget(t iot.TenantID, id iot.ID, names bool) {
	r.owners.Invalidate(ownerKey{t, id})
	r.revised.Add(1)
	if names {
		r.forgetNames()
	}
}

func (r *Registry) forgetNames() {
	r.namesMu.Lock()
	defer r.namesMu.Unlock()
	r.forgotten++
	r.names.InvalidateAll()
	r.revised.Add(1)
}

func (r *Registry) revision(ctx context.Context, p iot.Principal) sqlkit.Revision {
	return sqlkit.NewRevision(ctx, r.d.Clock.Now().Truncate(time.Millisecond), string(p.User))
}

// Source is what others must know of an object to decide about its data.
type Source struct {
	ID          iot.ID
	Name        string
	Owner       iot.UserName
	Global      bool
	Device      bool
	Agent       bool
	Binary      bool // a file, which has permissions of its own
	Maintenance bool // its alarms are dropped
	Monitored   bool // has a required interval
}

// place returns a source as the policy must see it to decide about p. fragments are those of the document
// in question, which grants must cover.
func (r *Registry) place(ctx context.Context, p iot.Principal, s Source, fragments []string) (access.Object, error) {
	if len(p.Grants) == 0 { // nearly everybody
		return access.Object{ID: s.ID, Owner: s.Owner, Global: s.Global}, nil
	}
	return r.whole(ctx, p.Tenant, s, fragments)
}

// whole is place for whoever.
func (r *Registry) whole(ctx context.Context, t iot.TenantID, s Source, fragments []string) (access.Object, error) {
	above, err := r.d.Store.Ancestors(ctx, t, s.ID)
	return access.Object{ID: s.ID, Owner: s.Owner, Global: s.Global, Above: above, Fragments: fragments}, classify("registry.Check", err)
}

// family is the family of permissions for an object itself: files have their own (access rule 10).
func family(d iot.Doc) access.Family {
	if d.Has(iot.FragmentIsBinary) {
		return access.Binary
	}
	return access.ManagedObject
}

// may decides about an object itself.
func (r *Registry) may(ctx context.Context, p iot.Principal, o Object, l access.Level) error {
	seen, err := r.place(ctx, p, sourceOf(o), access.Names(p, o.Fragments))
	if err != nil {
		return err
	}
	return r.d.Policy.Check(ctx, p, family(o.Fragments), l, seen)
}

// Source returns what others must know of an object, from a cache. It makes no decision. A fault of kind NotFound if there is none.
func (r *Registry) Source(ctx context.Context, t iot.TenantID, id iot.ID) (Source, error) {
	return r.owners.Get(ctx, ownerKey{t, id}, otter.LoaderFunc[ownerKey, Source](func(ctx context.Context, k ownerKey) (Source, error) {
		objects, err := r.d.Store.Get(ctx, k.t, k.id)
		if err != nil {
			return Source{}, classify("registry.Source", err)
		}
		if len(objects) == 0 {
			return Source{}, notFound("registry.Source", k.id)
		}
		return sourceOf(objects[0]), nil
	}))
}

func sourceOf(o Object) Source {
	s := Source{ID: o.ID, Name: o.Name, Owner: o.Owner, Global: o.Fragments.Has(iot.FragmentGlobal), Device: o.Fragments.Has(iot.FragmentIsDevice),
		Agent: o.Fragments.Has(iot.FragmentAgent), Binary: o.Fragments.Has(iot.FragmentIsBinary)}
	if interval, ok := RequiredInterval(o.Fragments); ok {
		s.Monitored, s.Maintenance = true, interval <= 0
	}
	return s
}

// RequiredInterval returns the interval in minutes within which a device must be heard of. ok is false if it is not monitored.
func RequiredInterval(d iot.Doc) (minutes int, ok bool) {
	var v struct {
		Interval *json.Number `json:"responseInterval"`
	}
	if raw := d.Get(iot.FragmentRequiredAvailability); raw == nil || json.Unmarshal(raw, &v) != nil || v.Interval == nil {
		return 0, false
	}
	f, err := v.Interval.Float64()
	if err != nil {
		return 0, false
	}
	return int(min(max(f, -32768), 32767)), true // c8y: clamped to 16 bits
}

func notFound(op fault.Op, id iot.ID) error {
	return fault.E(op, fault.NotFound, fault.Subject(id.String()), "Finding device data from database failed : No managedObject for id '"+id.String()+"'!")
}

// classify gives a store's raw error its kind.
func classify(op fault.Op, err error) error {
	if errors.Is(err, ErrCycle) {
		return fault.E(op, fault.Invalid, err, ErrCycle.Error())
	}
	return sqlkit.Fault(op, err)
}

// Get returns one object.
func (r *Registry) Get(ctx context.Context, p iot.Principal, id iot.ID) (Object, error) {
	const op = fault.Op("registry.Get")
	objects, err := r.d.Store.Get(ctx, p.Tenant, id)
	if err != nil {
		return Object{}, classify(op, err)
	}
	if len(objects) == 0 {
		return Object{}, notFound(op, id)
	}
	o := objects[0]
	if err := r.may(ctx, p, o, access.Read); err != nil {
		return Object{}, err
	}
	return o, nil
}

// Census counts the devices of a tenant. It acts for the platform.
func (r *Registry) Census(ctx context.Context, t iot.TenantID) (Census, error) {
	c, err := r.d.Store.Census(ctx, t)
	return c, sqlkit.Fault("registry.Census", err)
}

// List returns a page of what p may read, and the number of all of it if q.Count.
func (r *Registry) List(ctx context.Context, p iot.Principal, q Query) ([]Object, int, error) {
	scope, err := r.d.Policy.Scope(ctx, p, access.ManagedObject, access.Read)
	if err != nil {
		return nil, 0, err
	}
	if q.ParentOf != 0 && !scope.All { // whose parents are asked for must be known to p
		if _, err := r.Get(ctx, p, q.ParentOf); fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) {
			return nil, 0, nil
		} else if err != nil {
			return nil, 0, err
		}
	}
	objects, n, err := r.d.Store.List(ctx, p.Tenant, scope, q)
	return objects, n, classify("registry.List", err)
}

// standard are the members of a representation that are no fragments.
var standard = []string{"id", "self", "type", "name", "owner", "creationTime", "lastUpdated", "childDevices", "childAssets", "childAdditions",
	"deviceParents", "assetParents", "additionParents", "externalIds", iot.FragmentAvailability, iot.FragmentConnection, iot.FragmentActiveAlarms,
	"c8y_LatestMeasurements", "c8y_PreviousMeasurements"}

// Draft is what a client sends to create or change an object.
type Draft struct {
	Type, Name, Owner *string // nil: not given
	Fragments         iot.Doc // may hold nulls
	ExternalIDs       []iot.ExternalID
	// If is asked about the object before it is changed, and refuses by an error. It may be asked more than once. Nil: no condition.
	If func(iot.ManagedObject) error

	stranger error // refuses the owner, who is not a user; nil if he is, or if nobody asked
}

// DraftOf reads a document. Members that the server keeps itself are ignored.
func DraftOf(d iot.Doc) (Draft, error) {
	const op = fault.Op("registry.Draft")
	var out Draft
	for _, f := range []struct {
		name string
		to   **string
	}{{"type", &out.Type}, {"name", &out.Name}, {"owner", &out.Owner}} {
		raw := d.Get(f.name)
		if raw == nil {
			continue
		}
		if iot.IsNull(raw) {
			empty := ""
			*f.to = &empty
			continue
		}
		s, ok := iot.RawText(raw)
		if !ok {
			return out, fault.Errorf(op, fault.Invalid, "%s must be a string", f.name)
		}
		if len(s) > maxName {
			return out, fault.Errorf(op, fault.Invalid, "%s must not be longer than %d bytes", f.name, maxName)
		}
		*f.to = &s
	}
	out.Fragments = d.Without(standard...)
	for _, m := range out.Fragments {
		if err := ValidFragment(m.Name); err != nil {
			return out, fault.E(op, err)
		}
	}
	if raw := d.Get("externalIds"); raw != nil {
		var ids []struct{ Type, ExternalID string }
		if err := json.Unmarshal(raw, &ids); err != nil {
			return out, fault.E(op, fault.Invalid, "externalIds must be a list of {type, externalId}")
		}
		for _, x := range ids {
			out.ExternalIDs = append(out.ExternalIDs, iot.ExternalID{Type: x.Type, Value: x.ExternalID})
		}
	}
	return out, nil
}

// ValidFragment enforces the rules on names of fragments. The slash is allowed: agents build names from file paths.
func ValidFragment(name string) error {
	const configuration = "c8y_Configuration_" // c8y: agents append the name of a file
	if rest, ok := strings.CutPrefix(name, configuration); ok && rest != "" && len(name) <= 256 && !strings.ContainsAny(rest, " \t\r\n") {
		return nil
	}
	if name == "" || len(name) > 256 || strings.ContainsAny(name, " \t\r\n.,*[]()@$'\"") {
		return fault.Errorf("registry.ValidFragment", fault.Invalid, "the fragment name %.40q must not be empty, longer than 256 bytes or contain white space or any of . , * [ ] ( ) @ $ ' \"", name)
	}
	return nil
}
