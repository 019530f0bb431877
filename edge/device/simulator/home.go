package simulator

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/isobar-iot/isobar/edge/device/simulator/internal/physics"
	"github.com/isobar-iot/isobar/iot"
)

// The types that a home brings.
const (
	homeType    = "isobar_HomeGateway"
	leakEvent   = "isobar_WaterLeak"
	leakAlarm   = "isobar_WaterLeakAlarm"
	valveEvent  = "isobar_ValveMoved"
	waterSeries = "isobar_WaterFlow"
)

const (
	historyStep  = 10 * time.Minute // between two reports of a home's past
	roomStep     = time.Minute      // the thermostat decides once per step
	batteryEvery = time.Hour
	aliveEvery   = time.Minute
	plumberAfter = 10 * time.Minute // a burst behind a closed valve is repaired
	maxSleep     = time.Hour        // a home that was not stepped for longer (a suspended laptop) does not make up for it
)

// home is a gateway with its four children.
type home struct {
	id       string
	place    place
	zone     *time.Location
	interval time.Duration
	notify   func(kind EventKind, text string)
	operated func(fragment, text string)

	water *physics.Plumbing
	room  *physics.Room

	lived    time.Time // up to here the models have run
	report   time.Time // the next one
	reported time.Time // the last one
	litres   float64   // of the meter at the last report
	battery  time.Time // the next report of the batteries
	alive    time.Time // when the next sign of life is due
	closed   time.Time // since then the valve keeps a leak dry; zero if it does not
	wet      bool      // as told to the server
	asked    []operation
}

// newHome returns the i-th home; meter is the reading from which its water meter goes on, zero for a new one.
func newHome(id string, i int, conf Config, meter float64, rng *rand.Rand) *home {
	h := &home{
		id: id, place: homePlace(i), zone: localZone(), interval: conf.Interval,
		water: physics.NewPlumbing(rng, conf.JamRate, conf.LeakEvery),
		room:  physics.NewRoom(rng),
	}
	h.water.Litres = 40_000 + float64(rng.IntN(350_000))
	if meter > 0 {
		h.water.Litres = meter
	}
	return h
}

func (h *home) leakID() string    { return h.id + "-leak" }
func (h *home) meterID() string   { return h.id + "-water" }
func (h *home) climateID() string { return h.id + "-climate" }
func (h *home) valveID() string   { return h.id + "-valve" }

func (h *home) meter() float64 { return h.water.Litres }

// owns implements body.
func (h *home) owns(id string) bool {
	switch id {
	case h.id, h.leakID(), h.meterID(), h.climateID(), h.valveID():
		return true
	}
	return false
}

func stamp(t time.Time) string { return iot.FormatTime(t) }

// announce implements body.
func (h *home) announce(out *outbox, now time.Time) {
	address := h.place.address()
	out.line("100", "Home "+address, homeType)
	out.line("110", "HG-"+h.id, "Isobar Home Gateway", "2.1")
	out.line(append([]string{"112"}, h.place.fields()...)...)
	out.line("114", restartOperation, commandOperation)
	out.line("115", "home-gateway-os", "4.2.0")
	out.line("117", "10")
	for _, c := range []struct{ id, name, kind, model string }{
		{h.leakID(), "Leak sensor", "isobar_LeakSensor", "LS-1"},
		{h.meterID(), "Water meter", "isobar_WaterMeter", "WM-20"},
		{h.climateID(), "Climate sensor", "isobar_ClimateSensor", "CS-3"},
		{h.valveID(), "Shut-off valve", "isobar_Valve", "SV-34"},
	} {
		out.line("101", c.id, c.name+" "+address, c.kind)
		out.child(c.id, "110", c.id, c.model, "1.0")
	}
	out.child(h.valveID(), "114", relayOperation)
	out.twin(h.valveID(), fmt.Sprintf(`{"c8y_Relay":{"relayState":%q}}`, relayState(h.water.Valve.Open())))
	if h.lived.IsZero() {
		out.child(h.valveID(), "507", "", interrupted)
	}
	if !h.wet {
		out.child(h.leakID(), "306", leakAlarm) // of an earlier run that ended in the wet
	}
}

func relayState(open bool) string {
	if open {
		return "OPEN"
	}
	return "CLOSED"
}

// past implements body. Nothing leaks in the past, because nobody could have acted on it.
func (h *home) past(out *outbox, from, to time.Time) {
	leakEvery := h.water.LeakEvery
	h.water.LeakEvery = 0
	defer func() { h.water.LeakEvery = leakEvery }()
	h.lived, h.reported, h.litres = from, from, h.water.Litres
	for at := from.Add(historyStep); !at.After(to); at = at.Add(historyStep) {
		h.live(out, at)
		h.tell(out, at)
	}
}

// step implements body.
func (h *home) step(out *outbox, now time.Time) time.Time {
	h.live(out, now)
	h.watch(out, now)
	if !now.Before(h.report) {
		h.tell(out, now)
		h.report = now.Add(h.interval)
	}
	if until, moving := h.water.Valve.Moving(); moving && until.Before(h.report) {
		return until
	}
	return h.report
}

// live moves the models to now; the first call is their birth.
func (h *home) live(out *outbox, now time.Time) {
	if h.lived.IsZero() {
		h.lived, h.reported, h.litres = now, now, h.water.Litres
	}
	if now.Sub(h.lived) > maxSleep {
		h.lived = now.Add(-maxSleep)
	}
	for h.lived.Before(now) {
		step := min(roomStep, now.Sub(h.lived))
		h.lived = h.lived.Add(step)
		local := h.lived.In(h.zone)
		if moved, err := h.water.Advance(local, step); moved {
			h.valveStopped(out, h.lived, err)
		}
		h.room.Advance(local, step, h.water.Showering)
	}
}

// tell reports what the sensors read.
func (h *home) tell(out *outbox, now time.Time) {
	at := stamp(now)
	flow := 0.0
	if minutes := now.Sub(h.reported).Minutes(); minutes > 0 {
		flow = (h.water.Litres - h.litres) / minutes
	}
	h.reported, h.litres = now, h.water.Litres
	out.child(h.meterID(), "201", waterSeries, at,
		waterSeries, "flow", number(flow), "l/min",
		waterSeries, "total", number(h.water.Litres), "l")
	out.child(h.climateID(), "200", "c8y_TemperatureMeasurement", "T", number(h.room.Temperature()), "C", at)
	out.child(h.climateID(), "200", "c8y_HumidityMeasurement", "h", number(h.room.Humidity()), "%RH", at)
	if !now.Before(h.alive) { // a sign of life of the gateway itself: what its children send does not count as one
		h.alive = now.Add(aliveEvery)
		out.line("125")
	}
	if !now.Before(h.battery) {
		h.battery = now.Add(batteryEvery)
		level := number(batteryLevel(now))
		out.child(h.leakID(), "212", level, at)
		out.child(h.climateID(), "212", level, at)
	}
}

// batteryLevel falls from 100 to 20 percent over two years, when somebody changes the cell.
func batteryLevel(now time.Time) float64 {
	const life = 2 * 365 * 24 * time.Hour
	age := time.Duration(now.Unix()%int64(life/time.Second)) * time.Second
	return float64(int(100 - 80*age.Hours()/life.Hours()))
}

// watch turns the state of the floor into events and alarms, and lets the plumber in.
func (h *home) watch(out *outbox, now time.Time) {
	at := stamp(now)
	if wet := h.water.Puddle.Wet(); wet != h.wet {
		h.wet = wet
		if wet {
			text := "Water on the floor at " + h.place.address()
			out.child(h.leakID(), "400", leakEvent, text, at)
			out.child(h.leakID(), "301", leakAlarm, text, at)
			h.notify(AlarmRaised, text)
		} else {
			out.child(h.leakID(), "400", leakEvent, "The floor is dry", at)
			out.child(h.leakID(), "306", leakAlarm)
			h.notify(AlarmCleared, "The floor is dry at "+h.place.address())
		}
	}
	switch contained := h.water.Pipe.Kind() != physics.Tight && !h.water.Valve.Open(); {
	case !contained:
		h.closed = time.Time{}
	case h.closed.IsZero():
		h.closed = now
	case now.Sub(h.closed) >= plumberAfter:
		h.repair(out, now)
	}
}

func (h *home) repair(out *outbox, now time.Time) {
	h.water.Pipe.Repair()
	out.line("400", "isobar_PipeRepaired", "The pipe is repaired", stamp(now))
}

// bind connects the home to the device that carries it.
func (h *home) bind(d *device) { h.notify, h.operated = d.notify, d.operated }
