package seriespebble

import (
	"bytes"
	"cmp"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/engine/series/seriespebble/internal/chunk"
	"github.com/isobar-iot/isobar/iot"
)

const (
	// minRows is the fewest rows worth a chunk of their own, maxRows the most that one holds. Below, the chunk's own overhead of about 90
	// bytes shows; above, a read of one day unpacks too much.
	minRows = 128
	maxRows = 1024
	// growth is how many times as many rows as come in the last chunk of a source may have to take them in: each time, it is packed anew.
	growth = 8
	// fewRows is the fewest rows for which a chunk is packed anew in a usual round of sealing; the eager ones take all.
	fewRows = 8
	// maxNumbers bounds a chunk of very many columns.
	maxNumbers = 1 << 16
	// windowRows is the number of rows in complete chunks at which a batch is written.
	windowRows = 8192
	// minRange is the shortest run of rows that is deleted as a range.
	minRange = 4
)

// window is the rows of one source, in order, that are on their way into chunks but not written yet.
type window struct {
	v      *view
	key    sourceKey
	eager  bool
	rows   []packedRow
	cut    bool // the next row does not follow the last of rows
	groups map[uint32]*group
	out    []change // of chunks, in the order in which they are to be made
	made   int      // chunks in out
	sealed int      // rows in out
}

// change is a chunk to write or, without a block, to delete.
type change struct {
	key   []byte
	block *chunk.Block
}

type packedRow struct {
	at   stamp
	into *group
	cut  bool // between this row and the one before there may be rows that stay
}

// group collects rows of one shape up to the end of an existing chunk, or after all of them.
type group struct {
	fate  fate
	shape *shape
	block chunk.Block
	gap   chunkGap
	late  bool         // some row lies within the chunk
	left  *chunk.Block // what is left of the chunk by groups before; nil: it is untouched
	heir  bool         // a group before wrote a chunk, so this one does not follow what is stored
}

// fate is what becomes of the rows of a group.
type fate uint8

const (
	open    fate = iota
	packed       // they are in a chunk
	refused      // they are too few and stay rows
)

// chunkGap is the place up to and including a chunk of a shape.
type chunkGap struct {
	known bool
	first int64  // of the chunk
	last  stamp  // of the chunk; far in the future if there is none
	key   []byte // of the chunk; nil if there is none
}

func (w *window) add(r *record) error {
	if len(r.extra) > 0 {
		w.cut = true
		return nil
	}
	g, err := w.group(r)
	if err != nil {
		return err
	}
	g.late = g.late || r.at.ms >= g.gap.first
	g.block.Append(r.at.ms, r.at.seq, r.nums)
	w.rows = append(w.rows, packedRow{r.at, g, w.cut})
	w.cut = false
	return nil
}

// group returns the group for a row.
func (w *window) group(r *record) (*group, error) {
	g := w.groups[r.shape.id]
	if g != nil && g.block.Len() < rowsPerChunk(g.shape) && !g.gap.last.before(r.at) {
		return g, nil
	}
	next := &group{shape: r.shape}
	if g != nil {
		passed := g.gap.last.before(r.at)
		if err := w.finish(g, passed); err != nil {
			return nil, err
		}
		next.heir = g.heir || g.fate == packed
		if !passed {
			next.gap, next.left = g.gap, g.left
		}
	}
	if !next.gap.known {
		var err error
		if next.gap, err = w.gapAt(r); err != nil {
			return nil, err
		}
	}
	next.block.Reset(len(r.shape.series))
	w.groups[r.shape.id] = next
	return next, nil
}

func rowsPerChunk(s *shape) int {
	return max(1, min(maxRows, maxNumbers/max(1, len(s.series))))
}

// gapAt finds the first chunk of the row's shape that ends after the row.
func (w *window) gapAt(r *record) (chunkGap, error) {
	g := chunkGap{known: true, first: math.MaxInt64, last: floor(math.MaxInt64)}
	prefix := chunkPrefix(nil, w.key.tenant, w.key.source, r.shape.id)
	it := w.v.packed
	if !it.SeekGE(appendStamp(bytes.Clone(prefix), r.at)) || !bytes.HasPrefix(it.Key(), prefix) {
		return g, it.Error()
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return g, err
	}
	h, err := chunk.ReadHead(it.Key(), value)
	if err != nil || len(it.Key()) != len(prefix)+stampBytes {
		return g, damaged(it.Key(), "head of the chunk")
	}
	g.first, g.last, g.key = h.First, readStamp(it.Key()[len(prefix):]), bytes.Clone(it.Key())
	return g, nil
}

// finish decides on the rows of a group: they become chunks of their own, or are packed with the chunk that follows or precedes them, or
// are too few and stay rows. passed says that no more rows come up to the end of the gap.
func (w *window) finish(g *group, passed bool) error {
	n := g.block.Len()
	enough := n >= min(minRows, rowsPerChunk(g.shape))
	var err error
	switch {
	case n == 0:
		return nil
	case g.gap.key != nil && (g.late || g.left != nil || !enough):
		if g.fate = refused; n >= fewRows || w.eager || !passed {
			err = w.mergeNext(g, passed)
		}
	case g.gap.key == nil && !g.heir:
		err = w.mergeLast(g, enough)
	case enough:
		w.pack(g, &g.block, false)
	default:
		g.fate = refused
	}
	if g.fate == packed {
		w.sealed += n
	}
	return err
}

// pack puts out chunks of the rows of a block.
func (w *window) pack(g *group, b *chunk.Block, even bool) {
	g.fate = packed
	for _, part := range split(b, rowsPerChunk(g.shape), even) {
		w.put(g.shape, part)
	}
}

func (w *window) put(sh *shape, b *chunk.Block) {
	w.out = append(w.out, change{w.chunkKey(sh, b), b})
	w.made++
}

func (w *window) chunkKey(sh *shape, b *chunk.Block) []byte {
	last := b.Len() - 1
	return chunkKey(nil, w.key.tenant, w.key.source, sh.id, stamp{b.Times[last], b.Seqs[last]})
}

// mergeNext packs the rows together with the chunk that follows or surrounds them. If more rows of its time may come, what lies after the
// last row keeps the chunk's key, so that the store is whole after each batch.
func (w *window) mergeNext(g *group, passed bool) error {
	old := g.left
	if old == nil {
		old = &chunk.Block{}
		if err := w.read(g.shape, g.gap.key, old); err != nil {
			return err
		}
	}
	if passed {
		w.pack(g, mergeBlocks(old, &g.block), true)
		return nil
	}
	at := g.block.Len() - 1
	before, rest := cutBlock(old, stamp{g.block.Times[at], g.block.Seqs[at]})
	w.pack(g, mergeBlocks(before, &g.block), true)
	w.put(g.shape, rest)
	g.left = rest
	return nil
}

// mergeLast packs rows that follow all chunks, together with the last chunk as long as that is small.
func (w *window) mergeLast(g *group, enough bool) error {
	n := g.block.Len()
	prefix := chunkPrefix(nil, w.key.tenant, w.key.source, g.shape.id)
	it := w.v.packed
	if it.SeekLT(after(prefix)) && bytes.HasPrefix(it.Key(), prefix) {
		key := bytes.Clone(it.Key())
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		h, err := chunk.ReadHead(key, value)
		if err != nil {
			return damaged(key, err.Error())
		}
		if h.Count < rowsPerChunk(g.shape) && (enough && h.Count <= growth*n || w.eager && n >= fewRows) {
			old := &chunk.Block{}
			if err := w.read(g.shape, key, old); err != nil {
				return err
			}
			w.out = append(w.out, change{key: key})
			w.pack(g, mergeBlocks(old, &g.block), false)
			return nil
		}
	} else if err := it.Error(); err != nil {
		return err
	}
	if g.fate = refused; enough {
		w.pack(g, &g.block, false)
	}
	return nil
}

func (w *window) read(sh *shape, key []byte, b *chunk.Block) error {
	it := w.v.packed
	if !it.SeekGE(key) || !bytes.Equal(it.Key(), key) {
		return cmp.Or(it.Error(), damaged(key, "the chunk is gone"))
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	return unpack(b, len(sh.series), key, value)
}

func (w *window) finishAll() error {
	for _, g := range w.groups {
		if err := w.finish(g, true); err != nil {
			return err
		}
	}
	clear(w.groups)
	return nil
}

// write puts the complete chunks into the batch and takes their rows away. Rows of open groups wait.
func (w *window) write(b *pebble.Batch) error {
	for _, c := range w.out {
		var err error
		if c.block == nil {
			err = b.Delete(c.key, nil)
		} else {
			err = b.Set(c.key, chunk.Encode(nil, c.key, c.block), nil)
		}
		if err != nil {
			return err
		}
	}
	waiting := w.rows[:0:0]
	cut := false
	for i := 0; i < len(w.rows); {
		run := w.run(i)
		i += max(1, len(run))
		if len(run) > 0 {
			cut = cut || run[0].cut
			if err := w.remove(b, run); err != nil {
				return err
			}
			continue
		}
		r := w.rows[i-1]
		cut = cut || r.cut
		if r.into.fate == refused {
			cut = true
			continue
		}
		r.cut, cut = cut, false
		waiting = append(waiting, r)
	}
	w.rows, w.cut = waiting, w.cut || cut
	return nil
}

// run returns the rows from i on that follow each other in the store and go into chunks of this batch.
func (w *window) run(i int) []packedRow {
	j := i
	for j < len(w.rows) && w.rows[j].into.fate == packed && (j == i || !w.rows[j].cut) {
		j++
	}
	return w.rows[i:j]
}

func (w *window) remove(b *pebble.Batch, run []packedRow) error {
	k := func(s stamp) []byte { return rowKey(nil, w.key.tenant, w.key.source, s) }
	if len(run) >= minRange {
		return b.DeleteRange(k(run[0].at), k(run[len(run)-1].at.next()), nil)
	}
	for _, r := range run {
		if err := b.Delete(k(r.at), nil); err != nil {
			return err
		}
	}
	return nil
}

// setChunk puts a block, which must not be empty, into the batch.
func setChunk(b *pebble.Batch, t iot.TenantID, source iot.ID, sh *shape, block *chunk.Block) error {
	last := block.Len() - 1
	key := chunkKey(nil, t, source, sh.id, stamp{block.Times[last], block.Seqs[last]})
	return b.Set(key, chunk.Encode(nil, key, block), nil)
}
