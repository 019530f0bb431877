package seriespebble

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
)

// view reads the records of one query from one consistent state of the store. It owns two iterators that all its streams share.
type view struct {
	ctx    context.Context
	s      *Store
	tenant iot.TenantID
	q      *series.Query
	in     span
	keys   []series.Key                      // if not empty, only shapes with one of these series are read
	whole  func(first, last int64) bool      // see chunkStream
	old    bool                              // whole also takes chunks whose statistics are not complete
	bucket func(ms int64) (start, end int64) // see chunkStream

	not          *exceptions      // nil: the query leaves nothing out
	rows, packed *pebble.Iterator // packed also reads the catalog first
	shapes       map[uint32]wanted
	from         stream
	reads        int
}

// wanted is a shape and what the query says of it.
type wanted struct {
	*shape
	typ, named bool
	spared     spared // of any source
}

// span is a stretch of a source: lo <= stamp < hi.
type span struct{ lo, hi stamp }

func (s *Store) view(ctx context.Context, t iot.TenantID, q *series.Query) (*view, error) {
	return (&view{ctx: ctx, s: s, tenant: t, q: q}).opened()
}

// opened finds the streams of a view whose fields are set. On failure nothing needs to be closed.
func (v *view) opened() (*view, error) {
	v.shapes, v.not = map[uint32]wanted{}, sift(v.q)
	lo, hi := v.q.Range()
	v.in = span{floor(lo), floor(hi)}
	if err := v.open(); err != nil {
		return nil, errors.Join(err, v.close())
	}
	return v, nil
}

func (v *view) open() (err error) {
	low := appendTenant(nil, tagCatalog, v.tenant)
	if v.q.Source != 0 {
		low = appendSource(nil, tagCatalog, v.tenant, v.q.Source)
	}
	if v.packed, err = v.s.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: after(low)}); err != nil {
		return err
	}
	found, err := v.catalog()
	if err != nil {
		return err
	}
	low = appendTenant(nil, tagChunk, v.tenant)
	v.packed.SetBounds(low, after(low))
	if v.rows, err = v.packed.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{}}); err != nil {
		return err
	}
	v.from = v.streams(found)
	return nil
}

// used is a source and the numbers of those of its shapes whose chunks the query wants.
type used struct {
	source iot.ID
	shapes []uint32
}

// catalog reads the sources that may have matching measurements.
func (v *view) catalog() ([]used, error) {
	var found []used
	n := 2 + len(v.tenant)
	for ok := v.packed.First(); ok; ok = v.packed.Next() {
		key := v.packed.Key()
		if len(key) != n+sourceBytes+shapeBytes {
			return nil, damaged(key, "catalog key has a wrong length")
		}
		id := iot.ID(binary.BigEndian.Uint64(key[n:]))
		number := binary.BigEndian.Uint32(key[n+sourceBytes:])
		w, err := v.shape(number)
		if err != nil {
			return nil, err
		}
		if !w.typ || !w.named && !v.q.FreeMember() {
			continue
		}
		if v.not != nil && v.spared(w, id).all {
			continue
		}
		if len(found) == 0 || found[len(found)-1].source != id {
			found = append(found, used{source: id})
			if err := v.alive(); err != nil {
				return nil, err
			}
		}
		if w.named {
			at := &found[len(found)-1]
			at.shapes = append(at.shapes, number)
		}
	}
	return found, v.packed.Error()
}

func (v *view) shape(number uint32) (wanted, error) {
	if w, ok := v.shapes[number]; ok {
		return w, nil
	}
	sh, err := v.s.dict.shape(v.tenant, number)
	if err != nil {
		return wanted{}, err
	}
	w := wanted{shape: sh}
	w.typ, w.named = sh.match(v.q)
	if len(v.keys) > 0 {
		w.named = slices.ContainsFunc(sh.series, func(i series.Info) bool { return slices.Contains(v.keys, i.Key) })
	}
	if v.not != nil {
		w.spared.add(sh, v.not.all)
	}
	v.shapes[number] = w
	return w, nil
}

func (v *view) streams(found []used) stream {
	if v.q.Source != 0 && len(found) == 1 {
		return v.single(found[0], v.in)
	}
	all := make([]stream, 0, len(found))
	for _, u := range found {
		all = append(all, &paged{v: v, u: u, left: v.in})
	}
	return newMerge(all, v.q.Reverse)
}

// single returns the stream of one source. Only one of them can be in use at a time, because they share the iterators.
func (v *view) single(u used, in span) stream {
	rows := newRowStream(v, u.source, in)
	if len(u.shapes) == 0 {
		return rows
	}
	all := []stream{rows}
	for _, number := range u.shapes {
		all = append(all, newChunkStream(v, u.source, v.shapes[number].shape, in))
	}
	return newMerge(all, v.q.Reverse)
}

// next returns the next record, nil at the end.
func (v *view) next() (*record, error) {
	if err := v.alive(); err != nil {
		return nil, err
	}
	for {
		ok, err := v.from.next()
		if err != nil || !ok {
			return nil, err
		}
		if r := v.from.record(); v.q.Seq == nil || *v.q.Seq == r.at.seq {
			return r, nil
		}
	}
}

// contextStride is how many reads go by between two looks at the context, which takes a lock.
const contextStride = 256

func (v *view) alive() error {
	if v.reads++; v.reads%contextStride == 1 {
		return v.ctx.Err()
	}
	return nil
}

func (v *view) close() (err error) {
	for _, it := range []*pebble.Iterator{v.rows, v.packed} {
		if it != nil {
			err = errors.Join(err, it.Close())
		}
	}
	return err
}

// paged is the stream of one of many sources: it borrows the iterators for a page of records at a time, so that a query over all
// sources needs two iterators, not two per source.
type paged struct {
	v    *view
	u    used
	left span
	page []record
	at   int
	size int
	done bool
}

const (
	firstPage = 4
	lastPage  = 256
)

func (p *paged) record() *record { return &p.page[p.at] }

func (p *paged) next() (bool, error) {
	if p.at++; p.at < len(p.page) {
		return true, nil
	}
	if p.done {
		return false, nil
	}
	return p.fill()
}

func (p *paged) fill() (bool, error) {
	p.size = min(max(firstPage, 4*p.size), lastPage)
	p.page, p.at = p.page[:0], 0
	one := p.v.single(p.u, p.left)
	for len(p.page) < p.size {
		ok, err := one.next()
		if err != nil {
			return false, err
		}
		if !ok {
			p.done = true
			break
		}
		p.page = append(p.page, one.record().clone())
	}
	if n := len(p.page); n > 0 {
		if last := p.page[n-1].at; p.v.q.Reverse {
			p.left.hi = last
		} else {
			p.left.lo = last.next()
		}
	}
	return len(p.page) > 0, p.v.alive()
}
