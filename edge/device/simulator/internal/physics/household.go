package physics

import (
	"math/rand/v2"
	"time"
)

// fixture is one kind of water use: how often on an average day, how strong, how long, and at which hours.
type fixture struct {
	perDay    float64
	litres    [2]float64 // per minute, lowest and highest
	minutes   [2]float64
	weight    [24]float64 // relative frequency per hour of the local day
	humid     bool        // the steam reaches the room
	weightSum float64
}

// The usual curves of a household: nothing from midnight to five, a morning peak, a noon bump, an evening peak.
var (
	morningEvening = [24]float64{5: 1, 6: 6, 7: 8, 8: 3, 9: 1, 17: 1, 18: 2, 19: 3, 20: 4, 21: 3, 22: 1}
	wakingHours    = [24]float64{5: 1, 6: 4, 7: 5, 8: 4, 9: 3, 10: 2, 11: 3, 12: 5, 13: 3, 14: 2, 15: 2, 16: 3, 17: 4, 18: 6, 19: 6, 20: 4, 21: 3, 22: 2}
	applianceHours = [24]float64{8: 1, 9: 2, 10: 2, 11: 1, 13: 1, 14: 1, 19: 2, 20: 2}
)

func fixtures() []fixture {
	all := []fixture{
		{perDay: 2.4, litres: [2]float64{7.5, 10}, minutes: [2]float64{4, 8}, weight: morningEvening, humid: true}, // shower
		{perDay: 34, litres: [2]float64{3, 6}, minutes: [2]float64{0.2, 1.2}, weight: wakingHours},                 // taps
		{perDay: 13, litres: [2]float64{5, 6.5}, minutes: [2]float64{0.9, 1.2}, weight: wakingHours},               // toilet
		{perDay: 1.1, litres: [2]float64{6, 8}, minutes: [2]float64{2, 7}, weight: applianceHours},                 // washing machine, dishwasher
	}
	for i := range all {
		for _, w := range all[i].weight {
			all[i].weightSum += w
		}
	}
	return all
}

// draw is one use of water until its end.
type draw struct {
	left  time.Duration
	rate  float64
	humid bool
}

// maxDraws bounds how many taps can run at once in one home.
const maxDraws = 4

// Household is the demand for water of the people in one home: showers, taps, toilet and appliances at the hours when people
// use them, and nothing at night.
type Household struct {
	rng      *rand.Rand
	fixtures []fixture
	draws    []draw
	busy     float64 // scales all frequencies: 1 is two to three persons
}

// NewHousehold returns a household of a random size.
func NewHousehold(rng *rand.Rand) *Household {
	return &Household{rng: rng, fixtures: fixtures(), busy: between(rng, 0.7, 1.4)}
}

// Advance moves the household forward by dt, which ends at local time now. It returns the demand in litres per minute,
// averaged over the step, and whether somebody takes a shower.
func (h *Household) Advance(now time.Time, dt time.Duration) (demand float64, showering bool) {
	for i := range h.fixtures {
		f := &h.fixtures[i]
		perHour := h.busy * f.perDay * f.weight[now.Hour()] / f.weightSum
		if len(h.draws) < maxDraws && happens(h.rng, perHour, dt) {
			minutes := between(h.rng, f.minutes[0], f.minutes[1])
			h.draws = append(h.draws, draw{
				left:  time.Duration(minutes * float64(time.Minute)),
				rate:  between(h.rng, f.litres[0], f.litres[1]),
				humid: f.humid,
			})
		}
	}
	running := h.draws[:0]
	for _, d := range h.draws {
		share := min(1, d.left.Seconds()/dt.Seconds())
		demand += d.rate * share
		showering = showering || d.humid
		if d.left -= dt; d.left > 0 {
			running = append(running, d)
		}
	}
	h.draws = running
	return demand, showering
}
