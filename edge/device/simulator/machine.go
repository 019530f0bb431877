package simulator

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/edge/device/simulator/internal/physics"
	"github.com/isobar-iot/isobar/edge/device/simulator/internal/recording"
)

// The types that a machine brings. Its fragment of measurements has the same name.
const (
	machineType   = "isobar_Machine"
	overheatAlarm = "isobar_Overheat"
)

const (
	machineHistoryStep = 5 * time.Minute
	fastestReport      = 100 * time.Millisecond // rows that follow faster are skipped, not squeezed in
	longestMachineStep = 10 * time.Minute       // of machine time; the models stay smooth
)

// machine is an industrial machine: it reads its main value off a source, and shakes and turns by a drivetrain of its own.
type machine struct {
	id       string
	name     string
	place    place
	notify   func(kind EventKind, text string)
	operated func(fragment, text string)

	source source
	band   recording.Band
	watch  recording.Watch
	next   time.Time
	value  float64
}

// source is where the main value of a machine comes from: a recording or a model.
type source interface {
	// advance goes on to the next value and returns it, and the real time until the one after it.
	advance() (value float64, wait time.Duration)
	// past goes on to the next value as advance does, at the distance of the history.
	past() float64
	// series, unit and origin describe the value.
	series() string
	unit() string
	origin() string
	drivetrain() *physics.Drivetrain
	// command answers a line of the shell that the machine does not know itself.
	command(words []string) (answer string, ok bool)
}

// newMachine returns the i-th machine; rec is nil if it follows the model.
func newMachine(id string, i int, conf Config, rec *recording.Recording, rng *rand.Rand) *machine {
	kinds := [...]string{"Press", "Compressor", "Mill", "Pump", "Conveyor"}
	m := &machine{id: id, name: kinds[i%len(kinds)] + " " + strconv.Itoa(i+1), place: machinePlace(i)}
	if rec != nil {
		m.band = rec.Band()
		m.source = &replay{rec: rec, rhythm: rec.Rhythm(), speed: conf.Speed, drive: physics.NewDrivetrain(rng)}
		return m
	}
	m.band = recording.Band{Low: physics.MachineColdest, High: physics.MachineHottest}
	m.source = &model{machine: physics.NewMachine(rng), interval: conf.Interval, speed: conf.Speed}
	return m
}

func (m *machine) bind(d *device) { m.notify, m.operated = d.notify, d.operated }

func (m *machine) meter() float64 { return 0 }

func (m *machine) owns(id string) bool { return id == m.id }

// announce implements body.
func (m *machine) announce(out *outbox, now time.Time) {
	out.line("100", m.name, machineType)
	out.line("110", "M-"+m.id, "Isobar "+strings.Fields(m.name)[0], "C")
	out.line(append([]string{"112"}, m.place.fields()...)...)
	out.line("114", restartOperation, commandOperation)
	out.line("115", "machine-plc", "7.0.3")
	out.line("117", "10")
	if !m.watch.Raised() {
		out.line("306", overheatAlarm)
	}
}

// past implements body. It raises no alarms: nobody could have acted on them.
func (m *machine) past(out *outbox, from, to time.Time) {
	for at := from.Add(machineHistoryStep); !at.After(to); at = at.Add(machineHistoryStep) {
		m.value = m.source.past()
		m.tell(out, at)
	}
}

// step implements body.
func (m *machine) step(out *outbox, now time.Time) time.Time {
	if now.Before(m.next) {
		return m.next
	}
	var wait time.Duration
	for wait < fastestReport {
		value, more := m.source.advance()
		m.value, wait = value, wait+max(more, time.Microsecond)
		if m.watch.See(m.band, m.value) {
			m.alarm(out, now)
		}
	}
	m.tell(out, now)
	m.next = now.Add(wait)
	return m.next
}

func (m *machine) tell(out *outbox, now time.Time) {
	drive := m.source.drivetrain()
	stress := m.band.Stress(m.value) - 1 // only what lies outside the band shakes
	out.line("201", machineType, stamp(now),
		machineType, m.source.series(), number(m.value), m.source.unit(),
		machineType, "vibration", number(drive.Vibration(stress)), "mm/s",
		machineType, "speed", number(float64(int(drive.Speed()))), "rpm")
}

func (m *machine) alarm(out *outbox, now time.Time) {
	if !m.watch.Raised() {
		out.line("306", overheatAlarm)
		m.notify(AlarmCleared, m.name+" is back in its normal band")
		return
	}
	text := fmt.Sprintf("%s: %s of %s is outside the normal band %s to %s", m.name, m.source.series(),
		number(m.value), number(m.band.Low), number(m.band.High))
	out.line("302", overheatAlarm, text, stamp(now))
	m.notify(AlarmRaised, text)
}

// operate implements body.
func (m *machine) operate(out *outbox, now time.Time, op operation) {
	op.executing(out, m.id)
	if op.fragment != commandOperation {
		reason := "this simulated device does not support " + op.fragment
		op.fail(out, m.id, reason)
		m.operated(op.fragment, reason)
		return
	}
	answer, ok := m.command(op.arg(0))
	if ok {
		op.succeed(out, m.id, answer)
	} else {
		op.fail(out, m.id, answer)
	}
	m.operated(op.fragment, answer)
}

const machineHelp = "help - this text\nstatus - what the machine does"

// command answers a line of the device's shell.
func (m *machine) command(text string) (answer string, ok bool) {
	words := strings.Fields(strings.ToLower(text))
	first := ""
	if len(words) > 0 {
		first = words[0]
	}
	switch first {
	case "help":
		more, _ := m.source.command(words)
		return machineHelp + "\n" + more, true
	case "status":
		alarm := "normal"
		if m.watch.Raised() {
			alarm = "overheated"
		}
		return fmt.Sprintf("%s, %s %s, load %.0f %%, %s", alarm, m.source.series(), number(m.value), 100*m.source.drivetrain().Load(), m.source.origin()), true
	}
	if answer, ok = m.source.command(words); answer == "" {
		answer = "unknown command, try help"
	}
	return answer, ok
}
