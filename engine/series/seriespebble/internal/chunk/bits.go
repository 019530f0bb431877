package chunk

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// A packed list of integers is a stream of bits, lowest first. Each 64 integers have a head of 7 bits: up to 64 it is the number of bits
// of each integer; above, less 65, it is k of a Rice code: the integer without its k lowest bits in ones ended by a zero, then those bits.
// Rice codes fit what mostly is small, fixed widths what is spread evenly. A count of escapeOnes ones stands for 64 plain bits that follow.
const (
	packRun    = 64
	headBits   = 7
	riceBase   = 65
	maxRice    = 62
	escapeOnes = 24
)

type bitWriter struct {
	b   []byte
	acc uint64
	n   uint // bits in acc, below 8 between calls
}

// put writes the w lowest bits of v, which must have no others.
func (w *bitWriter) put(v uint64, width uint) {
	if width > 32 {
		w.put(v&(1<<32-1), 32)
		v, width = v>>32, width-32
	}
	w.acc |= v << w.n
	for w.n += width; w.n >= 8; w.n -= 8 {
		w.b = append(w.b, byte(w.acc))
		w.acc >>= 8
	}
}

func (w *bitWriter) close() []byte {
	if w.n > 0 {
		w.b = append(w.b, byte(w.acc))
	}
	return w.b
}

// appendPacked appends a list, whose length the reader must know.
func appendPacked(dst []byte, list []uint64) []byte {
	w := bitWriter{b: dst}
	for len(list) > 0 {
		run := list[:min(packRun, len(list))]
		list = list[len(run):]
		head, _ := packing(run)
		w.put(uint64(head), headBits)
		for _, v := range run {
			if head < riceBase {
				w.put(v, head)
			} else {
				w.rice(v, head-riceBase)
			}
		}
	}
	return w.close()
}

func (w *bitWriter) rice(v uint64, k uint) {
	q := v >> k
	if q >= escapeOnes {
		w.put(1<<escapeOnes-1, escapeOnes)
		w.put(v, 64)
		return
	}
	w.put(1<<q-1, uint(q)+1)
	w.put(v&(1<<k-1), k)
}

// packing returns the best head for a run and the number of bits that the run takes without it.
func packing(run []uint64) (head uint, cost int) {
	var all uint64
	var sum float64
	for _, v := range run {
		all |= v
		sum += float64(v)
	}
	head = uint(bits.Len64(all))
	cost = int(head) * len(run)
	if head < 2 {
		return head, cost
	}
	k := max(0, bits.Len64(uint64(min(sum/float64(len(run)), 1<<62)))-1)
	for k := uint(max(0, k-1)); k <= uint(min(k+1, maxRice)); k++ {
		if c := riceCost(run, k, cost); c < cost {
			head, cost = riceBase+k, c
		}
	}
	return head, cost
}

// riceCost returns the bits of a run, or something above limit.
func riceCost(run []uint64, k uint, limit int) int {
	cost := len(run) * int(k+1)
	for _, v := range run {
		if q := v >> k; q < escapeOnes {
			cost += int(q)
		} else {
			cost += escapeOnes + 64 - int(k+1)
		}
		if cost > limit {
			break
		}
	}
	return cost
}

// packedBits estimates the length of a packed list, to within a tenth or so: finding it out takes several times as long.
func packedBits(list []uint64) int {
	total := 0
	for len(list) > 0 {
		run := list[:min(packRun, len(list))]
		list = list[len(run):]
		var all uint64
		var sum float64
		for _, v := range run {
			all |= v
			sum += float64(v)
		}
		width := float64(bits.Len64(all))
		if mean := sum / float64(len(run)); mean >= 1 {
			width = min(width, math.Log2(mean)+1.5)
		}
		total += headBits + int(width*float64(len(run)))
	}
	return total
}

type bitReader struct {
	b   []byte
	pos uint // in bits
}

// peek returns at least the next 57 bits; beyond the end come zeros.
func (r *bitReader) peek() uint64 {
	at := r.pos >> 3
	if at+8 <= uint(len(r.b)) {
		return binary.LittleEndian.Uint64(r.b[at:]) >> (r.pos & 7)
	}
	var tail [8]byte
	if at < uint(len(r.b)) {
		copy(tail[:], r.b[at:])
	}
	return binary.LittleEndian.Uint64(tail[:]) >> (r.pos & 7)
}

func (r *bitReader) get(width uint) uint64 {
	if width > 56 {
		low := r.get(32)
		return low | r.get(width-32)<<32
	}
	v := r.peek() & (1<<width - 1)
	r.pos += width
	return v
}

// packed reads n integers into list.
func (r *reader) packed(list []uint64, n int) []uint64 {
	list = list[:0]
	b := bitReader{b: r.b}
	end := uint(len(r.b)) * 8
	for left := n; left > 0; left -= packRun {
		if b.pos+headBits > end {
			r.fail()
			return list
		}
		head := uint(b.get(headBits))
		run := min(left, packRun)
		switch {
		case head == 0:
			for range run {
				list = append(list, 0)
			}
		case head < riceBase:
			for range run {
				list = append(list, b.get(head))
			}
		case head-riceBase <= maxRice:
			list = b.riceRun(list, run, head-riceBase)
		}
		if b.pos > end {
			r.fail()
			return list
		}
	}
	r.b = r.b[(b.pos+7)/8:]
	return list
}

func (b *bitReader) riceRun(list []uint64, run int, k uint) []uint64 {
	mask := uint64(1)<<k - 1
	for range run {
		v := b.peek()
		q := uint(bits.TrailingZeros64(^v))
		switch {
		case q >= escapeOnes:
			b.pos += escapeOnes
			list = append(list, b.get(64))
		case q+1+k <= 57:
			list = append(list, uint64(q)<<k|v>>(q+1)&mask)
			b.pos += q + 1 + k
		default:
			b.pos += q + 1
			list = append(list, uint64(q)<<k|b.get(k))
		}
	}
	return list
}

func zigzag(v int64) uint64 { return uint64(v<<1) ^ uint64(v>>63) }
