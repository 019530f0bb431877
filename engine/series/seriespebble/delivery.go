package seriespebble

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Deliveries lie in rings, one per client: each commit writes what it brought of the client into the next slot, in place of what lay there.
// So a client takes a bounded place, and no sweep is needed. A slot holds a checksum, the number of the commit among those of the client,
// and the deliveries.
const (
	slots      = series.Remembered
	roundBytes = 8
	// cachedRings bounds each of the two generations of rings whose next slot is known.
	cachedRings = 1 << 16
)

type ringKey struct {
	tenant iot.TenantID
	client uint64
}

// rings remembers the number of the next commit of each client. Guarded by the append lock.
type rings struct{ young, old map[ringKey]uint64 }

func (r *rings) get(k ringKey) (uint64, bool) {
	if n, ok := r.young[k]; ok {
		return n, true
	}
	n, ok := r.old[k]
	return n, ok
}

func (r *rings) set(k ringKey, n uint64) {
	if r.young == nil || len(r.young) >= cachedRings {
		r.young, r.old = map[ringKey]uint64{}, r.young
	}
	r.young[k] = n
}

func ringPrefix(b []byte, k ringKey) []byte {
	return binary.BigEndian.AppendUint64(appendTenant(b, tagFrom, k.tenant), k.client)
}

// remember adds the deliveries of the entries to the batch, one slot per client. The caller holds the append lock.
func (s *Store) remember(b *pebble.Batch, entries []series.Entry) error {
	c := &s.scratch
	from := c.from[:0]
	for i := range entries {
		if entries[i].From != nil {
			from = append(from, int32(i))
		}
	}
	c.from = from
	if len(from) == 0 {
		return nil
	}
	slices.SortStableFunc(from, func(x, y int32) int {
		a, b := &entries[x], &entries[y]
		if a.From.Client != b.From.Client {
			return cmp.Compare(a.From.Client, b.From.Client)
		}
		return cmp.Compare(a.Tenant, b.Tenant)
	})
	for len(from) > 0 {
		first := &entries[from[0]]
		k, n := ringKey{first.Tenant, first.From.Client}, 1
		for n < len(from) && entries[from[n]].From.Client == k.client && entries[from[n]].Tenant == k.tenant {
			n++
		}
		if err := s.rememberOne(b, k, entries, from[:n]); err != nil {
			return err
		}
		from = from[n:]
	}
	return nil
}

func (s *Store) rememberOne(b *pebble.Batch, k ringKey, entries []series.Entry, of []int32) error {
	round, ok := s.rings.get(k)
	if !ok {
		last, _, err := s.ring(k)
		if fault.Is(err, fault.Corrupt) { // repetitions are not worth a measurement: it is stored, and the damaged slot is written over
			s.log.Error("what a client delivered is not known any more", "op", "series.Append", "tenant", k.tenant, "err", err)
		} else if err != nil {
			return err
		}
		round = last + 1
	}
	c := &s.scratch
	c.key = append(ringPrefix(c.key[:0], k), byte(round%slots))
	v := append(c.value[:0], 0, 0, 0, 0)
	v = binary.LittleEndian.AppendUint64(v, round)
	for _, i := range of {
		v = series.AppendDelivery(v, entries[i].From)
	}
	binary.LittleEndian.PutUint32(v, checksum(c.key, v[crcBytes:]))
	c.value = v
	s.rings.set(k, round+1)
	return b.Set(c.key, v, nil)
}

// Connected implements series.Store.
func (s *Store) Connected(ctx context.Context, tenant iot.TenantID, client uint64, conn int64) error {
	const op = fault.Op("series.Connected")
	if err := s.enter(); err != nil {
		return wrap(op, tenant, err)
	}
	defer s.leave()
	b, err := s.connected(ctx, ringKey{tenant, client}, conn)
	if err == nil && b != nil {
		err = errors.Join(b.SyncWait(), b.Close())
	}
	return s.finish(op, tenant, err)
}

// connected returns the batch that waits for the disk, nil if there is none.
func (s *Store) connected(ctx context.Context, k ringKey, conn int64) (*pebble.Batch, error) {
	if err := cmp.Or(ctx.Err(), s.opts.Room()); err != nil {
		return nil, err
	}
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	if _, ok := s.rings.get(k); !ok {
		if last, _, err := s.ring(k); last == 0 || err != nil {
			return nil, err
		}
	}
	b := s.db.NewBatch()
	entry := []series.Entry{{Tenant: k.tenant, From: &series.Delivery{Client: k.client, Conn: conn}}}
	err := s.rememberOne(b, k, entry, []int32{0})
	if err == nil {
		err = s.db.ApplyNoSyncWait(b, pebble.Sync)
	}
	if err != nil {
		s.forget()
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// slot is what one commit wrote.
type slot struct {
	round uint64
	of    []series.Delivery
}

// ring reads the slots of a client, oldest first, and the number of the newest, zero if there is none. After an error of kind Corrupt it
// returns those that are good.
func (s *Store) ring(k ringKey) (last uint64, found []slot, err error) {
	low := ringPrefix(nil, k)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: after(low)})
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	var bad error
	for ok := it.First(); ok; ok = it.Next() {
		at, good := parseSlot(k.client, it.Key(), it.Value())
		if !good {
			bad = damaged(it.Key(), "checksum does not match")
			continue
		}
		last = max(last, at.round)
		found = append(found, at)
	}
	slices.SortFunc(found, func(a, b slot) int { return cmp.Compare(a.round, b.round) })
	return last, found, errors.Join(it.Error(), bad)
}

func parseSlot(client uint64, key, v []byte) (at slot, ok bool) {
	if len(v) < crcBytes+roundBytes || binary.LittleEndian.Uint32(v) != checksum(key, v[crcBytes:]) {
		return at, false
	}
	at.round = binary.LittleEndian.Uint64(v[crcBytes:])
	at.of, ok = series.ParseDeliveries(nil, client, v[crcBytes+roundBytes:])
	return at, ok
}

// Deliveries implements series.Store.
func (s *Store) Deliveries(ctx context.Context, tenant iot.TenantID, client uint64) (out []series.Delivery, err error) {
	const op = fault.Op("series.Deliveries")
	if err := s.enter(); err != nil {
		return nil, wrap(op, tenant, err)
	}
	defer s.leave()
	err = ctx.Err()
	if err == nil {
		var found []slot
		_, found, err = s.ring(ringKey{tenant, client})
		for _, at := range found {
			out = append(out, at.of...)
		}
	}
	return out, s.finish(op, tenant, err)
}
