// Package chunk packs many measurements of one shape into one value and back: times as distances from a schedule, numbers as
// decimal-scaled steps, both in as few bits as they need.
//
// A chunk holds the rows of one (source, shape), ordered by time, then sequence. Its statistics per column can be read without
// unpacking the columns. Version 2 is written; version 1, whose statistics lack times and ends, is still read. A CRC-32C covers the whole chunk together with the key under which it is stored, so that damage and
// misplacement are found before anything is believed. The package does no I/O; its functions may be used concurrently on
// different Blocks.
package chunk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
)

// Block is an unpacked chunk. It can be reused for the next Decode.
type Block struct {
	Width int // numbers per row
	Times []int64
	Seqs  []uint32
	Vals  []iot.Number // row after row

	scratch scratch
}

// Len returns the number of rows.
func (b *Block) Len() int { return len(b.Times) }

// Row returns the numbers of one row; the slice aliases the Block.
func (b *Block) Row(i int) []iot.Number { return b.Vals[i*b.Width : (i+1)*b.Width : (i+1)*b.Width] }

// Append adds a row. nums must have Width numbers.
func (b *Block) Append(ms int64, seq uint32, nums []iot.Number) {
	b.Times = append(b.Times, ms)
	b.Seqs = append(b.Seqs, seq)
	b.Vals = append(b.Vals, nums...)
}

// Reset empties the block for rows of a width, keeping its memory.
func (b *Block) Reset(width int) {
	b.Width, b.Times, b.Seqs, b.Vals = width, b.Times[:0], b.Seqs[:0], b.Vals[:0]
}

// Head is what a chunk says about itself.
type Head struct {
	Count       int
	First, Last int64 // Unix milliseconds of the first and last row
	// Complete says that the statistics have all of a Stat, not only count, minimum, maximum, sum and deviation.
	Complete bool

	firstSeq, lastSeq uint32
}

const (
	version  = 2
	crcBytes = 4
	minBytes = 1 + crcBytes + 4
	minStat  = 3  // bytes of the statistics of a column
	minStat1 = 20 // in version 1
	// maxNumbers bounds what a chunk of more than one row unpacks to.
	maxNumbers = 1 << 20
	// MaxRows is the largest number of rows of a chunk.
	MaxRows = 1 << 16
)

// Forms of the statistics of a column.
const (
	statFull     = 0
	statConstant = 1 // one number, all rows
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrDamaged is wrapped by all errors of this package.
var ErrDamaged = errors.New("damaged chunk")

func damaged(what string) error { return fmt.Errorf("%w: %s", ErrDamaged, what) }

// Encode appends the packed form of b, which must not be empty, bound to its key.
func Encode(dst, key []byte, b *Block) []byte {
	at := len(dst)
	dst = append(dst, version, 0, 0, 0, 0)
	n := b.Len()
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = binary.AppendUvarint(dst, uint64(b.Width))
	dst = binary.AppendVarint(dst, b.Times[0])
	dst = binary.AppendUvarint(dst, uint64(b.Times[n-1]-b.Times[0]))
	dst = binary.AppendUvarint(dst, uint64(b.Seqs[0]))
	dst = binary.AppendUvarint(dst, uint64(b.Seqs[n-1]))
	col := make([]iot.Number, n)
	for c := range b.Width {
		dst = appendStat(dst, b, b.column(col, c))
	}
	var p packer
	dst = p.appendTimes(dst, b.Times)
	dst = p.appendSeqs(dst, b.Seqs)
	for c := range b.Width {
		if b.column(col, c); !constant(col) {
			dst = p.appendColumn(dst, col)
		}
	}
	binary.LittleEndian.PutUint32(dst[at+1:], sum(key, dst[at+1+crcBytes:]))
	return dst
}

func (b *Block) column(col []iot.Number, c int) []iot.Number {
	for i := range col {
		col[i] = b.Vals[i*b.Width+c]
	}
	return col
}

func sum(key, payload []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, key), castagnoli, payload)
}

// open verifies the chunk and reads its head.
func open(key, value []byte) (r reader, h Head, width int, err error) {
	if len(value) < minBytes || value[0] != version && value[0] != 1 {
		return r, h, 0, damaged("unknown version or cut short")
	}
	payload := value[1+crcBytes:]
	if binary.LittleEndian.Uint32(value[1:]) != sum(key, payload) {
		return r, h, 0, damaged("checksum does not match")
	}
	r = reader{b: payload, version: value[0]}
	n, w := r.uvarint(), r.uvarint()
	h.First = r.varint()
	h.Last = h.First + int64(r.uvarint())
	// A forged count must not exhaust memory. In version 1 every row and every column takes some bytes, later every column does.
	fits := n <= MaxRows && w <= series.MaxSamples
	if r.version == 1 {
		fits = fits && int(n-1)+minStat1*int(w) <= len(r.b)
	} else {
		h.firstSeq, h.lastSeq, h.Complete = uint32(r.uvarint()), uint32(r.uvarint()), true
		fits = fits && (n <= 1 || n*w <= maxNumbers) && minStat*int(w) <= len(r.b)
	}
	if r.bad || n == 0 || !fits || h.Last < h.First {
		return r, h, 0, damaged("impossible head")
	}
	h.Count = int(n)
	return r, h, int(w), nil
}

// ReadHead verifies a chunk and returns its head.
func ReadHead(key, value []byte) (Head, error) {
	_, h, _, err := open(key, value)
	return h, err
}

// ReadStats verifies a chunk and returns its head and the statistics of its columns, appended to stats.
func ReadStats(stats []series.Stat, key, value []byte) (Head, []series.Stat, error) {
	r, h, width, err := open(key, value)
	for i := 0; i < width && err == nil; i++ {
		stats = append(stats, r.stat(h))
		if r.bad {
			err = damaged("statistics")
		}
	}
	return h, stats, err
}

// Decode verifies a chunk and unpacks it into b, replacing what b held. The chunk must have width numbers per row.
func Decode(b *Block, width int, key, value []byte) error {
	r, h, w, err := open(key, value)
	if err != nil {
		return err
	}
	if w != width {
		return damaged("not of its shape")
	}
	r.scratch = b.scratch
	b.Width = w
	b.Vals = resize(b.Vals, h.Count*w)
	if r.version == 1 {
		decode1(b, &r, h)
	} else {
		decode2(b, &r, h)
	}
	b.scratch = r.scratch
	if r.bad || len(r.b) != 0 || len(b.Times) != h.Count || len(b.Seqs) != h.Count {
		return damaged("content")
	}
	return ordered(b, h)
}

func decode1(b *Block, r *reader, h Head) {
	for range b.Width {
		r.stat1(h)
	}
	b.Times = r.times1(b.Times[:0], h)
	b.Seqs = r.seqs1(b.Seqs[:0], h.Count)
	for c := range b.Width {
		r.column1(b.Vals, c, b.Width)
	}
}

// decode2 first lays out the constant columns, which are known from their statistics.
func decode2(b *Block, r *reader, h Head) {
	open := make([]bool, 0, 64)
	for c := range b.Width {
		same := len(r.b) > 0 && r.b[0] == statConstant
		if s := r.stat(h); same && !r.bad {
			fill(b.Vals, c, b.Width, s.Min)
		}
		open = append(open, !same)
	}
	b.Times = r.times(b.Times[:0], h)
	b.Seqs = r.seqs(b.Seqs[:0], h.Count)
	for c := range b.Width {
		if open[c] && !r.bad {
			r.column(b.Vals, c, b.Width)
		}
	}
}

func ordered(b *Block, h Head) error {
	if b.Times[0] != h.First || b.Times[h.Count-1] != h.Last {
		return damaged("times do not match the head")
	}
	if h.Complete && (b.Seqs[0] != h.firstSeq || b.Seqs[h.Count-1] != h.lastSeq) {
		return damaged("sequences do not match the head")
	}
	for i := 1; i < len(b.Times); i++ {
		if b.Times[i] < b.Times[i-1] || b.Times[i] == b.Times[i-1] && b.Seqs[i] <= b.Seqs[i-1] {
			return damaged("times out of order")
		}
	}
	return nil
}

func resize(v []iot.Number, n int) []iot.Number {
	if cap(v) < n {
		return make([]iot.Number, n)
	}
	return v[:n]
}

func constant(col []iot.Number) bool {
	for _, n := range col {
		if n != col[0] {
			return false
		}
	}
	return true
}

func appendStat(dst []byte, b *Block, col []iot.Number) []byte {
	if constant(col) {
		return AppendNumber(append(dst, statConstant), col[0])
	}
	var s series.Stat
	for i, n := range col {
		s.Add(series.Stamp{MS: b.Times[i], Seq: b.Seqs[i]}, n)
	}
	dst = append(dst, statFull)
	for _, n := range []iot.Number{s.Min, s.Max, s.First, s.Last} {
		dst = AppendNumber(dst, n)
	}
	dst = binary.AppendUvarint(dst, uint64(s.MinAt-b.Times[0]))
	dst = binary.AppendUvarint(dst, uint64(s.MaxAt-b.Times[0]))
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(s.Sum))
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(s.M2))
}
