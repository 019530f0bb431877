package series

import (
	"math"

	"github.com/isobar-iot/isobar/iot"
)

// Stat sums up the values of one series in one bucket. The zero Stat is empty. Values can be added and Stats merged in any order;
// Min, Max and Count do not depend on it, the others only by rounding.
type Stat struct {
	Count    int64
	Min, Max iot.Number // with the text of the device; zero if Count is zero
	Sum      float64
	M2       float64 // sum of the squared deviations from the mean
}

// Add adds one value.
func (s *Stat) Add(n iot.Number) {
	f := n.Float()
	if s.Count == 0 {
		*s = Stat{Count: 1, Min: n, Max: n, Sum: f}
		return
	}
	if Compare(n, s.Min) < 0 {
		s.Min = n
	} else if Compare(n, s.Max) > 0 {
		s.Max = n
	}
	before := f - s.Sum/float64(s.Count)
	s.Count++
	s.Sum += f
	s.M2 += before * (f - s.Sum/float64(s.Count))
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
	if Compare(o.Min, s.Min) < 0 {
		s.Min = o.Min
	}
	if Compare(o.Max, s.Max) > 0 {
		s.Max = o.Max
	}
	// Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample variances, 1979.
	a, b := float64(s.Count), float64(o.Count)
	d := o.Sum/b - s.Sum/a
	s.M2 += o.M2 + d*d*a*b/(a+b)
	s.Count += o.Count
	s.Sum += o.Sum
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
