// Package seriesmem is the reference driver of engine/series: it keeps measurements in memory, for the tests of other packages.
//
// It is written to be obviously right, not fast: Scan looks at every measurement of the tenant. Nothing survives Close.
package seriesmem

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Store is the driver in memory. The zero value is not useful; use New.
type Store struct {
	mu      sync.RWMutex // guards the fields below
	tenants map[iot.TenantID][]iot.Measurement
	from    map[iot.TenantID][]series.Delivery
	closed  bool
}

var _ series.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{tenants: map[iot.TenantID][]iot.Measurement{}, from: map[iot.TenantID][]series.Delivery{}}
}

func (s *Store) check(ctx context.Context) error {
	if s.closed {
		return fault.E(fault.Op("series.Use"), fault.Unavailable, "the store is closed")
	}
	return ctx.Err()
}

func order(a, b iot.Measurement) int {
	return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Seq, b.Seq))
}

// Append implements series.Store.
func (s *Store) Append(ctx context.Context, entries []series.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := cmp.Or(s.check(ctx), series.Check(entries)); err != nil {
		return err
	}
	for _, e := range entries {
		m := series.Copy(e.M)
		m.Time, m.Seq = iot.FromMillis(m.Time.UnixMilli()), 0
		all := s.tenants[e.Tenant]
		at, taken := slices.BinarySearchFunc(all, m, order)
		for ; taken; at, taken = slices.BinarySearchFunc(all, m, order) {
			m.Seq++
		}
		e.M.Seq = m.Seq
		s.tenants[e.Tenant] = slices.Insert(all, at, m)
		if e.From != nil {
			s.from[e.Tenant] = append(s.from[e.Tenant], *e.From)
		}
	}
	return nil
}

// Scan implements series.Store.
func (s *Store) Scan(ctx context.Context, tenant iot.TenantID, q series.Query, fn func(m *iot.Measurement) bool) error {
	found, err := s.find(ctx, tenant, q)
	if err != nil {
		return err
	}
	if q.Reverse {
		slices.Reverse(found)
	}
	found = found[min(q.Offset, len(found)):]
	if q.Limit > 0 {
		found = found[:min(q.Limit, len(found))]
	}
	for i := range found {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !fn(&found[i]) {
			return nil
		}
	}
	return nil
}

// find returns copies, so that the callback of Scan runs without the lock.
func (s *Store) find(ctx context.Context, tenant iot.TenantID, q series.Query) ([]iot.Measurement, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := cmp.Or(s.check(ctx), q.Check()); err != nil {
		return nil, err
	}
	var found []iot.Measurement
	for i := range s.tenants[tenant] {
		if m := &s.tenants[tenant][i]; q.Match(m) {
			found = append(found, series.Copy(m))
		}
	}
	return found, nil
}

// Get implements series.Store.
func (s *Store) Get(ctx context.Context, tenant iot.TenantID, id iot.MeasurementID) (iot.Measurement, error) {
	if id.Source != 0 {
		found, err := s.find(ctx, tenant, series.One(id))
		if err != nil || len(found) == 1 {
			return append(found, iot.Measurement{})[0], err
		}
	}
	return iot.Measurement{}, fault.E(fault.Op("series.Get"), fault.NotFound, tenant, fault.Subject(id.String()))
}

// Delete implements series.Store.
func (s *Store) Delete(ctx context.Context, tenant iot.TenantID, q series.Query) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := cmp.Or(s.check(ctx), q.CheckDelete()); err != nil {
		return 0, err
	}
	before := len(s.tenants[tenant])
	s.tenants[tenant] = slices.DeleteFunc(s.tenants[tenant], func(m iot.Measurement) bool { return q.Match(&m) })
	return int64(before - len(s.tenants[tenant])), nil
}

// Catalog implements series.Store.
func (s *Store) Catalog(ctx context.Context, tenant iot.TenantID, source iot.ID) ([]series.Info, error) {
	found, err := s.find(ctx, tenant, series.Query{Source: source})
	units := map[series.Key]string{}
	for _, m := range found {
		for _, x := range m.Samples {
			units[series.Key{Fragment: x.Fragment, Series: x.Series}] = x.Unit
		}
	}
	out := make([]series.Info, 0, len(units))
	for k, u := range units {
		out = append(out, series.Info{Key: k, Unit: u})
	}
	slices.SortFunc(out, func(a, b series.Info) int {
		return cmp.Or(cmp.Compare(a.Fragment, b.Fragment), cmp.Compare(a.Series, b.Series))
	})
	return out, err
}

// Deliveries implements series.Store.
func (s *Store) Deliveries(ctx context.Context, tenant iot.TenantID, client uint64) ([]series.Delivery, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []series.Delivery
	for _, d := range s.from[tenant] {
		if d.Client == client {
			out = append(out, d)
		}
	}
	return out, s.check(ctx)
}

// Connected implements series.Store.
func (s *Store) Connected(ctx context.Context, tenant iot.TenantID, client uint64, conn int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.from[tenant], func(d series.Delivery) bool { return d.Client == client }) {
		s.from[tenant] = append(s.from[tenant], series.Delivery{Client: client, Conn: conn})
	}
	return s.check(ctx)
}

// DropTenant implements series.Store.
func (s *Store) DropTenant(ctx context.Context, tenant iot.TenantID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(ctx); err != nil {
		return err
	}
	delete(s.tenants, tenant)
	delete(s.from, tenant)
	return nil
}

// Close implements series.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
