package seriespebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"sort"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/engine/series/seriespebble/internal/chunk"
)

// probe finds free sequences for late measurements. One append has one, with the state of the store before the append; because the append's
// measurements are sorted, each one is found near the one before, and a chunk is unpacked once for all that fall into it.
type probe struct {
	s            *Store
	rows, packed *pebble.Iterator // nil until they are needed
	key          sourceKey
	shapes       []*probed
}

// probed is what is known of the chunks of one shape: the first chunk that ends at or after any stamp from seen to last.
type probed struct {
	id         uint32
	width      int
	known      bool
	seen, last stamp
	block      *chunk.Block // nil: there is none
}

func (p *probe) close() error {
	var err error
	for _, it := range []*pebble.Iterator{p.rows, p.packed} {
		if it != nil {
			err = errors.Join(err, it.Close())
		}
	}
	return err
}

// gap returns the largest stamp that a source has in a millisecond, with ok, and the time of the first measurement after it.
func (p *probe) gap(key sourceKey, ms int64) (last stamp, ok bool, end int64, err error) {
	if err := p.enter(key); err != nil {
		return last, false, 0, err
	}
	end = math.MaxInt64
	note := func(at stamp) {
		if at.ms != ms {
			end = min(end, at.ms)
		} else if !ok || last.before(at) {
			last, ok = at, true
		}
	}
	if err := p.nearRows(ms, note); err != nil {
		return last, false, 0, err
	}
	for _, sh := range p.shapes {
		if err := p.nearChunks(sh, ms, note); err != nil {
			return last, false, 0, err
		}
	}
	return last, ok, end, nil
}

// enter reads which shapes a source has used.
func (p *probe) enter(key sourceKey) (err error) {
	if p.rows == nil {
		if p.rows, err = p.s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tagRow}, UpperBound: []byte{tagRow + 1}}); err != nil {
			return err
		}
		if p.packed, err = p.rows.Clone(pebble.CloneOptions{IterOptions: &pebble.IterOptions{}}); err != nil {
			return err
		}
	}
	if p.key == key {
		return nil
	}
	p.key, p.shapes = key, nil
	low := appendSource(nil, tagCatalog, key.tenant, key.source)
	for ok := p.packed.SeekGE(low); ok && bytes.HasPrefix(p.packed.Key(), low); ok = p.packed.Next() {
		if len(p.packed.Key()) != len(low)+shapeBytes {
			return damaged(p.packed.Key(), "catalog key has a wrong length")
		}
		id := binary.BigEndian.Uint32(p.packed.Key()[len(low):])
		sh, err := p.s.dict.shape(key.tenant, id)
		if err != nil {
			return err
		}
		p.shapes = append(p.shapes, &probed{id: id, width: len(sh.series)})
	}
	return p.packed.Error()
}

// nearRows notes the rows in a millisecond and the one after them.
func (p *probe) nearRows(ms int64, note func(stamp)) error {
	low := appendSource(nil, tagRow, p.key.tenant, p.key.source)
	for ok := p.rows.SeekGE(rowKey(nil, p.key.tenant, p.key.source, floor(ms))); ok && bytes.HasPrefix(p.rows.Key(), low); ok = p.rows.Next() {
		_, at, err := parseRowKey(p.rows.Key(), len(low)-sourceBytes)
		if err != nil {
			return err
		}
		if note(at); at.ms != ms {
			return nil
		}
	}
	return p.rows.Error()
}

// nearChunks notes the sealed rows of a shape in a millisecond and the one after them.
func (p *probe) nearChunks(sh *probed, ms int64, note func(stamp)) error {
	for from := floor(ms); ; from = sh.last.next() {
		if !sh.known || from.before(sh.seen) || sh.last.before(from) {
			if err := p.load(sh, from); err != nil {
				return err
			}
		}
		if sh.block == nil {
			return nil
		}
		b := sh.block
		for i := sort.Search(b.Len(), func(i int) bool { return !stampAt(b, i).before(from) }); i < b.Len(); i++ {
			if note(stampAt(b, i)); b.Times[i] != ms {
				return nil
			}
		}
	}
}

func (p *probe) load(sh *probed, from stamp) error {
	prefix := chunkPrefix(nil, p.key.tenant, p.key.source, sh.id)
	sh.known, sh.seen, sh.last, sh.block = true, from, floor(math.MaxInt64), nil
	if !p.packed.SeekGE(appendStamp(bytes.Clone(prefix), from)) || !bytes.HasPrefix(p.packed.Key(), prefix) {
		return p.packed.Error()
	}
	key := p.packed.Key()
	value, err := p.packed.ValueAndErr()
	if err != nil {
		return err
	}
	if len(key) != len(prefix)+stampBytes {
		return damaged(key, "chunk key has a wrong length")
	}
	sh.last, sh.block = readStamp(key[len(prefix):]), &chunk.Block{}
	return unpack(sh.block, sh.width, key, value)
}
