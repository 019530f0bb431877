package seriespebble

import (
	"bytes"
	"sort"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriespebble/internal/chunk"
	"github.com/isobar-iot/isobar/iot"
)

// chunkStream yields the rows in the chunks of one source and shape. Those chunks never overlap, so they come one after the other.
// If the view has a function whole, a chunk that lies in the span and for which whole is true comes as one record with statistics.
// If it has a function bucket, so does each run of rows of other chunks in one bucket.
type chunkStream struct {
	v       *view
	prefix  []byte
	in      span
	started bool
	key     []byte // of the chunk that is unpacked
	block   chunk.Block
	at, end int // next row and end; backwards: at counts down to end
	stats   []series.Stat
	whole   int // rows of the chunk that the record stands for
	rec     record
}

func newChunkStream(v *view, source iot.ID, sh *shape, in span) *chunkStream {
	return &chunkStream{v: v, prefix: chunkPrefix(nil, v.tenant, source, sh.id), in: in, stats: []series.Stat{}, rec: record{source: source, shape: sh}}
}

func (c *chunkStream) record() *record { return &c.rec }

func (c *chunkStream) next() (bool, error) {
	for c.at == c.end {
		ok, err := c.load()
		if !ok || err != nil {
			return false, err
		}
		if c.rec.stats != nil {
			return true, nil
		}
	}
	if c.v.bucket != nil {
		c.run()
		return true, nil
	}
	i := c.at
	if c.v.q.Reverse {
		i--
		c.at--
	} else {
		c.at++
	}
	c.rec.at = stamp{c.block.Times[i], c.block.Seqs[i]}
	c.rec.nums = c.block.Row(i)
	return true, nil
}

// run makes a record of the next rows that lie in one bucket.
func (c *chunkStream) run() {
	b, from, to := &c.block, c.at, c.at
	if c.v.q.Reverse {
		start, _ := c.v.bucket(b.Times[c.at-1])
		for from > c.end && b.Times[from-1] >= start {
			from--
		}
		c.at, c.rec.at = from, stamp{b.Times[to-1], b.Seqs[to-1]}
	} else {
		_, end := c.v.bucket(b.Times[c.at])
		for to < c.end && b.Times[to] < end {
			to++
		}
		c.at, c.rec.at = to, stamp{b.Times[from], b.Seqs[from]}
	}
	c.stats = c.stats[:0]
	for i := range b.Width {
		var s series.Stat
		s.AddRun(b.Times[from:to], b.Seqs[from:to], b.Vals[from*b.Width+i:], b.Width)
		c.stats = append(c.stats, s)
	}
	c.rec.stats, c.rec.newest = c.stats, b.Times[to-1]
}

// load moves to the next chunk with rows in the span; false at the end.
func (c *chunkStream) load() (bool, error) {
	c.rec.stats = nil
	if c.v.q.Reverse {
		return c.loadReverse()
	}
	it := c.v.packed
	if !c.forward() || !bytes.HasPrefix(it.Key(), c.prefix) {
		return false, it.Error()
	}
	ok, err := c.unpack()
	return ok && c.first().before(c.in.hi), err
}

// forward moves the iterator, which other streams share, to the chunk after the last one: by a step if it still is where this stream left it.
func (c *chunkStream) forward() bool {
	it := c.v.packed
	lo := c.in.lo
	if c.started {
		if it.Valid() && bytes.Equal(it.Key(), c.key) {
			return it.Next()
		}
		lo = readStamp(c.key[len(c.prefix):]).next()
	}
	c.started = true
	return it.SeekGE(appendStamp(append(c.scratch(), c.prefix...), lo))
}

func (c *chunkStream) loadReverse() (bool, error) {
	it := c.v.packed
	if !c.started {
		c.started = true
		hi := appendStamp(append(c.scratch(), c.prefix...), c.in.hi)
		if it.SeekGE(hi) && bytes.HasPrefix(it.Key(), c.prefix) {
			if ok, err := c.unpack(); err != nil || ok && c.first().before(c.in.hi) {
				return ok, err
			}
			c.at, c.end, c.rec.stats = 0, 0, nil
		}
		c.key = hi
	}
	if it.Error() != nil || !it.SeekLT(c.key) || !bytes.HasPrefix(it.Key(), c.prefix) {
		return false, it.Error()
	}
	if readStamp(it.Key()[len(c.prefix):]).before(c.in.lo) {
		return false, nil
	}
	return c.unpack()
}

func (c *chunkStream) scratch() []byte { return make([]byte, 0, len(c.prefix)+stampBytes) }

func (c *chunkStream) first() stamp {
	if c.rec.stats != nil {
		return c.in.lo // a whole chunk lies in the span
	}
	return stamp{c.block.Times[0], c.block.Seqs[0]}
}

// unpack reads the chunk under the iterator.
func (c *chunkStream) unpack() (bool, error) {
	c.key = append(c.key[:0], c.v.packed.Key()...)
	value, err := c.v.packed.ValueAndErr()
	if err != nil {
		return false, err
	}
	if len(c.key) != len(c.prefix)+stampBytes {
		return false, damaged(c.key, "chunk key has a wrong length")
	}
	if c.v.whole != nil {
		if ok, err := c.unpackWhole(value); ok || err != nil {
			return ok, err
		}
	}
	if err := unpack(&c.block, len(c.rec.shape.series), c.key, value); err != nil {
		return false, err
	}
	from, to := c.search(c.in.lo), c.search(c.in.hi)
	c.at, c.end = from, to
	if c.v.q.Reverse {
		c.at, c.end = to, from
	}
	return true, nil
}

// unpack decodes a chunk and checks that it is the one that its key promises.
func unpack(b *chunk.Block, width int, key, value []byte) error {
	if err := chunk.Decode(b, width, key, value); err != nil {
		return damaged(key, err.Error())
	}
	last := b.Len() - 1
	if readStamp(key[len(key)-stampBytes:]) != (stamp{b.Times[last], b.Seqs[last]}) {
		return damaged(key, "last row is not the one in the key")
	}
	return nil
}

func (c *chunkStream) search(s stamp) int {
	return sort.Search(c.block.Len(), func(i int) bool { return !(stamp{c.block.Times[i], c.block.Seqs[i]}).before(s) })
}

func (c *chunkStream) unpackWhole(value []byte) (bool, error) {
	h, err := chunk.ReadHead(c.key, value)
	if err != nil {
		return false, damaged(c.key, err.Error())
	}
	inside := !floor(h.First).before(c.in.lo) && h.Last < c.in.hi.ms
	if !inside || !h.Complete && !c.v.old || !c.v.whole(h.First, h.Last) {
		return false, nil
	}
	if h, c.stats, err = chunk.ReadStats(c.stats[:0], c.key, value); err != nil || len(c.stats) != len(c.rec.shape.series) {
		return false, damaged(c.key, "statistics do not match the shape")
	}
	c.rec.stats, c.rec.newest, c.whole = c.stats, h.Last, h.Count
	c.rec.at = floor(h.First)
	if c.v.q.Reverse {
		c.rec.at = floor(h.Last)
	}
	return true, nil
}
