package simulator

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/edge/device/simulator/internal/physics"
	"github.com/isobar-iot/isobar/edge/device/simulator/internal/recording"
)

// model is the source of a machine without recording.
type model struct {
	machine  *physics.Machine
	interval time.Duration
	speed    float64
}

func (s *model) advance() (float64, time.Duration) {
	return s.live(scale(s.interval, s.speed)), s.interval
}

func (s *model) past() float64 {
	s.machine.Repair() // the past is free of failures
	return s.live(machineHistoryStep)
}

func (s *model) live(dt time.Duration) float64 {
	for dt = min(dt, 24*time.Hour); dt > 0; dt -= longestMachineStep {
		s.machine.Advance(min(dt, longestMachineStep))
	}
	return s.machine.Temperature()
}

func (s *model) series() string                  { return "temperature" }
func (s *model) unit() string                    { return "C" }
func (s *model) origin() string                  { return "simulated" }
func (s *model) drivetrain() *physics.Drivetrain { return s.machine.Drivetrain }

func (s *model) command(words []string) (string, bool) {
	switch strings.Join(words, " ") {
	case "help":
		return "overheat - the fan fails\nrepair - the fan is repaired", true
	case "overheat":
		s.machine.Fail()
		return "the fan has failed", true
	case "repair":
		s.machine.Repair()
		return "the fan is repaired", true
	}
	return "", false
}

// replay is the source of a machine that relives a recording, over and over.
type replay struct {
	rec    *recording.Recording
	rhythm time.Duration
	speed  float64
	drive  *physics.Drivetrain
	row    int // the next one
}

func (s *replay) advance() (float64, time.Duration) {
	row := s.row
	gap := s.rec.Gap(row, s.rhythm)
	s.drive.Advance(min(gap, longestMachineStep))
	s.row = (row + 1) % len(s.rec.Rows)
	return s.rec.Rows[row].Value, scale(gap, 1/s.speed)
}

func (s *replay) past() float64 {
	v, _ := s.advance()
	return v
}

func (s *replay) series() string                  { return cmp.Or(s.rec.Series, "temperature") }
func (s *replay) unit() string                    { return s.rec.Unit }
func (s *replay) drivetrain() *physics.Drivetrain { return s.drive }

func (s *replay) origin() string {
	return fmt.Sprintf("row %d of %d of %s", s.row, len(s.rec.Rows), s.rec.Name)
}

func (s *replay) command(words []string) (string, bool) {
	switch {
	case len(words) == 1 && words[0] == "help":
		return "seek N - go on at N percent of the recording", true
	case len(words) == 2 && words[0] == "seek":
		percent, err := strconv.ParseFloat(words[1], 64)
		if err != nil || !(percent >= 0 && percent < 100) {
			return "seek needs a number from 0 to 99", false
		}
		s.row = int(percent / 100 * float64(len(s.rec.Rows)))
		return "going on at " + s.origin(), true
	}
	return "", false
}

func scale(d time.Duration, by float64) time.Duration { return time.Duration(float64(d) * by) }
