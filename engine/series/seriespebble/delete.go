package seriespebble

import (
	"bytes"
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
	sources, err := s.affected(ctx, tenant, q)
	if err != nil {
		return 0, err
	}
	var total int64
	not := sift(&q)
	for _, source := range sources {
		q.Source, q.Except = source, not.of(source)
		e := eraser{s: s, batch: s.db.NewBatch()}
		err := errors.Join(e.source(ctx, tenant, &q), e.batch.Close())
		total += e.count
		if err != nil {
			return total, err
		}
		if e.count == 0 {
			continue
		}
		if err := s.tidy(tenant, source); err != nil {
			return total, err
		}
	}
	return total, s.db.LogData(nil, pebble.Sync)
}

// affected returns the sources that have a row or a chunk of a wanted shape in the time of a query. It costs a seek for the rows of each
// source and one for the chunks of each of its shapes, however much they hold: this is what makes retention cheap.
func (s *Store) affected(ctx context.Context, tenant iot.TenantID, q series.Query) (out []iot.ID, err error) {
	found, err := s.usage(ctx, tenant, &q)
	if err != nil || q.Source != 0 {
		for _, u := range found {
			out = append(out, u.source)
		}
		return out, err
	}
	q.Source = 1 // opened must not read the catalog of all again; the bounds of its iterators are those of the tenant
	v, err := s.view(ctx, tenant, &q)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	low := appendTenant(nil, tagRow, tenant)
	v.rows.SetBounds(low, after(low))
	for _, u := range found {
		some, err := v.touches(u)
		if err != nil {
			return nil, err
		}
		if some {
			out = append(out, u.source)
		}
		if err := v.alive(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// touches reports whether a source has a row, of any shape, or a chunk of a wanted shape in the span of the view.
func (v *view) touches(u used) (bool, error) {
	v.s.m.looked.Inc()
	if v.rows.SeekGE(rowKey(nil, v.tenant, u.source, v.in.lo)) && bytes.Compare(v.rows.Key(), rowKey(nil, v.tenant, u.source, v.in.hi)) < 0 {
		return true, nil
	}
	if err := v.rows.Error(); err != nil {
		return false, err
	}
	for _, number := range u.shapes {
		prefix := chunkPrefix(nil, v.tenant, u.source, number)
		if !v.packed.SeekGE(appendStamp(bytes.Clone(prefix), v.in.lo)) || !bytes.HasPrefix(v.packed.Key(), prefix) {
			if err := v.packed.Error(); err != nil {
				return false, err
			}
			continue
		}
		value, err := v.packed.ValueAndErr()
		if err != nil {
			return false, err
		}
		h, err := chunk.ReadHead(v.packed.Key(), value)
		if err != nil {
			return false, damaged(v.packed.Key(), err.Error())
		}
		if floor(h.First).before(v.in.hi) {
			return true, nil
		}
	}
	return false, nil
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
	all := v.q.Type == "" && v.q.Fragment == "" && v.q.Series == "" && v.q.Seq == nil && v.not == nil
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

// chunks deletes the matching rows of chunks. Chunks that go as a whole are not unpacked; each run of them is deleted as a range.
func (e *eraser) chunks(v *view, c *chunkStream) error {
	var rest chunk.Block
	if v.q.Seq == nil {
		v.whole, v.old = func(int64, int64) bool { return true }, true
	}
	var run wholeRun
	for {
		ok, err := c.load()
		if err == nil && ok && c.rec.stats != nil {
			e.count += int64(c.whole)
			run.add(c.key)
			continue
		}
		err = errors.Join(err, run.end(e.batch))
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

// wholeRun is a run of neighbouring chunks to delete.
type wholeRun struct{ first, last []byte }

func (r *wholeRun) add(key []byte) {
	if r.first == nil {
		r.first = bytes.Clone(key)
	}
	r.last = append(r.last[:0], key...)
}

func (r *wholeRun) end(b *pebble.Batch) error {
	if r.first == nil {
		return nil
	}
	err := b.DeleteRange(r.first, after(r.last), nil)
	r.first = nil
	return err
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
	s.appendMu.Lock()
	s.seen.get(tenant, source).ends = nil
	s.appendMu.Unlock()
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
	if err := s.foldJournal(); err != nil { // the journal has clients of all tenants
		return err
	}
	b := s.db.NewBatch()
	defer b.Close()
	for _, tag := range []byte{tagRow, tagChunk, tagShape, tagName, tagCatalog, tagTrail} {
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
