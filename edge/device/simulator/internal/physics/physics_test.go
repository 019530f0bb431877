package physics

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

var winter = time.Date(2026, 1, 12, 0, 0, 0, 0, time.UTC)

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

func TestHouseholdUsesWaterByDayAndNoneAtNight(t *testing.T) {
	for seed := range uint64(20) {
		h := NewHousehold(source(seed))
		var day, night float64
		const step = 10 * time.Second
		for at := winter; at.Before(winter.AddDate(0, 0, 7)); at = at.Add(step) {
			demand, _ := h.Advance(at, step)
			if demand < 0 || demand > 45 {
				t.Fatalf("seed %d: demand of %v l/min at %v", seed, demand, at)
			}
			if at.Hour() >= 1 && at.Hour() < 5 {
				night += demand * step.Minutes()
			} else {
				day += demand * step.Minutes()
			}
		}
		if night != 0 {
			t.Errorf("seed %d: %v l drawn between one and five at night", seed, night)
		}
		if perDay := day / 7; perDay < 80 || perDay > 700 {
			t.Errorf("seed %d: %v l per day is no household", seed, perDay)
		}
	}
}

func TestSameSeedGivesTheSameWorld(t *testing.T) {
	run := func() float64 {
		p := NewPlumbing(source(3), 0.2, time.Hour)
		for at := winter; at.Before(winter.Add(24 * time.Hour)); at = at.Add(time.Minute) {
			p.Advance(at, time.Minute)
		}
		return p.Litres
	}
	if a, b := run(), run(); a != b {
		t.Errorf("two runs counted %v and %v litres", a, b)
	}
}

func TestBurstIsDetectedAndClosingTheValveDriesTheFloor(t *testing.T) {
	p := NewPlumbing(source(1), 0, 0)
	at := winter.Add(2 * time.Hour) // at night nobody draws water
	step := func(d time.Duration) {
		for range int(d / time.Second) {
			at = at.Add(time.Second)
			p.Advance(at, time.Second)
		}
	}
	step(time.Minute)
	if p.Puddle.Wet() || p.Litres != 0 {
		t.Fatalf("a tight pipe: wet %v, %v l", p.Puddle.Wet(), p.Litres)
	}
	p.Pipe.Break(Burst)
	step(30 * time.Second)
	if !p.Puddle.Wet() || p.Litres < 1 {
		t.Fatalf("after 30 s of a burst: wet %v, %v l", p.Puddle.Wet(), p.Litres)
	}
	p.Valve.Move(false, at)
	step(3 * time.Second)
	if p.Valve.Open() {
		t.Fatal("the valve is open three seconds after it was told to close")
	}
	before := p.Litres
	step(5 * time.Minute)
	if p.Litres != before {
		t.Errorf("%v l passed a closed valve", p.Litres-before)
	}
	if p.Puddle.Wet() {
		t.Error("the floor is wet five minutes after the valve closed")
	}
	p.Valve.Move(true, at)
	step(time.Minute)
	if !p.Puddle.Wet() {
		t.Error("a pipe that nobody repaired does not leak after reopening")
	}
}

func TestDripShowsOnlyAtTheMeter(t *testing.T) {
	p := NewPlumbing(source(1), 0, 0)
	p.Pipe.Break(Drip)
	for at := winter.Add(time.Hour); at.Before(winter.Add(4 * time.Hour)); at = at.Add(time.Minute) {
		p.Advance(at, time.Minute)
	}
	if p.Puddle.Wet() {
		t.Error("a drip made the sensor wet")
	}
	if p.Litres < 5 || p.Litres > 30 {
		t.Errorf("a drip of three hours counted %v l", p.Litres)
	}
}

func TestPipeBreaksByItself(t *testing.T) {
	p := NewPipe(source(5))
	p.Age(1000*time.Hour, 0)
	if p.Kind() != Tight {
		t.Fatal("a pipe broke although it never should")
	}
	leaks := 0
	for range 1000 {
		if p.Age(time.Hour, 10*time.Hour); p.Kind() != Tight {
			leaks++
			p.Repair()
		}
	}
	if leaks < 60 || leaks > 140 {
		t.Errorf("%d leaks in 1000 hours at one per ten", leaks)
	}
}

func TestValve(t *testing.T) {
	t.Run("takes one to two seconds", func(t *testing.T) {
		v := NewValve(source(2), 0)
		v.Move(false, winter)
		until, moving := v.Moving()
		if took := until.Sub(winter); !moving || took < time.Second || took > 2*time.Second {
			t.Fatalf("moving %v for %v", moving, took)
		}
		if done, _ := v.Advance(winter.Add(500 * time.Millisecond)); done || v.Opening() <= 0 || v.Opening() >= 1 {
			t.Errorf("half a second in: done %v, opening %v", done, v.Opening())
		}
		if done, err := v.Advance(until); !done || err != nil || v.Open() {
			t.Errorf("at the end: done %v, err %v, open %v", done, err, v.Open())
		}
		if done, _ := v.Advance(until.Add(time.Hour)); done {
			t.Error("a resting valve reported a move")
		}
	})
	t.Run("jams and stays where it was", func(t *testing.T) {
		v := NewValve(source(2), 1)
		v.Move(false, winter)
		done, err := v.Advance(winter.Add(5 * time.Second))
		if !done || !errors.Is(err, ErrJammed) || v.Opening() != 1 {
			t.Errorf("done %v, err %v, opening %v", done, err, v.Opening())
		}
	})
}

func TestRoomStaysHabitable(t *testing.T) {
	for _, start := range []time.Time{winter, winter.AddDate(0, 6, 0)} {
		r := NewRoom(source(4))
		heated := false
		lo, hi := 100.0, -100.0
		for at := start; at.Before(start.AddDate(0, 0, 14)); at = at.Add(10 * time.Second) {
			r.Advance(at, 10*time.Second, false)
			heated = heated || r.heating
			lo, hi = min(lo, r.temp), max(hi, r.temp)
			if h := r.Humidity(); h < 5 || h > 99 {
				t.Fatalf("humidity of %v %%", h)
			}
		}
		if lo < 16 || hi > 34 {
			t.Errorf("from %v: %.1f to %.1f degrees", start.Month(), lo, hi)
		}
		if start == winter && (!heated || hi > 24) {
			t.Errorf("in winter: heated %v, up to %.1f degrees", heated, hi)
		}
	}
}

func TestShowerMakesTheAirHumid(t *testing.T) {
	dry, wet := NewRoom(source(4)), NewRoom(source(4))
	for range 60 {
		dry.Advance(winter.Add(8*time.Hour), 10*time.Second, false)
		wet.Advance(winter.Add(8*time.Hour), 10*time.Second, true)
	}
	if wet.Humidity() < dry.Humidity()+3 {
		t.Errorf("%.1f %% after ten minutes of shower, %.1f %% without", wet.Humidity(), dry.Humidity())
	}
}

func TestMachineKeepsItsBandUntilTheFanFails(t *testing.T) {
	for seed := range uint64(10) {
		m := NewMachine(source(seed))
		for range 14 * 24 * 60 {
			m.Repair()
			m.Advance(time.Minute)
			if c := m.Temperature(); !m.Faulty() && (c < MachineColdest || c > MachineHottest) {
				t.Fatalf("seed %d: %.1f degrees with working cooling", seed, c)
			}
			if s := m.Speed(); s < 0 || s > 1.1*nominalSpeed {
				t.Fatalf("seed %d: %v rpm", seed, s)
			}
			if v := m.Vibration(0); v <= 0 || v > 8 {
				t.Fatalf("seed %d: %v mm/s", seed, v)
			}
		}
	}
}

func TestMachineOverheatsWithoutFanAndRecovers(t *testing.T) {
	m := NewMachine(source(9))
	hottest := 0.0
	for range 6 * 60 {
		if !m.Faulty() {
			m.Fail()
		}
		m.Advance(time.Minute)
		hottest = max(hottest, m.temp)
	}
	if hottest <= MachineHottest {
		t.Fatalf("only %.1f degrees without fan", hottest)
	}
	for range 5 * 60 {
		m.Repair()
		m.Advance(time.Minute)
		m.Repair()
	}
	if m.temp > MachineHottest {
		t.Errorf("still %.1f degrees five hours after the repair", m.temp)
	}
}

func TestStressShakesTheMachine(t *testing.T) {
	d := NewDrivetrain(source(1))
	var calm, stressed float64
	for range 500 {
		d.Advance(time.Minute)
		calm += d.Vibration(0)
		stressed += d.Vibration(2)
	}
	if stressed <= calm*1.3 {
		t.Errorf("mean vibration %.2f under stress, %.2f without", stressed/500, calm/500)
	}
}
