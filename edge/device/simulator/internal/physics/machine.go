package physics

import (
	"math/rand/v2"
	"time"
)

// The band of temperatures, in degrees Celsius, that a Machine keeps while its cooling works.
const (
	MachineColdest = 12.0
	MachineHottest = 82.0
)

const (
	coilTau      = 22 * time.Minute
	loadRise     = 48.0           // K at full load with working cooling
	faultEvery   = 30 * time.Hour // mean time between failures of the fan, in machine time
	faultLasts   = 2 * time.Hour
	faultCooling = 0.32
)

// Machine is an industrial machine without a recording: a drivetrain whose losses heat it and a fan that cools it until it fails.
type Machine struct {
	*Drivetrain
	rng     *rand.Rand
	ambient drift
	temp    float64
	faulty  time.Duration // left of the present failure
}

// NewMachine returns a machine at rest in a hall.
func NewMachine(rng *rand.Rand) *Machine {
	return &Machine{Drivetrain: NewDrivetrain(rng), rng: rng, ambient: drift{tau: 8 * time.Hour, sigma: 1.5}, temp: 34}
}

// Fail stops the fan until Repair or until somebody has replaced the fuse two hours later.
func (m *Machine) Fail() { m.faulty = faultLasts }

// Repair brings the fan back.
func (m *Machine) Repair() { m.faulty = 0 }

// Faulty reports whether the fan stands still.
func (m *Machine) Faulty() bool { return m.faulty > 0 }

// Advance moves the machine forward by dt.
func (m *Machine) Advance(dt time.Duration) {
	m.Drivetrain.Advance(dt)
	m.faulty = max(0, m.faulty-dt)
	if m.faulty == 0 && happens(m.rng, 1/faultEvery.Hours(), dt) {
		m.Fail()
	}
	cooling := 1.0
	if m.Faulty() {
		cooling = faultCooling
	}
	hall := 23 + clamp(m.ambient.advance(m.rng, dt), -6, 6)
	m.temp = approach(m.temp, hall+(6+loadRise*m.Load())/cooling, dt, coilTau)
}

// Temperature returns what the sensor on the coil reads, in degrees Celsius.
func (m *Machine) Temperature() float64 { return m.temp + 0.2*m.rng.NormFloat64() }
