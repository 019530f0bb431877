package simulator

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/edge/device/simulator/internal/recording"
	"github.com/isobar-iot/isobar/edge/device/simulator/internal/smartrest"
	"github.com/isobar-iot/isobar/kit/clock"
)

func homeScene(conf Config) (*scene, *home) {
	h := newHome("h", 0, conf.withDefaults(), 0, rand.New(rand.NewPCG(1, 2)))
	s := &scene{body: h, clock: clock.NewManual(noon)}
	h.notify, h.operated = s.notify, s.operated
	return s, h
}

func machineScene(conf Config, rec *recording.Recording) *scene {
	m := newMachine("m", 0, conf.withDefaults(), rec, rand.New(rand.NewPCG(1, 2)))
	s := &scene{body: m, clock: clock.NewManual(noon)}
	m.notify, m.operated = s.notify, s.operated
	return s
}

func wantLine(t *testing.T, lines []string, text string) {
	t.Helper()
	if count(lines, text) == 0 {
		t.Errorf("%q is missing in:\n%s", text, strings.Join(lines, "\n"))
	}
}

func wantNoLine(t *testing.T, lines []string, text string) {
	t.Helper()
	if count(lines, text) > 0 {
		t.Errorf("%q is among:\n%s", text, strings.Join(lines, "\n"))
	}
}

func TestHomeDescribesItselfAndItsChildren(t *testing.T) {
	s, h := homeScene(Config{})
	h.announce(&s.out, noon)
	lines := s.take()
	for _, want := range []string{
		"s/us 100,Home Karl-Liebknecht-Straße 42,isobar_HomeGateway",
		"s/us 110,", "s/us 112,51.32360,12.37350", "s/us 114,c8y_Restart,c8y_Command", "s/us 115,", "s/us 117,10",
		"s/us 101,h-leak,", "s/us 101,h-water,", "s/us 101,h-climate,", "s/us 101,h-valve,",
		"s/us/h-valve 114,c8y_Relay", "s/us/h-leak 306,isobar_WaterLeakAlarm",
		`inventory/managedObjects/update/h-valve {"c8y_Relay":{"relayState":"OPEN"}}`,
	} {
		wantLine(t, lines, want)
	}
}

func TestHomeReportsItsSensors(t *testing.T) {
	s, _ := homeScene(Config{})
	lines := s.pass(11 * time.Second)
	if n := count(lines, "s/us/h-water 201,isobar_WaterFlow,2026-05-04T10:00:"); n != 3 {
		t.Errorf("%d reports of the meter in eleven seconds at one per five", n)
	}
	wantLine(t, lines, "isobar_WaterFlow,flow,")
	wantLine(t, lines, "isobar_WaterFlow,total,")
	wantLine(t, lines, "s/us/h-climate 200,c8y_TemperatureMeasurement,T,")
	wantLine(t, lines, "s/us/h-climate 200,c8y_HumidityMeasurement,h,")
}

func TestLeakFromBurstToRepair(t *testing.T) {
	s, h := homeScene(Config{LeakEvery: -1})
	s.pass(10 * time.Second)
	s.operate(operation{target: "h", fragment: commandOperation, args: []string{"leak"}})
	lines := s.pass(30 * time.Second)
	wantLine(t, lines, `s/us 501,c8y_Command`)
	wantLine(t, lines, `s/us 503,c8y_Command,a pipe has burst`)
	wantLine(t, lines, "s/us/h-leak 400,isobar_WaterLeak,")
	if n := count(lines, "s/us/h-leak 301,isobar_WaterLeakAlarm,"); n != 1 {
		t.Errorf("the alarm was raised %d times", n)
	}

	s.operate(operation{target: "h-valve", fragment: relayOperation, args: []string{"CLOSED"}})
	lines = s.take()
	wantLine(t, lines, "s/us/h-valve 501,c8y_Relay")
	wantNoLine(t, lines, "503,c8y_Relay")
	lines = s.pass(3 * time.Second)
	wantLine(t, lines, "s/us/h-valve 503,c8y_Relay")
	wantLine(t, lines, "isobar_ValveMoved,Valve closed")
	before := h.water.Litres
	lines = s.pass(5 * time.Minute)
	if h.water.Litres != before {
		t.Errorf("%v litres passed the closed valve", h.water.Litres-before)
	}
	wantLine(t, lines, "isobar_WaterFlow,flow,0,l/min")
	wantLine(t, lines, "s/us/h-leak 306,isobar_WaterLeakAlarm")
	wantLine(t, s.pass(10*time.Minute), "isobar_PipeRepaired")
}

func TestValveJamFailsTheOperationWithAReason(t *testing.T) {
	s, h := homeScene(Config{JamRate: 1})
	s.pass(time.Second)
	s.operate(operation{target: "h-valve", fragment: relayOperation, args: []string{"CLOSED"}})
	lines := s.pass(3 * time.Second)
	wantLine(t, lines, "s/us/h-valve 502,c8y_Relay,valve jammed")
	wantNoLine(t, lines, "503,c8y_Relay")
	if !h.water.Valve.Open() {
		t.Error("a jammed valve is closed")
	}
}

func TestValveAnswersOneOperationAfterTheOther(t *testing.T) {
	s, h := homeScene(Config{})
	s.pass(time.Second)
	for _, state := range []string{"CLOSED", "AJAR", "OPEN", "CLOSED"} {
		s.operate(operation{target: "h-valve", fragment: relayOperation, args: []string{state}})
	}
	var answers []string
	for _, l := range s.pass(15 * time.Second) {
		if rest, ok := strings.CutPrefix(l, "s/us/h-valve 50"); ok {
			answers = append(answers, rest[:1])
		}
	}
	if want := []string{"1", "3", "1", "2", "1", "3", "1", "3"}; !reflect.DeepEqual(answers, want) {
		t.Errorf("answers 50x: %v, want %v", answers, want)
	}
	if h.water.Valve.Open() {
		t.Error("the last operation closed the valve, but it is open")
	}
}

func TestUnsupportedOperationsFail(t *testing.T) {
	s, _ := homeScene(Config{})
	s.operate(operation{target: "h-leak", fragment: "c8y_Firmware"})
	lines := s.take()
	wantLine(t, lines, "s/us/h-leak 501,c8y_Firmware")
	wantLine(t, lines, "s/us/h-leak 502,c8y_Firmware,")

	m := machineScene(Config{}, nil)
	m.operate(operation{target: "m", fragment: commandOperation, args: []string{"dance"}})
	wantLine(t, m.take(), "s/us 502,c8y_Command,")
}

func TestPastOfAHome(t *testing.T) {
	s, h := homeScene(Config{})
	s.out.unbounded = true
	h.past(&s.out, noon.Add(-24*time.Hour), noon)
	for _, m := range s.out.queue {
		if len(m.payload) > smartrest.MaxPayload {
			t.Errorf("a publish of %d bytes", len(m.payload))
		}
	}
	if len(s.out.queue) > 12 {
		t.Errorf("%d publishes for one day", len(s.out.queue))
	}
	lines := s.take()
	if n := count(lines, "201,isobar_WaterFlow"); n != 144 {
		t.Errorf("%d reports of the meter in 24 hours at one per ten minutes", n)
	}
	wantLine(t, lines, "2026-05-03T10:10:00.000Z")
	wantLine(t, lines, "2026-05-04T10:00:00.000Z")
	wantNoLine(t, lines, "301,")
	before := h.water.Litres
	s.pass(time.Minute)
	if h.water.Litres < before {
		t.Error("the meter went back")
	}
}

func TestMeterGoesOnAfterARestartOfTheProcess(t *testing.T) {
	h := newHome("h", 0, Config{}.withDefaults(), 123_456, rand.New(rand.NewPCG(1, 2)))
	if h.meter() != 123_456 {
		t.Errorf("the meter shows %v", h.meter())
	}
}

func testRecording(t *testing.T) *recording.Recording {
	t.Helper()
	var csv strings.Builder
	csv.WriteString("time,oil [C]\n")
	for i := range 400 {
		v := "70"
		switch {
		case i%2 == 0:
			v = "72"
		}
		if i >= 300 && i < 310 {
			v = "95"
		}
		csv.WriteString(noon.Add(time.Duration(i)*5*time.Minute).Format(time.RFC3339) + "," + v + "\n")
	}
	rec, err := recording.Read(strings.NewReader(csv.String()), "oil.csv")
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestMachineRelivesARecordingInItsRhythm(t *testing.T) {
	s := machineScene(Config{}, testRecording(t))
	lines := s.pass(21 * time.Second) // five minutes at speed 60 are five seconds
	if n := count(lines, "s/us 201,isobar_Machine,"); n != 5 {
		t.Errorf("%d reports in 21 seconds", n)
	}
	wantLine(t, lines, "2026-05-04T10:00:20.000Z,isobar_Machine,oil,72,C,isobar_Machine,vibration,")
	wantLine(t, lines, ",isobar_Machine,speed,")
}

func TestMachineRaisesAndClearsItsAlarm(t *testing.T) {
	s := machineScene(Config{Speed: 600}, testRecording(t))
	lines := s.pass(400 * 500 * time.Millisecond)
	if raised, cleared := count(lines, "302,isobar_Overheat,"), count(lines, "306,isobar_Overheat"); raised != 1 || cleared != 1 {
		t.Errorf("raised %d times, cleared %d times", raised, cleared)
	}
}

func TestMachineSkipsRowsThatAreTooFast(t *testing.T) {
	s := machineScene(Config{Speed: 1e6}, testRecording(t))
	if n := count(s.pass(time.Second), "201,"); n > 10 {
		t.Errorf("%d reports in one second", n)
	}
}

func TestMachineSeeks(t *testing.T) {
	s := machineScene(Config{}, testRecording(t))
	s.operate(operation{target: "m", fragment: commandOperation, args: []string{"seek 50"}})
	wantLine(t, s.take(), "503,c8y_Command,going on at row 200 of 400 of oil.csv")
	for _, wrong := range []string{"seek", "seek 100", "seek -1", "seek NaN", "seek x"} {
		s.operate(operation{target: "m", fragment: commandOperation, args: []string{wrong}})
		wantLine(t, s.take(), "502,c8y_Command")
	}
}

func TestMachineWithoutRecordingOverheatsOnCommand(t *testing.T) {
	s := machineScene(Config{}, nil)
	m := s.body.(*machine)
	s.pass(time.Minute)
	raised := false
	for range 50 { // the load decides how soon
		s.operate(operation{target: "m", fragment: commandOperation, args: []string{"overheat"}})
		if raised = count(s.pass(24*time.Second), "302,isobar_Overheat") > 0; raised {
			break
		}
	}
	if !raised {
		t.Fatal("no alarm after hours without a fan")
	}
	for range 50 {
		s.operate(operation{target: "m", fragment: commandOperation, args: []string{"repair"}})
		if s.pass(24 * time.Second); !m.watch.Raised() {
			return
		}
	}
	t.Error("the alarm stays after the repair")
}

func TestSameSeedSameData(t *testing.T) {
	run := func(seed uint64) []string {
		f := &fleet{conf: Config{Seed: seed}.withDefaults()}
		h := newHome("h", 0, f.conf, 0, f.random("h"))
		s := &scene{body: h, clock: clock.NewManual(noon)}
		h.notify, h.operated = s.notify, s.operated
		return s.pass(time.Minute)
	}
	if a, b := run(1), run(1); !reflect.DeepEqual(a, b) {
		t.Error("two runs with one seed differ")
	}
	if a, b := run(1), run(2); reflect.DeepEqual(a, b) {
		t.Error("two seeds give the same data")
	}
}
