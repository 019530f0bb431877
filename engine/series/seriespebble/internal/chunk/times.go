package chunk

import (
	"encoding/binary"
	"slices"
)

// Ways to store the times after the first, which is in the head with the last.
const (
	// timesLine stores each time as its distance from the straight line between the first and the last: best for a schedule with jitter.
	timesLine = 0
	// timesStep stores each step as its distance from the median step: best for a schedule with gaps.
	timesStep = 1
	// timesBend stores each step as its distance from the step before: best for schedules that drift or change.
	timesBend = 2
)

// maxLine bounds the span for timesLine, so that the product of a row's number and the span stays within 63 bits: some 2,200 years.
const maxLine = 1 << 46

const (
	seqsZero = 0
	seqsList = 1
)

func (p *packer) appendTimes(dst []byte, t []int64) []byte {
	n := len(t)
	if n == 1 {
		return dst
	}
	for i := range p.lists {
		p.lists[i] = p.lists[i][:0]
	}
	median, span := medianStep(t), t[n-1]-t[0]
	var low, step int64
	if span < maxLine {
		for i := 1; i < n; i++ {
			low = min(low, t[i]-line(t[0], span, i, n))
		}
	}
	for i := 1; i < n; i++ {
		if span < maxLine {
			p.lists[timesLine] = append(p.lists[timesLine], uint64(t[i]-line(t[0], span, i, n)-low))
		}
		p.lists[timesStep] = append(p.lists[timesStep], zigzag(t[i]-t[i-1]-median))
		p.lists[timesBend] = append(p.lists[timesBend], zigzag(t[i]-t[i-1]-step))
		step = t[i] - t[i-1]
	}
	best, cost := timesStep, packedBits(p.lists[timesStep])
	for _, mode := range []int{timesLine, timesBend} {
		if c := packedBits(p.lists[mode]); c < cost && len(p.lists[mode]) > 0 {
			best, cost = mode, c
		}
	}
	dst = append(dst, byte(best))
	switch best {
	case timesLine:
		dst = binary.AppendVarint(dst, low)
	case timesStep:
		dst = binary.AppendVarint(dst, median)
	}
	return appendPacked(dst, p.lists[best])
}

// line returns the time of row i of n on the straight line from the first to the last.
func line(first, span int64, i, n int) int64 { return first + int64(i)*span/int64(n-1) }

func medianStep(t []int64) int64 {
	steps := make([]int64, len(t)-1)
	for i := range steps {
		steps[i] = t[i+1] - t[i]
	}
	slices.Sort(steps)
	return steps[len(steps)/2]
}

func (r *reader) times(t []int64, h Head) []int64 {
	t = append(t, h.First)
	if h.Count == 1 {
		return t
	}
	var base int64
	mode := r.byte()
	switch mode {
	case timesLine, timesStep:
		base = r.varint()
	case timesBend:
	default:
		r.fail()
	}
	span := h.Last - h.First
	if r.bad || mode == timesLine && (span < 0 || span >= maxLine) {
		r.fail()
		return t
	}
	r.list = r.packed(r.list, h.Count-1)
	at, step := h.First, base
	for i, x := range r.list {
		switch mode {
		case timesLine:
			at = line(h.First, span, i+1, h.Count) + base + int64(x)
		case timesStep:
			at += base + unzigzag(x)
		default:
			step += unzigzag(x)
			at += step
		}
		t = append(t, at)
	}
	return t
}

func (p *packer) appendSeqs(dst []byte, seqs []uint32) []byte {
	if !slices.ContainsFunc(seqs, func(s uint32) bool { return s != 0 }) {
		return append(dst, seqsZero)
	}
	list := p.lists[0][:0]
	for _, s := range seqs {
		list = append(list, uint64(s))
	}
	p.lists[0] = list
	return appendPacked(append(dst, seqsList), list)
}

func (r *reader) seqs(seqs []uint32, n int) []uint32 {
	switch r.byte() {
	case seqsZero:
		for range n {
			seqs = append(seqs, 0)
		}
	case seqsList:
		r.list = r.packed(r.list, n)
		for _, s := range r.list {
			if s > 1<<32-1 {
				r.fail()
			}
			seqs = append(seqs, uint32(s))
		}
	default:
		r.fail()
	}
	return seqs
}
