package physics

import (
	"math"
	"math/rand/v2"
	"time"
)

// drift is a slow random walk that always returns to zero (an Ornstein-Uhlenbeck process): weather, load, ambient temperature.
type drift struct {
	value float64
	tau   time.Duration // after this long it has forgotten where it was
	sigma float64       // its standard deviation in the long run
}

func (d *drift) advance(rng *rand.Rand, dt time.Duration) float64 {
	keep := math.Exp(-dt.Seconds() / d.tau.Seconds())
	d.value = d.value*keep + d.sigma*math.Sqrt(1-keep*keep)*rng.NormFloat64()
	return d.value
}

// approach moves value towards target as a first-order lag with time constant tau; it is exact for any step.
func approach(value, target float64, dt, tau time.Duration) float64 {
	return target + (value-target)*math.Exp(-dt.Seconds()/tau.Seconds())
}

// happens reports whether an event with the given mean number per hour occurs within dt.
func happens(rng *rand.Rand, perHour float64, dt time.Duration) bool {
	return rng.Float64() < 1-math.Exp(-perHour*dt.Hours())
}

func between(rng *rand.Rand, lo, hi float64) float64 { return lo + rng.Float64()*(hi-lo) }

func clamp(v, lo, hi float64) float64 { return math.Min(math.Max(v, lo), hi) }
