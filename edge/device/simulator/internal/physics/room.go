package physics

import (
	"math"
	"math/rand/v2"
	"time"
)

const (
	wallTau     = 9 * time.Hour    // time constant of the building
	heaterTau   = 20 * time.Minute // the radiator's own lag
	heaterRise  = 34.0             // K above outdoors that full heating would reach
	hysteresis  = 0.4              // K around the set point
	airTau      = 100 * time.Minute
	dayTarget   = 21.3 // degrees Celsius
	nightTarget = 18.4
)

// Room is the air of a home: it loses heat to the weather, is heated by a thermostat with hysteresis, exchanges air with the
// outdoors and gains moisture from people and showers.
type Room struct {
	rng     *rand.Rand
	weather drift
	people  drift
	target  float64 // offset of this home's set point
	heating bool
	heater  float64 // 0 to 1, lagging behind heating
	vapour  float64 // g of water per cubic metre of air
	temp    float64
}

// NewRoom returns a room at its set point.
func NewRoom(rng *rand.Rand) *Room {
	r := &Room{
		rng:     rng,
		weather: drift{tau: 14 * time.Hour, sigma: 2.5},
		people:  drift{tau: 3 * time.Hour, sigma: 0.7},
		target:  between(rng, -0.8, 0.8),
		heater:  0.5,
	}
	r.temp = dayTarget + r.target
	r.vapour = 0.45 * saturation(r.temp)
	return r
}

// Outdoor returns the temperature outside at a local time without the weather of the day: the year and the hour of a town
// in central Europe.
func Outdoor(now time.Time) float64 {
	year := 10.2 - 9.4*math.Cos(2*math.Pi*(float64(now.YearDay())-20)/365)
	hour := float64(now.Hour()) + float64(now.Minute())/60
	return year + 3.8*math.Cos(2*math.Pi*(hour-15)/24)
}

// Advance moves the room forward by dt, which ends at local time now.
func (r *Room) Advance(now time.Time, dt time.Duration, showering bool) {
	outdoor := Outdoor(now) + r.weather.advance(r.rng, dt)
	target := nightTarget + r.target
	if now.Hour() >= 6 && now.Hour() < 22 {
		target = dayTarget + r.target
	}
	switch {
	case r.temp < target-hysteresis:
		r.heating = true
	case r.temp > target+hysteresis:
		r.heating = false
	}
	power := 0.0
	if r.heating {
		power = 1
	}
	r.heater = approach(r.heater, power, dt, heaterTau)
	// 1.5 K: people, lamps and the sun warm a home even without heating.
	r.temp = approach(r.temp, outdoor+1.5+heaterRise*r.heater, dt, wallTau)

	source := 2.2 + r.people.advance(r.rng, dt) // g per cubic metre above outdoors: breathing, cooking, plants
	if showering {
		source += 14
	}
	outside := 0.78 * saturation(outdoor)
	r.vapour = approach(r.vapour, outside+math.Max(source, 0.5), dt, airTau)
	r.vapour = math.Min(r.vapour, 0.97*saturation(r.temp))
}

// Temperature returns what the sensor reads, in degrees Celsius.
func (r *Room) Temperature() float64 { return r.temp + 0.04*r.rng.NormFloat64() }

// Humidity returns the relative humidity that the sensor reads, in percent.
func (r *Room) Humidity() float64 {
	return clamp(100*r.vapour/saturation(r.temp)+0.3*r.rng.NormFloat64(), 5, 99)
}

// saturation returns the most water that air of a temperature holds, in grams per cubic metre (Magnus formula).
func saturation(celsius float64) float64 {
	pressure := 6.112 * math.Exp(17.62*celsius/(243.12+celsius)) // hPa over water
	return 216.7 * pressure / (273.15 + celsius)
}
