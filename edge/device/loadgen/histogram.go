package loadgen

import (
	"math/bits"
	"time"
)

const (
	subBuckets = 64 // for each power of two: a value is known to 1.6 %
	buckets    = 40 * subBuckets
)

// Histogram counts durations in buckets that grow by powers of two, each divided by 64; what it returns is at most 1.6 % too high.
// Its size is fixed. The zero value is empty. It is not safe for concurrent use: every goroutine has its own, merged at the end.
type Histogram struct {
	count [buckets]uint32
	n     uint64
}

func bucketOf(d time.Duration) int {
	v := uint64(max(d, 0)) >> 6 // 64 ns are exact enough
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - 7
	return min((shift+1)*subBuckets+int(v>>shift)-subBuckets, buckets-1)
}

func topOf(bucket int) time.Duration {
	if bucket < subBuckets {
		return time.Duration(bucket+1) << 6
	}
	shift := bucket/subBuckets - 1
	return time.Duration(uint64(bucket%subBuckets+subBuckets+1)<<shift) << 6
}

// Add counts one duration. Negative ones count as zero.
func (h *Histogram) Add(d time.Duration) {
	h.count[bucketOf(d)]++
	h.n++
}

// Merge adds what the other one counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.count {
		h.count[i] += n
	}
	h.n += o.n
}

// Count returns how many durations were added.
func (h *Histogram) Count() uint64 { return h.n }

// Quantile returns the duration that the share p (0 to 1) of all did not exceed; zero if nothing was added.
func (h *Histogram) Quantile(p float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	want := max(uint64(p*float64(h.n)+0.5), 1)
	var seen uint64
	for i, n := range h.count {
		if seen += uint64(n); seen >= want {
			return topOf(i)
		}
	}
	return topOf(buckets - 1)
}
