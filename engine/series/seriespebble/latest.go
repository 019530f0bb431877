package seriespebble

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriespebble/internal/chunk"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// ends remembers where the newest row of each shape of a source is, once somebody has asked for the newest values of the source.
// A row that has gone into a chunk since then is found there.
type ends struct {
	known bool // all rows of before were looked at
	at    map[uint32]stamp
}

func (e *ends) note(shape uint32, at stamp) {
	if e == nil {
		return
	}
	if last, ok := e.at[shape]; !ok || last.before(at) {
		e.at[shape] = at
	}
}

// Recall implements series.Recaller. It costs a seek or two for each shape that the source has used; the first time, and after a
// deletion, also a look at the rows that are not sealed.
func (s *Store) Recall(ctx context.Context, tenant iot.TenantID, source iot.ID, keys []series.Key) ([]series.Latest, error) {
	err := s.enter()
	var out []series.Latest
	if err == nil {
		defer s.leave()
		out, err = s.recall(ctx, tenant, source, keys)
	}
	return out, s.finish("series.Recall", tenant, err)
}

func (s *Store) recall(ctx context.Context, tenant iot.TenantID, source iot.ID, keys []series.Key) (out []series.Latest, err error) {
	if source == 0 {
		return nil, fault.E(fault.Invalid, "a source is required")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	places, known := s.ends(sourceKey{tenant, source})
	v := &view{ctx: ctx, s: s, tenant: tenant, q: &series.Query{Source: source}, keys: keys}
	if v, err = v.opened(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	r := recalling{v: v, source: source, best: map[series.Key]series.Latest{}}
	if !known {
		if places, err = s.findEnds(v); err != nil {
			return nil, err
		}
	}
	for _, number := range v.numbers() {
		gone, err := r.shape(number, places)
		if gone && err == nil { // a deletion came between
			if places, err = s.findEnds(v); err == nil {
				_, err = r.shape(number, places)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	for _, l := range r.best {
		out = append(out, l)
	}
	series.SortLatest(out)
	return out, nil
}

// ends returns the places of the newest rows of a source, and begins to follow them if nobody did.
func (s *Store) ends(key sourceKey) (places map[uint32]stamp, known bool) {
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	src := s.seen.get(key.tenant, key.source)
	if src.ends == nil {
		src.ends = &ends{at: map[uint32]stamp{}}
	}
	if !src.ends.known {
		return nil, false
	}
	places = make(map[uint32]stamp, len(src.ends.at))
	for shape, at := range src.ends.at {
		places[shape] = at
	}
	return places, true
}

// findEnds reads the places of the newest rows, and remembers them. Those that come in meanwhile are followed already.
func (s *Store) findEnds(v *view) (map[uint32]stamp, error) {
	found := map[uint32]stamp{}
	v.rows.SetBounds(rowKey(nil, v.tenant, v.q.Source, v.in.lo), rowKey(nil, v.tenant, v.q.Source, v.in.hi))
	for ok := v.rows.Last(); ok; ok = v.rows.Prev() {
		value, err := v.rows.ValueAndErr()
		if err != nil {
			return nil, err
		}
		number, _, err := rowShape(v.rows.Key(), value)
		if err != nil {
			return nil, err
		}
		if _, ok := found[number]; !ok {
			_, at, err := parseRowKey(v.rows.Key(), 2+len(v.tenant))
			if err != nil {
				return nil, err
			}
			if found[number] = at; len(found) == len(v.shapes) {
				break
			}
		}
		if err := v.alive(); err != nil {
			return nil, err
		}
	}
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	if e := s.seen.get(v.tenant, v.q.Source).ends; e != nil {
		for shape, at := range found {
			e.note(shape, at)
		}
		e.known = true
	}
	return found, v.rows.Error()
}

// numbers returns the numbers of the wanted shapes of the view's source.
func (v *view) numbers() []uint32 {
	var out []uint32
	for number, w := range v.shapes {
		if w.named {
			out = append(out, number)
		}
	}
	return out
}

// recalling collects the newest value of each series from the newest row or chunk of each shape.
type recalling struct {
	v      *view
	source iot.ID
	best   map[series.Key]series.Latest
	block  chunk.Block
}

// shape takes the newest values of one shape; gone says that the remembered row was deleted.
func (r *recalling) shape(number uint32, places map[uint32]stamp) (gone bool, err error) {
	sh := r.v.shapes[number].shape
	last, err := r.chunk(sh)
	at, ok := places[number]
	if err != nil || !ok || at.before(last) || at == last {
		return false, err
	}
	key := rowKey(nil, r.v.tenant, r.source, at)
	r.v.rows.SetBounds(key, after(key))
	if !r.v.rows.First() || !bytes.Equal(r.v.rows.Key(), key) {
		return r.v.rows.Error() == nil, r.v.rows.Error()
	}
	value, err := r.v.rows.ValueAndErr()
	if err != nil {
		return false, err
	}
	id, rest, err := rowShape(key, value)
	if err != nil || id != number {
		return err == nil, err
	}
	nums, _, err := rowNumbers(key, nil, len(sh.series), rest)
	if err == nil {
		r.take(sh, at, func(i int) iot.Number { return nums[i] })
	}
	return false, err
}

// chunk takes the values of the newest chunk of a shape and returns its last stamp.
func (r *recalling) chunk(sh *shape) (last stamp, err error) {
	prefix := chunkPrefix(nil, r.v.tenant, r.source, sh.id)
	it := r.v.packed
	if !it.SeekLT(after(prefix)) || !bytes.HasPrefix(it.Key(), prefix) {
		return floor(series.MinTime - 1), it.Error()
	}
	key := it.Key()
	if len(key) != len(prefix)+stampBytes {
		return last, damaged(key, "chunk key has a wrong length")
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return last, err
	}
	last = readStamp(key[len(prefix):])
	h, stats, err := chunk.ReadStats(nil, key, value)
	if err != nil || len(stats) != len(sh.series) {
		return last, damaged(key, cmp.Or(err, errors.New("statistics do not match the shape")).Error())
	}
	if h.Complete {
		r.take(sh, last, func(i int) iot.Number { return stats[i].Last })
		return last, nil
	}
	if err := unpack(&r.block, len(sh.series), key, value); err != nil {
		return last, err
	}
	r.take(sh, last, func(i int) iot.Number { return r.block.Row(r.block.Len() - 1)[i] })
	return last, nil
}

func (r *recalling) take(sh *shape, at stamp, value func(i int) iot.Number) {
	now := series.Stamp{MS: at.ms, Seq: at.seq}
	for i, info := range sh.series {
		if len(r.v.keys) > 0 && !slices.Contains(r.v.keys, info.Key) {
			continue
		}
		if best, ok := r.best[info.Key]; !ok || best.At.Compare(now) <= 0 {
			r.best[info.Key] = series.Latest{Source: r.source, Info: info, Value: value(i), At: now}
		}
	}
}
