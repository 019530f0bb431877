package series

import (
	"cmp"
	"math"

	"github.com/isobar-iot/isobar/iot"
)

// Stamp is the place of a value within its source: Unix milliseconds and the sequence in that millisecond.
type Stamp struct {
	MS  int64
	Seq uint32
}

// Compare orders stamps by time: negative if s is earlier than o.
func (s Stamp) Compare(o Stamp) int {
	return cmp.Or(cmp.Compare(s.MS, o.MS), cmp.Compare(s.Seq, o.Seq))
}

// Stat sums up the values of one series in one bucket. The zero Stat is empty. Values can be added and Stats merged in any order;
// Sum and M2 depend on it by rounding only, the others not at all, except that of equal values with different texts (1 and 1.0) any may
// be shown as Min or Max.
type Stat struct {
	Count           int64
	Min, Max        iot.Number // with the text of the device; zero if Count is zero
	First, Last     iot.Number // in order of time
	Sum             float64
	M2              float64 // sum of the squared deviations from the mean
	MinAt, MaxAt    int64   // Unix milliseconds of the earliest occurrence
	FirstAt, LastAt Stamp
}

// Add adds one value.
func (s *Stat) Add(at Stamp, n iot.Number) {
	f := n.Float()
	if s.Count == 0 {
		*s = Stat{Count: 1, Min: n, Max: n, First: n, Last: n, Sum: f, MinAt: at.MS, MaxAt: at.MS, FirstAt: at, LastAt: at}
		return
	}
	s.extremes(n, at.MS, n, at.MS)
	s.ends(n, at, n, at)
	before := f - s.Sum/float64(s.Count)
	s.Count++
	s.Sum += f
	s.M2 += before * (f - s.Sum/float64(s.Count))
}

// AddRun adds a column of a table: vals[0], vals[width] and so on are its values at rising stamps. It is several times faster than Add.
func (s *Stat) AddRun(ms []int64, seqs []uint32, vals []iot.Number, width int) {
	n := len(ms)
	if n == 0 {
		return
	}
	last := n - 1
	run := Stat{Count: int64(n), First: vals[0], Last: vals[last*width], FirstAt: Stamp{ms[0], seqs[0]}, LastAt: Stamp{ms[last], seqs[last]}}
	scale := vals[0].Scale
	low, high, plain := 0, 0, scale != iot.Float64
	var sum float64
	for i := range n {
		v := &vals[i*width]
		if plain = plain && v.Scale == scale; !plain {
			break
		}
		if v.Mant < vals[low*width].Mant {
			low = i
		} else if v.Mant > vals[high*width].Mant {
			high = i
		}
		sum += float64(v.Mant)
	}
	if !plain {
		for i := range n {
			s.Add(Stamp{ms[i], seqs[i]}, vals[i*width])
		}
		return
	}
	mean := sum / float64(n)
	var squares float64
	for i := range n {
		d := float64(vals[i*width].Mant) - mean
		squares += d * d
	}
	unit := math.Pow10(int(scale)) // dividing by it is exact where multiplying by its inverse is not
	run.Min, run.MinAt, run.Max, run.MaxAt = vals[low*width], ms[low], vals[high*width], ms[high]
	run.Sum, run.M2 = sum/unit, squares/unit/unit
	s.Merge(run)
}

// Merge adds all values of o.
func (s *Stat) Merge(o Stat) {
	if o.Count == 0 {
		return
	}
	if s.Count == 0 {
		*s = o
		return
	}
	s.extremes(o.Min, o.MinAt, o.Max, o.MaxAt)
	s.ends(o.First, o.FirstAt, o.Last, o.LastAt)
	// Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample variances, 1979.
	a, b := float64(s.Count), float64(o.Count)
	d := o.Sum/b - s.Sum/a
	s.M2 += o.M2 + d*d*a*b/(a+b)
	s.Count += o.Count
	s.Sum += o.Sum
}

func (s *Stat) extremes(low iot.Number, lowAt int64, high iot.Number, highAt int64) {
	if c := Compare(low, s.Min); c < 0 || c == 0 && lowAt < s.MinAt {
		s.Min, s.MinAt = low, lowAt
	}
	if c := Compare(high, s.Max); c > 0 || c == 0 && highAt < s.MaxAt {
		s.Max, s.MaxAt = high, highAt
	}
}

func (s *Stat) ends(first iot.Number, firstAt Stamp, last iot.Number, lastAt Stamp) {
	if firstAt.MS > s.LastAt.MS { // the usual case: in order of time
		s.Last, s.LastAt = last, lastAt
		return
	}
	if firstAt.Compare(s.FirstAt) < 0 {
		s.First, s.FirstAt = first, firstAt
	}
	if lastAt.Compare(s.LastAt) > 0 {
		s.Last, s.LastAt = last, lastAt
	}
}

// Avg returns the mean, zero of an empty Stat.
func (s *Stat) Avg() float64 {
	if s.Count == 0 {
		return 0
	}
	return s.Sum / float64(s.Count)
}

// StdDevPop returns the standard deviation of the population, zero of an empty Stat.
func (s *Stat) StdDevPop() float64 {
	if s.Count == 0 {
		return 0
	}
	return math.Sqrt(s.M2 / float64(s.Count))
}

// StdDevSamp returns the standard deviation of the sample; ok is false below two values, where it does not exist.
func (s *Stat) StdDevSamp() (d float64, ok bool) {
	if s.Count < 2 {
		return 0, false
	}
	return math.Sqrt(s.M2 / float64(s.Count-1)), true
}

// Compare orders two numbers by value: negative if a < b. Numbers of one scale are compared exactly, others as float64.
func Compare(a, b iot.Number) int {
	if a.Scale == b.Scale && a.Scale != iot.Float64 {
		return order(a.Mant, b.Mant)
	}
	return order(a.Float(), b.Float())
}

func order[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
