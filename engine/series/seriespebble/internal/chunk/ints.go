package chunk

import "encoding/binary"

// A column of integers is stored as its first value, the greatest common divisor of the distances from it, and the quotients in one of
// three ways: as they are less the smallest, as steps, or as changes of the step. All arithmetic wraps around, so any values fit.
const (
	plainInts = 0
	stepInts  = 1
	bendInts  = 2
)

// packer is memory for the encoding of columns; it is reused from one column to the next.
type packer struct {
	ints  []int64
	lists [3][]uint64
}

func (p *packer) appendInts(dst []byte, v []int64) []byte {
	g := divisor(v)
	dst = binary.AppendVarint(dst, v[0])
	dst = binary.AppendUvarint(dst, uint64(g))
	for i := range p.lists {
		p.lists[i] = p.lists[i][:0]
	}
	var low, last, step int64
	for _, x := range v {
		low = min(low, (x-v[0])/g)
	}
	for i, x := range v {
		u := (x - v[0]) / g
		p.lists[plainInts] = append(p.lists[plainInts], uint64(u-low))
		if i > 0 {
			p.lists[stepInts] = append(p.lists[stepInts], zigzag(u-last))
			p.lists[bendInts] = append(p.lists[bendInts], zigzag(u-last-step))
			step = u - last
		}
		last = u
	}
	best, cost := 0, 0
	for i := range p.lists {
		if c := packedBits(p.lists[i]); i == 0 || c < cost {
			best, cost = i, c
		}
	}
	dst = append(dst, byte(best))
	if best == plainInts {
		dst = binary.AppendVarint(dst, low)
	}
	return appendPacked(dst, p.lists[best])
}

// divisor returns the greatest common divisor of the distances from the first value, at least 1.
func divisor(v []int64) int64 {
	var g uint64
	for _, x := range v[1:] {
		d := x - v[0]
		if (d < 0) != (x < v[0]) { // it wrapped around
			return 1
		}
		a, b := g, uint64(max(d, -d))
		for b != 0 {
			a, b = b, a%b
		}
		if g = a; g == 1 {
			return 1
		}
	}
	if g > 1<<62 {
		return 1
	}
	return int64(max(1, g))
}

// ints reads n values into list.
func (r *reader) ints(list []int64, n int) []int64 {
	first, g := r.varint(), int64(r.uvarint())
	list = list[:0]
	var low int64
	mode := r.byte()
	count := n - 1
	switch mode {
	case plainInts:
		low, count = r.varint(), n
	case stepInts, bendInts:
		list = append(list, first)
	default:
		r.fail()
	}
	if r.bad || g < 1 {
		r.fail()
		return list
	}
	r.list = r.packed(r.list, count)
	var u, step int64
	for _, x := range r.list {
		switch mode {
		case plainInts:
			u = int64(x) + low
		case stepInts:
			u += unzigzag(x)
		default:
			step += unzigzag(x)
			u += step
		}
		list = append(list, first+g*u)
	}
	return list
}
