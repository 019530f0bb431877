package physics

import (
	"errors"
	"math/rand/v2"
	"time"
)

// ErrJammed is the outcome of a move that the valve did not finish.
var ErrJammed = errors.New("valve jammed: the motor stalled before the end position")

// Valve is the motor valve in the main pipe. It takes one to two seconds to move.
type Valve struct {
	rng     *rand.Rand
	jamRate float64
	opening float64 // 0 closed, 1 open
	moving  bool
	target  float64
	from    float64
	began   time.Time
	until   time.Time
	jams    bool
}

// NewValve returns an open valve that jams in the given share of its moves, 0 to 1.
func NewValve(rng *rand.Rand, jamRate float64) *Valve {
	return &Valve{rng: rng, jamRate: jamRate, opening: 1}
}

// Opening returns how far the valve is open, 0 to 1.
func (v *Valve) Opening() float64 { return v.opening }

// Open reports whether water can pass.
func (v *Valve) Open() bool { return v.opening > 0 }

// Moving reports whether the motor runs, and until when.
func (v *Valve) Moving() (until time.Time, moving bool) { return v.until, v.moving }

// Move starts the motor towards open or closed. It replaces a move that is still under way.
func (v *Valve) Move(open bool, now time.Time) {
	v.target = 0
	if open {
		v.target = 1
	}
	v.moving, v.from, v.began = true, v.opening, now
	v.until = now.Add(time.Duration(between(v.rng, 1, 2) * float64(time.Second)))
	v.jams = v.rng.Float64() < v.jamRate
}

// Advance moves the valve to where it is at now. When a move ends it returns done, and ErrJammed if the valve did not get there:
// it then goes back to where it came from, as a valve with an end-position switch does.
func (v *Valve) Advance(now time.Time) (done bool, err error) {
	if !v.moving {
		return false, nil
	}
	if now.Before(v.until) {
		part := clamp(float64(now.Sub(v.began))/float64(v.until.Sub(v.began)), 0, 1)
		v.opening = v.from + (v.target-v.from)*part
		return false, nil
	}
	v.moving = false
	if v.jams {
		v.opening = v.from
		return true, ErrJammed
	}
	v.opening = v.target
	return true, nil
}
