// Package shelf finds collections of SmartREST templates in the inventory. The object there is the only copy: what a person changes through
// the user interface holds from the next line on. What was parsed is remembered until the bus tells of a change, and at most for maxAge.
//
// A collection may be used by everybody in its tenant, whoever owns the object. Who may create or change one is decided by the registry.
package shelf

import (
	"context"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/platform/registry"
)

const (
	// maxAge is how long a change may stay unseen if the message about it was lost.
	maxAge = 10 * time.Second
	// maxEntries bounds the collections in memory.
	maxEntries = 5000
)

// Kind says how the collections of one protocol are kept.
type Kind[C any] struct {
	External string // type of the external id
	Fragment string
	ByID     bool // an X-Id may also be the id of the object
	// Parse reads the fragment. It must not fail: what cannot be read is left out of the collection.
	Parse func(iot.Doc) C
}

// Shelf holds the collections of one protocol. It is safe for concurrent use.
type Shelf[C any] struct {
	kind     Kind[C]
	registry *registry.Registry
	cache    *otter.Cache[key, Book[C]]
	stop     func()
}

// Book is a collection and the object that it is kept in.
type Book[C any] struct {
	ID         iot.ID
	Collection C
}

type key struct {
	tenant iot.TenantID
	id     iot.ID
}

// New returns an empty shelf that listens to the bus. Close ends it.
func New[C any](r *registry.Registry, b *bus.Bus, k Kind[C]) (*Shelf[C], error) {
	s := &Shelf[C]{kind: k, registry: r, cache: otter.Must(&otter.Options[key, Book[C]]{MaximumSize: maxEntries, ExpiryCalculator: otter.ExpiryWriting[key, Book[C]](maxAge)})}
	stop, err := b.Subscribe(bus.All("inventory", "*", ">"), func(t iot.TenantID, subject string, _ []byte) {
		if id, ok := idOf(bus.Base(subject)); ok {
			s.cache.Invalidate(key{t, id})
		}
	})
	s.stop = stop
	return s, err
}

// Close ends listening.
func (s *Shelf[C]) Close() { s.stop() }

// idOf reads the last part of a subject.
func idOf(subject string) (iot.ID, bool) {
	i := len(subject)
	for i > 0 && subject[i-1] != '.' {
		i--
	}
	return iot.ParseID(subject[i:])
}

// Get returns a collection by its X-Id, fault.NotFound if there is none.
func (s *Shelf[C]) Get(ctx context.Context, t iot.TenantID, xid string) (Book[C], error) {
	id, err := s.Find(ctx, t, xid)
	if err != nil {
		return Book[C]{}, err
	}
	return s.cache.Get(ctx, key{t, id}, otter.LoaderFunc[key, Book[C]](s.load))
}

// Find returns the object of a collection by its X-Id, fault.NotFound if there is none.
func (s *Shelf[C]) Find(ctx context.Context, t iot.TenantID, xid string) (iot.ID, error) {
	const op = fault.Op("shelf.Find")
	if xid == "" {
		return 0, fault.E(op, fault.NotFound, "no collection of templates is named")
	}
	id, err := s.registry.Lookup(ctx, t, s.kind.External, xid)
	if !fault.Is(err, fault.NotFound) || !s.kind.ByID {
		return id, err
	}
	if n, ok := iot.ParseID(xid); ok {
		if o, lost := s.registry.Get(ctx, iot.System(t), n); lost == nil && o.Fragments.Has(s.kind.Fragment) {
			return n, nil
		}
	}
	return 0, err
}

func (s *Shelf[C]) load(ctx context.Context, k key) (Book[C], error) {
	o, err := s.registry.Get(ctx, iot.System(k.tenant), k.id)
	if err != nil {
		return Book[C]{}, err
	}
	d, err := iot.ParseDoc(o.Fragments.Get(s.kind.Fragment), iot.MaxDepth)
	if err != nil {
		return Book[C]{}, fault.E(fault.Op("shelf.Load"), fault.NotFound, "the object "+k.id.String()+" holds no templates")
	}
	return Book[C]{ID: k.id, Collection: s.kind.Parse(d)}, nil
}

// Create stores a collection as an object of p. One that is there already stays as it is, and is what comes back.
func (s *Shelf[C]) Create(ctx context.Context, p iot.Principal, xid, objectType string, fragment iot.Doc, more iot.Doc) (id iot.ID, created bool, err error) {
	d := registry.Draft{Type: &objectType, Name: &xid, Fragments: append(iot.Doc(nil), more...).Set(s.kind.Fragment, fragment.AppendTo(nil)),
		ExternalIDs: []iot.ExternalID{{Type: s.kind.External, Value: xid}}}
	out, err := s.registry.Create(ctx, p, registry.Place{}, d)
	if fault.Is(err, fault.Exists) { // somebody else was faster
		id, err = s.Find(ctx, p.Tenant, xid)
		return id, false, err
	}
	if err != nil {
		return 0, false, err
	}
	return out[0].ID, true, nil
}
