package physics

import (
	"math"
	"math/rand/v2"
	"time"
)

const (
	nominalSpeed = 1480.0 // rpm of a four-pole motor under load
	idleSpeed    = 620.0
	spinTau      = 40 * time.Second
)

// Drivetrain is the moving part of a machine: jobs of varying load with pauses between them, a motor that follows, and bearings
// that shake with speed, load and wear.
type Drivetrain struct {
	rng   *rand.Rand
	jobs  drift
	left  time.Duration // until the present job or pause ends
	busy  bool
	base  float64 // load of the present job
	load  float64 // 0 to 1
	speed float64
	wear  float64 // 0 new, 1 due for replacement
}

// NewDrivetrain returns a drivetrain at the start of a job.
func NewDrivetrain(rng *rand.Rand) *Drivetrain {
	return &Drivetrain{rng: rng, jobs: drift{tau: 5 * time.Minute, sigma: 0.05}, speed: idleSpeed, wear: between(rng, 0, 0.35)}
}

// Advance moves the drivetrain forward by dt.
func (d *Drivetrain) Advance(dt time.Duration) {
	if d.left -= dt; d.left <= 0 {
		d.busy = !d.busy
		if d.busy {
			d.left = time.Duration(between(d.rng, 25, 95) * float64(time.Minute))
			d.base = between(d.rng, 0.45, 0.9)
		} else {
			d.left = time.Duration(between(d.rng, 4, 14) * float64(time.Minute))
			d.base = 0
		}
	}
	noise := d.jobs.advance(d.rng, dt)
	d.load, d.wear = 0, clamp(d.wear+dt.Hours()/4000, 0, 1)
	target := idleSpeed
	if d.busy {
		d.load = clamp(d.base+noise, 0.05, 1)
		target = nominalSpeed * (1 - 0.03*d.load) // slip
	}
	d.speed = approach(d.speed, target, dt, spinTau)
}

// Load returns the share of the rated load, 0 to 1.
func (d *Drivetrain) Load() float64 { return d.load }

// Speed returns the measured speed in revolutions per minute.
func (d *Drivetrain) Speed() float64 { return math.Max(0, d.speed+2*d.rng.NormFloat64()) }

// Vibration returns the measured vibration velocity in mm/s RMS (the quantity of ISO 20816). Stress is what the caller knows about the machine's
// distress beyond load: 0 is normal, 1 is the edge of its normal band.
func (d *Drivetrain) Vibration(stress float64) float64 {
	turns := d.speed / nominalSpeed
	v := 0.4 + 1.3*turns*turns + 0.7*d.load + 1.2*d.wear*turns + 1.6*math.Max(0, stress)
	return math.Max(0.05, v*(1+0.05*d.rng.NormFloat64()))
}
