package seriespebble

import (
	"cmp"
	"context"
	"errors"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriespebble/internal/chunk"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// Delete implements series.Store. Sources are emptied one after the other.
func (s *Store) Delete(ctx context.Context, tenant iot.TenantID, q series.Query) (int64, error) {
	const op = fault.Op("series.Delete")
	if err := s.enter(); err != nil {
		return 0, wrap(op, tenant, err)
	}
	defer s.leave()
	n, err := s.delete(ctx, tenant, q)
	return n, s.finish(op, tenant, err)
}

func (s *Store) delete(ctx context.Context, tenant iot.TenantID, q series.Query) (int64, error) {
	if err := cmp.Or(ctx.Err(), q.CheckDelete()); err != nil {
		return 0, err
	}
	q.Reverse = false
	s.upkeepMu.Lock()
	defer s.upkeepMu.Unlock()
	sources, err := s.sourcesOf(ctx, tenant, &q)
	if err != nil {
		return 0, err
	}
	var total int64
	for _, source := range sources {
		q.Source = source
		e := eraser{s: s, batch: s.db.NewBatch()}
		err := errors.Join(e.source(ctx, tenant, &q), e.batch.Close())
		total += e.count
		if err != nil {
			return total, err
		}
		if err := s.tidy(tenant, source); err != nil {
			return total, err
		}
	}
	return total, s.db.LogData(nil, pebble.Sync)
}

func (s *Store) sourcesOf(ctx context.Context, tenant iot.TenantID, q *series.Query) ([]iot.ID, error) {
	all, err := s.usage(ctx, tenant, q)
	out := make([]iot.ID, 0, len(all))
	for _, u := range all {
		out = append(out, u.source)
	}
	return out, err
}

// eraser deletes rows and parts of chunks of one source.
type eraser struct {
	s     *Store
	batch *pebble.Batch
	count int64
}

// eraseBytes is the size at which a batch is written before the next one begins.
const eraseBytes = 1 << 20

func (e *eraser) source(ctx context.Context, tenant iot.TenantID, q *series.Query) (err error) {
	v, err := e.s.view(ctx, tenant, q)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	if err := e.rows(v); err != nil {
		return err
	}
	used, err := e.s.usage(ctx, tenant, q)
	if err != nil || len(used) == 0 {
		return err
	}
	for _, number := range used[0].shapes {
		w, err := v.shape(number)
		if err != nil {
			return err
		}
		if err := e.chunks(v, newChunkStream(v, q.Source, w.shape, v.in)); err != nil {
			return err
		}
	}
	return e.s.db.Apply(e.batch, pebble.NoSync)
}

// rows deletes the matching rows. If the query has bounds of time only, the whole range goes at once: tombstones of single rows would
// slow down reads until the next compaction. A row that comes in meanwhile and is in the range counts as stored before the deletion.
func (e *eraser) rows(v *view) error {
	all := v.q.Type == "" && v.q.Fragment == "" && v.q.Series == "" && v.q.Seq == nil
	rows := newRowStream(v, v.q.Source, v.in)
	for {
		ok, err := rows.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if v.q.Seq != nil && *v.q.Seq != rows.rec.at.seq {
			continue
		}
		e.count++
		if all {
			continue
		}
		if err := errors.Join(e.batch.Delete(v.rows.Key(), nil), e.flush()); err != nil {
			return err
		}
	}
	if !all {
		return nil
	}
	return e.batch.DeleteRange(rowKey(nil, v.tenant, v.q.Source, v.in.lo), rowKey(nil, v.tenant, v.q.Source, v.in.hi), nil)
}

func (e *eraser) chunks(v *view, c *chunkStream) error {
	var rest chunk.Block
	for {
		ok, err := c.load()
		if err != nil || !ok {
			return err
		}
		rest.Reset(c.block.Width)
		for i := range c.block.Len() {
			if i >= c.at && i < c.end && (v.q.Seq == nil || *v.q.Seq == c.block.Seqs[i]) {
				e.count++
				continue
			}
			rest.Append(c.block.Times[i], c.block.Seqs[i], c.block.Row(i))
		}
		if err := errors.Join(e.replace(v, c, &rest), e.flush()); err != nil {
			return err
		}
	}
}

// replace writes what is left of a chunk.
func (e *eraser) replace(v *view, c *chunkStream, rest *chunk.Block) error {
	if rest.Len() == c.block.Len() {
		return nil
	}
	if err := e.batch.Delete(c.key, nil); err != nil || rest.Len() == 0 {
		return err
	}
	return setChunk(e.batch, v.tenant, v.q.Source, c.rec.shape, rest)
}

func (e *eraser) flush() error {
	if e.batch.Len() < eraseBytes {
		return nil
	}
	err := errors.Join(e.s.db.Apply(e.batch, pebble.NoSync), e.batch.Close())
	e.batch = e.s.db.NewBatch()
	return err
}

// tidy removes a source from the catalog if it has no measurement left and gets none while tidy looks.
func (s *Store) tidy(tenant iot.TenantID, source iot.ID) error {
	key := sourceKey{tenant, source}
	mine := &watch{before: math.MaxInt64, touched: map[sourceKey]bool{}}
	s.setWatch(mine)
	defer s.setWatch(nil)
	for _, tag := range []byte{tagRow, tagChunk} {
		if some, err := s.any(appendSource(nil, tag, tenant, source)); some || err != nil {
			return err
		}
	}
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	if mine.touched[key] {
		return nil
	}
	s.seen.drop(key)
	low := appendSource(nil, tagCatalog, tenant, source)
	return s.db.DeleteRange(low, after(low), pebble.NoSync)
}

func (s *Store) any(prefix []byte) (some bool, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return false, err
	}
	some = it.First()
	return some, it.Close()
}

// DropTenant implements series.Store.
func (s *Store) DropTenant(ctx context.Context, tenant iot.TenantID) error {
	const op = fault.Op("series.DropTenant")
	if err := s.enter(); err != nil {
		return wrap(op, tenant, err)
	}
	defer s.leave()
	if tenant == "" {
		return s.finish(op, tenant, fault.E(fault.Invalid, "the tenant must be named"))
	}
	err := ctx.Err()
	if err == nil {
		err = s.drop(tenant)
	}
	return s.finish(op, tenant, err)
}

func (s *Store) drop(tenant iot.TenantID) error {
	s.upkeepMu.Lock()
	defer s.upkeepMu.Unlock()
	b := s.db.NewBatch()
	defer b.Close()
	for _, tag := range []byte{tagRow, tagChunk, tagShape, tagName, tagCatalog, tagFrom} {
		low := appendTenant(nil, tag, tenant)
		if err := b.DeleteRange(low, after(low), nil); err != nil {
			return err
		}
	}
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	defer s.forget()
	return s.db.Apply(b, pebble.Sync)
}
