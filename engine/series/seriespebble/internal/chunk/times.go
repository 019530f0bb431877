package chunk

import (
	"encoding/binary"
	"slices"
)

// Ways to store the times after the first, which is in the head.
const (
	// timesDelta stores each step as its distance from the median step: best for jitter around a fixed schedule.
	timesDelta = 0
	// timesDelta2 stores each step as its distance from the step before: best for schedules that drift or change.
	timesDelta2 = 1
)

const (
	seqsZero = 0
	seqsList = 1
)

func appendTimes(dst []byte, t []int64) []byte {
	if len(t) == 1 {
		return dst
	}
	at := len(dst)
	median := medianStep(t)
	dst = append(dst, timesDelta)
	dst = binary.AppendVarint(dst, median)
	for i := 1; i < len(t); i++ {
		dst = binary.AppendVarint(dst, t[i]-t[i-1]-median)
	}
	end := len(dst)
	dst = append(dst, timesDelta2)
	var step int64
	for i := 1; i < len(t); i++ {
		dst = binary.AppendVarint(dst, t[i]-t[i-1]-step)
		step = t[i] - t[i-1]
	}
	if len(dst)-end >= end-at {
		return dst[:end]
	}
	return append(dst[:at], dst[end:]...)
}

func medianStep(t []int64) int64 {
	steps := make([]int64, len(t)-1)
	for i := range steps {
		steps[i] = t[i+1] - t[i]
	}
	slices.Sort(steps)
	return steps[len(steps)/2]
}

func (r *reader) times(t []int64, h Head) []int64 {
	at := h.First
	t = append(t, at)
	if h.Count == 1 {
		return t
	}
	var step, base int64
	mode := r.byte()
	switch mode {
	case timesDelta:
		base = r.varint()
	case timesDelta2:
	default:
		r.fail()
	}
	for i := 1; i < h.Count && !r.bad; i++ {
		d := r.varint()
		if mode == timesDelta {
			step = base + d
		} else {
			step += d
		}
		at += step
		t = append(t, at)
	}
	return t
}

func appendSeqs(dst []byte, seqs []uint32) []byte {
	if !slices.ContainsFunc(seqs, func(s uint32) bool { return s != 0 }) {
		return append(dst, seqsZero)
	}
	dst = append(dst, seqsList)
	for _, s := range seqs {
		dst = binary.AppendUvarint(dst, uint64(s))
	}
	return dst
}

func (r *reader) seqs(seqs []uint32, n int) []uint32 {
	mode := r.byte()
	if mode > seqsList {
		r.fail()
	}
	for i := 0; i < n && !r.bad; i++ {
		var s uint64
		if mode == seqsList {
			s = r.uvarint()
		}
		if s > 1<<32-1 {
			r.fail()
		}
		seqs = append(seqs, uint32(s))
	}
	return seqs
}
