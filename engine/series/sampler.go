package series

import (
	"math"
	"slices"
)

const (
	// exactValues is how many values of a series in a bucket are kept for exact percentiles.
	exactValues = 16384
	// sketchError is the relative error of percentiles of more values than that, as long as their magnitudes span less than the
	// factor that sketchBins bins cover, about 3,600; each time that they span more, the error doubles.
	sketchError = 0.001
	sketchBins  = 4096
)

// sampler collects the values of one series in one bucket for percentiles: all of them while they are few, else a histogram with bins
// that grow by a constant factor (Masson, Rim, Lee: DDSketch, 2019; collapsed evenly as in Epicoco et al.: UDDSketch, 2020).
// What it returns does not depend on the order of the values.
type sampler struct {
	exact    []float64
	n        int64
	gamma    float64
	zero     int64
	pos, neg map[int32]int64
}

func (s *sampler) add(f float64) {
	s.n++
	if s.pos == nil && len(s.exact) < exactValues {
		s.exact = append(s.exact, f)
		return
	}
	if s.pos == nil {
		s.gamma, s.pos, s.neg = (1+sketchError)/(1-sketchError), map[int32]int64{}, map[int32]int64{}
		for _, v := range s.exact {
			s.bin(v)
		}
		s.exact = s.exact[:0]
	}
	s.bin(f)
}

func (s *sampler) bin(f float64) {
	switch {
	case f > 0:
		s.pos[s.index(f)]++
	case f < 0:
		s.neg[s.index(-f)]++
	default:
		s.zero++
	}
	for len(s.pos)+len(s.neg) > sketchBins {
		s.gamma *= s.gamma
		s.pos, s.neg = halve(s.pos), halve(s.neg)
	}
}

func (s *sampler) index(f float64) int32 { return int32(math.Ceil(math.Log(f) / math.Log(s.gamma))) }

// halve puts two neighbouring bins into one.
func halve(bins map[int32]int64) map[int32]int64 {
	out := make(map[int32]int64, len(bins)/2+1)
	for i, n := range bins {
		out[(i+1)>>1] += n
	}
	return out
}

// percentiles returns the values at some ranks, each from 0 to 100, by linear interpolation between the two nearest values.
func (s *sampler) percentiles(ranks []float64) []float64 {
	out := make([]float64, len(ranks))
	at := s.sorted()
	for i, p := range ranks {
		r := p / 100 * float64(s.n-1)
		low := math.Floor(r)
		a, b := at(int64(low)), at(int64(math.Ceil(r)))
		out[i] = a + (b-a)*(r-low)
	}
	return out
}

// sorted returns a function that tells the value at a position in ascending order.
func (s *sampler) sorted() func(i int64) float64 {
	if s.pos == nil {
		slices.Sort(s.exact)
		return func(i int64) float64 { return s.exact[i] }
	}
	type bin struct {
		value float64
		n     int64
	}
	bins := []bin{{0, s.zero}}
	middle := func(i int32) float64 { return 2 * math.Pow(s.gamma, float64(i)) / (s.gamma + 1) }
	for i, n := range s.pos {
		bins = append(bins, bin{middle(i), n})
	}
	for i, n := range s.neg {
		bins = append(bins, bin{-middle(i), n})
	}
	slices.SortFunc(bins, func(a, b bin) int { return order(a.value, b.value) })
	return func(i int64) float64 {
		for _, b := range bins {
			if i -= b.n; i < 0 {
				return b.value
			}
		}
		return bins[len(bins)-1].value
	}
}

func (s *sampler) reset() { *s = sampler{exact: s.exact[:0]} }
