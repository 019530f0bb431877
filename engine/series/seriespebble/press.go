package seriespebble

import (
	"context"
	"errors"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/engine/series"
)

// pressRows is the number of rows read between two batches of many sources. Each batch with range deletions makes the engine
// sort them anew for the next iterator, which was quadratic when each source had a batch of its own.
const pressRows = 32 << 10

// press packs the rows of some sources. It reads one state of the store, without holding up appends, and watches from that
// moment on for late rows: its batches delete ranges, which must not hold rows that were not read.
type press struct {
	s            *Store
	rows, packed *pebble.Iterator
	eager        bool // take in every late row, however few there are
	mine         *watch
	parts        []part
	read         int
	done         int
	disturbed    []sourceKey
}

// part is the batch of one source.
type part struct {
	key    sourceKey
	batch  *pebble.Batch
	rows   int
	chunks int
}

func (s *Store) newPress(before int64, eager bool) (p *press, err error) {
	p = &press{s: s, eager: eager, mine: &watch{before: before, touched: map[sourceKey]bool{}}}
	s.setWatch(p.mine)
	if p.packed, err = s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tagChunk}, UpperBound: []byte{tagChunk + 1}}); err == nil {
		p.rows, err = p.packed.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{}})
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *press) close() error {
	p.s.setWatch(nil)
	var err error
	for _, it := range []*pebble.Iterator{p.rows, p.packed} {
		if it != nil {
			err = errors.Join(err, it.Close())
		}
	}
	for _, part := range p.parts {
		err = errors.Join(err, part.batch.Close())
	}
	return err
}

// source packs the old rows of one source. A source with very many rows is written in between.
func (p *press) source(ctx context.Context, key sourceKey) error {
	q := &series.Query{Source: key.source}
	v := &view{ctx: ctx, s: p.s, tenant: key.tenant, q: q, shapes: map[uint32]wanted{}, rows: p.rows, packed: p.packed}
	w := &window{v: v, key: key, eager: p.eager, groups: map[uint32]*group{}}
	rows := newRowStream(v, key.source, span{floor(math.MinInt64), floor(p.mine.before)})
	for more := true; more; {
		var err error
		if more, err = rows.next(); err != nil {
			return err
		}
		if more {
			p.read++
			err = w.add(rows.record())
		} else {
			err = w.finishAll()
		}
		if err == nil && w.sealed > 0 && (!more || w.sealed >= windowRows) {
			err = p.take(w)
		}
		if err == nil && len(p.parts) > 0 && p.parts[len(p.parts)-1].rows >= windowRows {
			err = p.commit()
		}
		if err != nil || p.lost(key) {
			return errors.Join(err, v.alive())
		}
	}
	return nil
}

// take moves the complete chunks of a window into a part.
func (p *press) take(w *window) error {
	b := p.s.db.NewBatch()
	p.parts = append(p.parts, part{w.key, b, w.sealed, w.made})
	err := w.write(b)
	w.out, w.made, w.sealed = nil, 0, 0
	return err
}

// lost reports whether a part of the source was already given up, so that the rest of it must not be written either.
func (p *press) lost(key sourceKey) bool {
	n := len(p.disturbed)
	return n > 0 && p.disturbed[n-1] == key
}

// commit replaces rows by chunks in one atomic batch, leaving out sources that received late rows. It need not be synced: until the
// batch is on disk, the rows are.
func (p *press) commit() error {
	if len(p.parts) == 0 {
		return nil
	}
	b := p.s.db.NewBatch()
	defer b.Close()
	p.s.appendMu.Lock()
	defer p.s.appendMu.Unlock()
	for _, part := range p.parts {
		if p.mine.touched[part.key] {
			p.disturbed = append(p.disturbed, part.key)
			continue
		}
		if err := b.Apply(part.batch, nil); err != nil {
			return err
		}
		p.done += part.rows
		p.s.m.chunks.Add(float64(part.chunks))
		p.s.m.sealed.Add(float64(part.rows))
	}
	err := p.s.db.Apply(b, pebble.NoSync)
	for _, part := range p.parts {
		err = errors.Join(err, part.batch.Close())
	}
	p.parts = nil
	return err
}

func (s *Store) setWatch(w *watch) {
	s.appendMu.Lock()
	s.watch = w
	s.appendMu.Unlock()
}
