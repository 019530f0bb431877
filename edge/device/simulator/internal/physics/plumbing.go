package physics

import (
	"math/rand/v2"
	"time"
)

// maxSubstep bounds the step of the models of a home, so that short draws of water are not lost in a long step.
const maxSubstep = 10 * time.Second

// Plumbing is the water side of one home: people who draw water, a pipe that may leak, a valve in front of both, a meter in
// the main pipe, and the floor under the leak sensor.
type Plumbing struct {
	Household *Household
	Pipe      *Pipe
	Valve     *Valve
	Puddle    Puddle
	LeakEvery time.Duration // mean time between leaks that nobody ordered; zero means never
	Litres    float64       // what the meter counted since it was built
	Showering bool
}

// NewPlumbing returns the plumbing of a home with an open valve and tight pipes.
func NewPlumbing(rng *rand.Rand, jamRate float64, leakEvery time.Duration) *Plumbing {
	return &Plumbing{
		Household: NewHousehold(rng),
		Pipe:      NewPipe(rng),
		Valve:     NewValve(rng, jamRate),
		LeakEvery: leakEvery,
	}
}

// Advance moves the water forward by dt, which ends at local time now. A finished move of the valve is reported as by Valve.Advance.
func (p *Plumbing) Advance(now time.Time, dt time.Duration) (moved bool, err error) {
	for at := now.Add(-dt); at.Before(now); {
		step := min(maxSubstep, now.Sub(at))
		at = at.Add(step)
		if done, e := p.Valve.Advance(at); done {
			moved, err = true, e
		}
		p.Pipe.Age(step, p.LeakEvery)
		demand, showering := p.Household.Advance(at, step)
		open := p.Valve.Opening()
		leak := p.Pipe.Leak() * open
		p.Showering = showering && open > 0
		p.Litres += (demand*open + leak) * step.Minutes()
		p.Puddle.Advance(leak, step)
	}
	return moved, err
}
