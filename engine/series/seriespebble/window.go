package seriespebble

import (
	"bytes"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/isobar-iot/isobar/engine/series/seriespebble/internal/chunk"
	"github.com/isobar-iot/isobar/iot"
)

const (
	// minRows is the fewest rows worth a chunk, maxRows the most that one holds. Below, the chunk's own overhead of about 60 bytes
	// shows; above, a read of one day unpacks too much.
	minRows = 128
	maxRows = 256
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
	rows   []packedRow
	cut    bool // the next row does not follow the last of rows
	groups map[uint32]*group
	out    []*group // complete groups
	sealed int      // rows in out
}

type packedRow struct {
	at   stamp
	into *group
	cut  bool // between this row and the one before there may be rows that stay
}

// group collects rows of one shape between two existing chunks.
type group struct {
	fate  fate
	shape *shape
	block chunk.Block
	gap   chunkGap
}

// fate is what becomes of the rows of a group.
type fate uint8

const (
	open    fate = iota
	packed       // they are in a chunk
	refused      // they are too few and stay rows
)

// chunkGap is the place between two chunks of a shape. Rows up to the next chunk's first millisecond fit in.
type chunkGap struct {
	known       bool
	first, last stamp // of the next chunk; far in the future if there is none
}

func (w *window) add(r *record) error {
	var g *group
	var err error
	if len(r.extra) == 0 {
		g, err = w.group(r)
	}
	if g == nil || err != nil {
		w.cut = true
		return err
	}
	g.block.Append(r.at.ms, r.at.seq, r.nums)
	w.rows = append(w.rows, packedRow{r.at, g, w.cut})
	w.cut = false
	return nil
}

// group returns the group for a row, nil if the row falls into a chunk that exists: a late row, which stays a row.
func (w *window) group(r *record) (*group, error) {
	g := w.groups[r.shape.id]
	if g == nil || g.block.Len() >= rowsPerChunk(g.shape) || g.gap.last.before(r.at) {
		gap := chunkGap{}
		if g != nil {
			w.finish(g)
			gap = g.gap
		}
		g = &group{shape: r.shape, gap: gap}
		g.block.Reset(len(r.shape.series))
		w.groups[r.shape.id] = g
	}
	if !g.gap.known || g.gap.last.before(r.at) {
		var err error
		if g.gap, err = w.gapAt(r); err != nil {
			return nil, err
		}
	}
	if r.at.ms >= g.gap.first.ms {
		return nil, nil
	}
	return g, nil
}

func rowsPerChunk(s *shape) int {
	return max(1, min(maxRows, maxNumbers/max(1, len(s.series))))
}

// gapAt finds the first chunk of the row's shape that ends after the row.
func (w *window) gapAt(r *record) (chunkGap, error) {
	g := chunkGap{known: true, first: floor(math.MaxInt64), last: floor(math.MaxInt64)}
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
	g.first, g.last = floor(h.First), readStamp(it.Key()[len(prefix):])
	return g, nil
}

// finish closes a group: it is kept if it has enough rows, else its rows stay rows.
func (w *window) finish(g *group) {
	if n := g.block.Len(); n >= min(minRows, rowsPerChunk(g.shape)) && n > 0 {
		w.out = append(w.out, g)
		w.sealed += n
		g.fate = packed
	} else {
		g.fate = refused
	}
}

func (w *window) finishAll() {
	for _, g := range w.groups {
		w.finish(g)
	}
	clear(w.groups)
}

// write puts the complete chunks into the batch and takes their rows away. Rows of open groups wait.
func (w *window) write(b *pebble.Batch) error {
	for _, g := range w.out {
		if err := setChunk(b, w.key.tenant, w.key.source, g.shape, &g.block); err != nil {
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
