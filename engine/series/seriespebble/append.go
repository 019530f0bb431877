package seriespebble

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
)

// scratch is memory that one append leaves to the next.
type scratch struct {
	name, key, value []byte
	order, from      []int32
	commits          []commit
}

// Append implements series.Store. Concurrent appends share an fsync: each enters the engine's log in turn, then all wait together.
func (s *Store) Append(ctx context.Context, entries []series.Entry) error {
	durable, err := s.Begin(ctx, entries)
	if err != nil {
		return err
	}
	return durable()
}

// Begin implements series.Beginner.
func (s *Store) Begin(ctx context.Context, entries []series.Entry) (durable func() error, err error) {
	const op = fault.Op("series.Append")
	tenant := firstTenant(entries)
	if err := s.enter(); err != nil {
		return nil, s.finish(op, tenant, err)
	}
	began := s.opts.Clock.Now()
	b, err := s.begin(ctx, entries)
	if err != nil || b == nil {
		s.leave()
		return func() error { return nil }, s.finish(op, tenant, err)
	}
	n := points(entries)
	return func() error {
		defer s.leave()
		// The data is visible and in the log's queue: the wait is short and must not be cut off.
		err := b.SyncWait()
		if err == nil {
			s.m.committed(n, began)
		} else { // what the log could not sync must not be promised later either
			engineLog{s.log, s.opts.Fatal}.Fatalf("series log cannot be synced: %v", err)
		}
		return s.finish(op, tenant, errors.Join(err, b.Close()))
	}, nil
}

// begin returns the batch that waits for the disk, nil if there is nothing to wait for.
func (s *Store) begin(ctx context.Context, entries []series.Entry) (*pebble.Batch, error) {
	if err := cmp.Or(ctx.Err(), s.opts.Room(), series.Check(entries)); err != nil || len(entries) == 0 {
		return nil, err
	}
	b := s.db.NewBatch()
	s.appendMu.Lock()
	err := s.appendLocked(b, entries)
	s.appendMu.Unlock()
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// appendLocked assigns the sequences and puts the batch into the log and the memtable, without waiting for the disk. Because that
// happens under one lock, each append sees all earlier ones when it looks for a free sequence, and sealing can tell whether
// rows came in between its reading and its writing.
func (s *Store) appendLocked(b *pebble.Batch, entries []series.Entry) error {
	s.sort(entries)
	p := probe{s: s}
	for _, i := range s.scratch.order {
		if err := s.put(b, &p, &entries[i]); err != nil {
			s.forget()
			return errors.Join(err, p.close())
		}
	}
	if err := errors.Join(s.remember(b, entries), p.close()); err != nil {
		s.forget()
		return err
	}
	if err := s.db.ApplyNoSyncWait(b, pebble.Sync); err != nil {
		s.forget()
		return err
	}
	s.journaled()
	return nil
}

// forget drops caches that may know of a batch which was not written.
func (s *Store) forget() {
	s.dict.reset()
	s.seen.reset()
}

// sort puts the indices of entries in the order of their keys, equal ones in the order of the batch: neighbours can then be told
// apart without asking the database, and the memtable takes sorted keys faster.
func (s *Store) sort(entries []series.Entry) {
	order := s.scratch.order[:0]
	sorted := true
	for i := range entries {
		order = append(order, int32(i))
		sorted = sorted && (i == 0 || compare(&entries[i-1], &entries[i]) <= 0)
	}
	if !sorted {
		slices.SortFunc(order, func(x, y int32) int {
			return cmp.Or(compare(&entries[x], &entries[y]), cmp.Compare(x, y))
		})
	}
	s.scratch.order = order
}

func compare(x, y *series.Entry) int {
	if x.M.Source != y.M.Source {
		return cmp.Compare(x.M.Source, y.M.Source)
	}
	if x.Tenant != y.Tenant {
		return cmp.Compare(x.Tenant, y.Tenant)
	}
	return cmp.Compare(x.M.Time.UnixMilli(), y.M.Time.UnixMilli())
}

// put adds one entry to the batch: its row, and its shape and catalog entry if they are new.
func (s *Store) put(b *pebble.Batch, p *probe, e *series.Entry) error {
	c := &s.scratch
	c.name = nameKey(c.name[:0], e.Tenant, e.M)
	id, err := s.dict.number(b, e.Tenant, c.name)
	if err != nil {
		return err
	}
	src := s.seen.get(e.Tenant, e.M.Source)
	if !src.knows(id) {
		if err := b.Set(catalogKey(nil, e.Tenant, e.M.Source, id), nil, nil); err != nil {
			return err
		}
		src.learn(id)
	}
	ms := e.M.Time.UnixMilli()
	if e.M.Seq, err = s.sequence(p, src, ms); err != nil {
		return err
	}
	src.ends.note(id, stamp{ms, e.M.Seq})
	s.watch.note(src.key, ms)
	s.queue.count(src, s.opts.Clock)
	c.key = rowKey(c.key[:0], e.Tenant, e.M.Source, stamp{ms, e.M.Seq})
	c.value = appendRow(c.value[:0], c.key, id, e.M)
	return b.Set(c.key, c.value, nil)
}
