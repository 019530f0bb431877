package exchange

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/security/access"
)

// Scope is what a subscription is about.
type Scope string

// The scopes.
const (
	OfObject Scope = "mo"     // one object and what belongs to it
	OfTenant Scope = "tenant" // what happens in the whole tenant
)

// API is a kind of facts, with or without those of what is below the source.
type API string

// The APIs.
const (
	AllAPIs            API = "*"
	Alarms             API = "alarms"
	AlarmsWithChildren API = "alarmsWithChildren"
	Events             API = "events"
	EventsWithChildren API = "eventsWithChildren"
	Measurements       API = "measurements"
	ManagedObjects     API = "managedobjects"
	Operations         API = "operations"
)

func (s Scope) apis() []API {
	if s == OfTenant {
		return []API{Alarms, Events, ManagedObjects, Operations}
	}
	return []API{Alarms, AlarmsWithChildren, Events, EventsWithChildren, Measurements, ManagedObjects, Operations}
}

// Subscription says which facts go to a topic.
type Subscription struct {
	ID         iot.ID
	Scope      Scope
	Source     iot.ID // with OfObject
	Name       string // of the topic, 1 to 128 letters and digits
	Volatile   bool   // the topic lives in memory
	APIs       []API  // empty: all
	TypeFilter string // as it was given; empty: any type
	Fragments  []string
	Created    time.Time
}

// Query selects subscriptions. Zero values are no condition.
type Query struct {
	Scope      Scope
	Source     iot.ID
	Name       string
	TypeFilter string
	Offset     int
	Limit      int
}

const (
	maxName = 128
	// maxSubscriptions bounds the subscriptions of a tenant, which are all in memory.
	maxSubscriptions = 100_000
	maxFragments     = 100
	maxFragment      = 256
	// maxSize bounds the texts of a subscription, all of which are in memory.
	maxSize = 16 << 10
)

// Word reports whether s can be the name of a topic.
func Word(s string) bool {
	return s != "" && len(s) <= maxName && strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }) < 0
}

func (s *Subscription) check(op fault.Op) error {
	switch {
	case s.Scope != OfObject && s.Scope != OfTenant:
		return fault.E(op, fault.Invalid, "context must be mo or tenant")
	case s.Scope == OfObject && s.Source == 0:
		return fault.E(op, fault.Invalid, "a subscription with the context mo must name its source")
	case s.Scope == OfTenant && s.Source != 0:
		return fault.E(op, fault.Invalid, "a subscription with the context tenant must not name a source")
	case !Word(s.Name):
		return fault.Errorf(op, fault.Invalid, "subscription must have 1 to %d letters and digits", maxName)
	case len(s.Fragments) > maxFragments:
		return fault.Errorf(op, fault.Invalid, "fragmentsToCopy must have at most %d names", maxFragments)
	}
	size := len(s.Name) + len(s.TypeFilter)
	for _, name := range s.Fragments {
		if name == "" || len(name) > maxFragment {
			return fault.Errorf(op, fault.Invalid, "a name in fragmentsToCopy must have 1 to %d bytes", maxFragment)
		}
		size += len(name)
	}
	if size > maxSize {
		return fault.Errorf(op, fault.Invalid, "the names and the type filter of a subscription must have at most %d bytes together", maxSize)
	}
	known := s.Scope.apis()
	for _, a := range s.APIs {
		switch {
		case a == AllAPIs && len(s.APIs) > 1:
			return fault.E(op, fault.Invalid, "the api * must stand alone")
		case a != AllAPIs && !slices.Contains(known, a):
			return fault.Errorf(op, fault.Invalid, "the api %.40q is not available in the context %s", string(a), s.Scope)
		}
	}
	_, err := ParseTypes(s.TypeFilter)
	return err
}

// once leaves out what is in a list before.
func once[S ~string](list []S) (out []S) {
	seen := map[S]bool{}
	for _, s := range list {
		if !seen[s] {
			out = append(out, s)
		}
		seen[s] = true
	}
	return out
}

func (x *Exchange) may(ctx context.Context, p iot.Principal) error {
	return x.d.Policy.Check(ctx, p, access.Notification, access.Admin, access.Object{})
}

// Subscribe stores a subscription. All methods for subscriptions need ROLE_NOTIFICATION_2_ADMIN.
func (x *Exchange) Subscribe(ctx context.Context, p iot.Principal, s Subscription) (Subscription, error) {
	const op = fault.Op("exchange.Subscribe")
	if err := x.may(ctx, p); err != nil {
		return s, err
	}
	s.APIs, s.Fragments = once(s.APIs), once(s.Fragments)
	if err := s.check(op); err != nil {
		return s, err
	}
	if s.Scope == OfObject {
		if _, err := x.d.Registry.Source(ctx, p.Tenant, s.Source); err != nil {
			return s, err
		}
	}
	if x.books.get(p.Tenant).size() >= maxSubscriptions {
		return s, fault.Errorf(op, fault.Full, "a tenant has at most %d subscriptions", maxSubscriptions)
	}
	var err error
	if s.ID, err = x.d.Store.NextID(ctx, p.Tenant); err != nil {
		return s, sqlkit.Fault(op, err)
	}
	rev := x.revision(p)
	s.Created = rev.At
	if err := x.d.Store.Create(ctx, p.Tenant, s, rev); err != nil {
		if sqlkit.IsUnique(err) {
			return s, fault.E(op, fault.Exists, fault.Reason("subscription"), "there is a subscription with this context, source and name already")
		}
		return s, sqlkit.Fault(op, err)
	}
	x.audit(ctx, p, "Notification subscription created", s.Name)
	return s, x.changed(ctx, p.Tenant, change{Scope: s.Scope, Source: s.Source, Name: s.Name})
}

// Subscription returns one subscription.
func (x *Exchange) Subscription(ctx context.Context, p iot.Principal, id iot.ID) (Subscription, error) {
	if err := x.may(ctx, p); err != nil {
		return Subscription{}, err
	}
	s, err := x.d.Store.Get(ctx, p.Tenant, id)
	return s, missing("exchange.Subscription", id, err)
}

// List returns a page of subscriptions, oldest first, and the number of all of them.
func (x *Exchange) List(ctx context.Context, p iot.Principal, q Query) ([]Subscription, int, error) {
	if err := x.may(ctx, p); err != nil {
		return nil, 0, err
	}
	out, n, err := x.d.Store.List(ctx, p.Tenant, q)
	return out, n, sqlkit.Fault("exchange.List", err)
}

// Drop removes a subscription. What it brought already stays in the topic.
func (x *Exchange) Drop(ctx context.Context, p iot.Principal, id iot.ID) error {
	if err := x.may(ctx, p); err != nil {
		return err
	}
	s, err := x.d.Store.Get(ctx, p.Tenant, id)
	if err == nil {
		err = x.d.Store.Delete(ctx, p.Tenant, id, x.revision(p))
	}
	if err != nil {
		return missing("exchange.Drop", id, err)
	}
	x.audit(ctx, p, "Notification subscription deleted", s.Name)
	return x.changed(ctx, p.Tenant, change{Scope: s.Scope, Source: s.Source, Name: s.Name})
}

// DropAll removes the subscriptions of a tenant's scope, or of one source.
func (x *Exchange) DropAll(ctx context.Context, p iot.Principal, scope Scope, source iot.ID) error {
	const op = fault.Op("exchange.DropAll")
	if err := x.may(ctx, p); err != nil {
		return err
	}
	switch {
	case scope != OfObject && scope != OfTenant:
		return fault.E(op, fault.Invalid, "context must be mo or tenant")
	case scope == OfObject && source == 0:
		return fault.E(op, fault.Invalid, "a deletion with the context mo must name its source")
	case scope == OfTenant && source != 0:
		return fault.E(op, fault.Invalid, "a deletion with the context tenant must not name a source")
	}
	return x.dropAll(ctx, op, p, scope, source)
}

func (x *Exchange) dropAll(ctx context.Context, op fault.Op, p iot.Principal, scope Scope, source iot.ID) error {
	n, err := x.d.Store.DeleteAll(ctx, p.Tenant, scope, source, x.revision(p))
	if err != nil || n == 0 {
		return sqlkit.Fault(op, err)
	}
	x.audit(ctx, p, "Notification subscriptions deleted", string(scope))
	return x.changed(ctx, p.Tenant, change{Scope: scope, Source: source})
}

func (x *Exchange) audit(ctx context.Context, p iot.Principal, activity, name string) {
	x.d.Audit.Record(ctx, p, iot.AuditRecord{Type: "Reliable notification", Activity: activity, Text: activity + ": '" + name + "'"})
}

func missing(op fault.Op, id iot.ID, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fault.Errorf(op, fault.NotFound, "no subscription with the id %s", id)
	}
	return sqlkit.Fault(op, err)
}
