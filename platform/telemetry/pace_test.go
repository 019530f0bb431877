package telemetry

import (
	"testing"
	"time"
)

// TestPace commits what comes for a minute, and looks how much of that time it was patient.
func TestPace(t *testing.T) {
	// stream sends so many a second, whatever the answers do.
	stream := func(perSecond int) func(bool) (int, time.Duration) {
		return func(patient bool) (int, time.Duration) {
			every := 500 * time.Microsecond
			if patient {
				every = patientEvery
			}
			return perSecond * int(every/time.Microsecond) / 1e6, every
		}
	}
	// devices send the next message when the one before is answered. Half of them do while a commit is under way.
	devices := func(n int, answer time.Duration) func(bool) (int, time.Duration) {
		return func(patient bool) (int, time.Duration) {
			if patient {
				return n, patientEvery + answer
			}
			return n / 2, answer
		}
	}
	for name, c := range map[string]struct {
		load     func(patient bool) (n int, took time.Duration)
		from, to float64 // share of the time that is patient
	}{
		"a stream":                  {stream(40_000), 0.95, 1},
		"a stream of few":           {stream(2_000), 0, 0},
		"devices":                   {devices(100, time.Millisecond), 0, 0.05},
		"devices that take a while": {devices(100, 3*time.Millisecond), 0, 0.05},
		"one device":                {devices(2, 500*time.Microsecond), 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (&pacer{}).minute(c.load); got < c.from || got > c.to {
				t.Errorf("patient for %.3f of the time, want %.2f to %.2f", got, c.from, c.to)
			}
		})
	}
	t.Run("a load that changes", func(t *testing.T) {
		var p pacer
		if got := p.minute(stream(40_000)); got < 0.95 {
			t.Errorf("patient for %.3f of a stream", got)
		}
		if got := p.minute(devices(100, time.Millisecond)); got > 0.1 {
			t.Errorf("patient for %.3f of the time of devices that come after a stream", got)
		}
		if got := p.minute(stream(40_000)); got < 0.9 {
			t.Errorf("patient for %.3f of a stream that comes after devices", got)
		}
	})
}

// pacer is a pace with a clock of its own.
type pacer struct {
	pace
	now time.Time
}

// minute commits a load for a minute, and returns for which share of it that was patient.
func (p *pacer) minute(load func(patient bool) (n int, took time.Duration)) float64 {
	var patient time.Duration
	for end := p.now.Add(time.Minute); p.now.Before(end); {
		is := p.patient(p.now)
		n, took := load(is)
		p.count(n, p.now)
		p.now = p.now.Add(took)
		if is {
			patient += took
		}
	}
	return patient.Seconds() / 60
}
