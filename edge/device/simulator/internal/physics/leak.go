package physics

import (
	"math/rand/v2"
	"time"
)

// LeakKind tells how a pipe leaks.
type LeakKind uint8

// The kinds of leak. A Drip loses less water than evaporates, so that only the meter at night can tell; a Burst floods the floor.
const (
	Tight LeakKind = iota
	Drip
	Burst
)

// String returns the word for a person.
func (k LeakKind) String() string { return [...]string{"tight", "dripping", "burst"}[k] }

// Pipe is the piping behind the valve, which may leak.
type Pipe struct {
	rng  *rand.Rand
	kind LeakKind
	rate float64 // litres per minute under pressure
}

// NewPipe returns a tight pipe.
func NewPipe(rng *rand.Rand) *Pipe { return &Pipe{rng: rng} }

// Kind returns how the pipe leaks now.
func (p *Pipe) Kind() LeakKind { return p.kind }

// Leak returns what the pipe loses under pressure, in litres per minute.
func (p *Pipe) Leak() float64 { return p.rate }

// Break makes the pipe leak in the given way.
func (p *Pipe) Break(kind LeakKind) {
	p.kind = kind
	switch kind {
	case Drip:
		p.rate = between(p.rng, 0.04, 0.12)
	case Burst:
		p.rate = between(p.rng, 3.5, 8)
	default:
		p.rate = 0
	}
}

// Repair makes the pipe tight.
func (p *Pipe) Repair() { p.Break(Tight) }

// Age lets a tight pipe break by itself: on average once per mean; every third leak is a drip. Zero mean never breaks it.
func (p *Pipe) Age(dt, mean time.Duration) {
	if p.kind != Tight || mean <= 0 || !happens(p.rng, 1/mean.Hours(), dt) {
		return
	}
	if p.rng.IntN(3) == 0 {
		p.Break(Drip)
	} else {
		p.Break(Burst)
	}
}

const (
	drainPerMinute = 150.0 // ml that evaporate or run off; more than a Drip brings
	puddleMax      = 450.0 // ml; beyond that the water runs elsewhere
	wetAbove       = 30.0  // ml under the sensor's contacts
	dryBelow       = 5.0
)

// Puddle is the water on the floor under the leak sensor.
type Puddle struct {
	millilitres float64
	wet         bool
}

// Advance adds what leaked during dt, in litres per minute, and lets the floor dry.
func (p *Puddle) Advance(leak float64, dt time.Duration) {
	p.millilitres = clamp(p.millilitres+(leak*1000-drainPerMinute)*dt.Minutes(), 0, puddleMax)
	switch {
	case p.millilitres > wetAbove:
		p.wet = true
	case p.millilitres < dryBelow:
		p.wet = false
	}
}

// Wet reports what the sensor sees; between its two thresholds it keeps its last verdict.
func (p *Puddle) Wet() bool { return p.wet }
