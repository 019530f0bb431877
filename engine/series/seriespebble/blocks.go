package seriespebble

import "github.com/isobar-iot/isobar/engine/series/seriespebble/internal/chunk"

func stampAt(b *chunk.Block, i int) stamp { return stamp{b.Times[i], b.Seqs[i]} }

// mergeBlocks returns the rows of two blocks of one shape in order. No stamp is in both.
func mergeBlocks(x, y *chunk.Block) *chunk.Block {
	out := &chunk.Block{}
	out.Reset(x.Width)
	for i, j := 0, 0; i < x.Len() || j < y.Len(); {
		if j >= y.Len() || i < x.Len() && stampAt(x, i).before(stampAt(y, j)) {
			out.Append(x.Times[i], x.Seqs[i], x.Row(i))
			i++
		} else {
			out.Append(y.Times[j], y.Seqs[j], y.Row(j))
			j++
		}
	}
	return out
}

// cutBlock returns the rows before a stamp and the others, sharing memory with b.
func cutBlock(b *chunk.Block, at stamp) (before, rest *chunk.Block) {
	i := 0
	for i < b.Len() && stampAt(b, i).before(at) {
		i++
	}
	return cutOut(b, 0, i), cutOut(b, i, b.Len())
}

func cutOut(b *chunk.Block, from, to int) *chunk.Block {
	return &chunk.Block{Width: b.Width, Times: b.Times[from:to:to], Seqs: b.Seqs[from:to:to], Vals: b.Vals[from*b.Width : to*b.Width : to*b.Width]}
}

// split cuts a block into parts of at most so many rows: all but the last of that many or, if even, all of about the same number.
func split(b *chunk.Block, rows int, even bool) []*chunk.Block {
	n := b.Len()
	if even {
		parts := (n + rows - 1) / rows
		rows = (n + parts - 1) / parts
	}
	var out []*chunk.Block
	for i := 0; i < n; i += rows {
		out = append(out, cutOut(b, i, min(i+rows, n)))
	}
	return out
}
