package telemetry_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriesmem"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

// send submits a reading of f.dev with a time in seconds after start, and waits for the answer.
func (f *fixture) send(seconds int, from *series.Delivery) error {
	m := reading(f.dev, seconds, "1")
	result := make(chan error, 1)
	f.tm.Submit(ctx, "acme", &m, iot.Persistent, from, func(err error) { result <- err })
	return <-result
}

// tick sets the clock.
func (f *fixture) tick(to time.Time) { f.clock.Advance(to.Sub(f.clock.Now())) }

func (f *fixture) ledger(what string, want telemetry.Ledger) telemetry.Ledger {
	f.t.Helper()
	got, err := f.tm.Ledger(ctx, admin, f.dev)
	f.must(err)
	want.Source = f.dev
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(telemetry.Ledger{}, "Since", "LastReceived", "Newest", "Step", "Lag")); d != "" {
		f.t.Errorf("%s (-want +got):\n%s", what, d)
	}
	return got
}

func TestLedgerCountsWhatBecameOfEveryReading(t *testing.T) {
	f := setup(t, exhausted{seriesmem.New(), 13})
	for i := range 12 {
		f.must(f.send(i, nil))
	}
	f.kind("a reading that the store refuses", f.send(13, nil), fault.Exhausted)
	bad := reading(f.dev, 1, "1")
	bad.Type = string([]byte{0xff})
	f.tm.Submit(ctx, "acme", &bad, iot.Persistent, nil, func(error) {})
	f.tm.Duplicate("acme", f.dev)
	f.tm.Expired("acme", f.dev)
	passing := reading(f.dev, 12, "1")
	told := make(chan error, 1)
	f.tm.Submit(ctx, "acme", &passing, iot.Transient, nil, func(err error) { told <- err }) // is not to be stored, and does not count
	f.must(<-told)
	_, err := f.tm.CreateEvent(ctx, admin, iot.Persistent, iot.Event{Source: f.dev, Type: "x", Text: "y", Time: start})
	f.must(err)
	got := f.ledger("everything once", telemetry.Ledger{Counts: telemetry.Counts{Received: 17, Stored: 13, Refused: 2, Duplicate: 1, Expired: 1},
		Reasons: map[string]int64{fault.Exhausted.String(): 1, fault.Invalid.String(): 1}})
	if got.Step != time.Second || !got.Newest.Equal(start.Add(11*time.Second)) {
		t.Errorf("step %s, newest %s", got.Step, got.Newest)
	}
	_, err = f.tm.Ledger(ctx, nobody, f.dev)
	f.kind("somebody who may not read", err, fault.Denied)
	all, err := f.tm.Ledgers(ctx, device, 0, 10)
	f.must(err)
	if len(all) != 1 || all[0].Source != f.dev {
		t.Errorf("who owns one device sees the ledgers %+v", all)
	}
	_, err = f.tm.Ledgers(ctx, nobody, 0, 10)
	f.kind("all ledgers for nobody", err, fault.Denied)
	_, err = f.tm.Ledger(ctx, foreign, f.dev)
	f.kind("another tenant", err, fault.NotFound)
}

func TestLedgerSeesGapsAndWhatFillsThem(t *testing.T) {
	f := setup(t, seriesmem.New())
	step := func(from, to int) {
		for i := from; i <= to; i += 10 {
			f.tick(start.Add(time.Duration(i) * time.Second))
			f.must(f.send(i, nil))
		}
	}
	step(0, 200)
	step(260, 400)                   // a silence of six steps
	f.tick(start.Add(7 * time.Hour)) // long after that
	step(7*3600, 7*3600+100)
	f.must(f.send(230, nil)) // late, and fills the first gap
	gaps := []telemetry.Gap{{From: start.Add(200 * time.Second), To: start.Add(260 * time.Second), Filled: 1}, {From: start.Add(400 * time.Second), To: start.Add(7 * time.Hour)}}
	f.ledger("two gaps", telemetry.Ledger{Counts: telemetry.Counts{Received: 48, Stored: 48, Late: 1, Gaps: 2}, Gaps: gaps})

	// Another process goes on: the silence in between is a gap as well.
	f.restart()
	f.tick(start.Add(8 * time.Hour))
	f.must(f.send(8*3600, nil))
	gaps = append(gaps, telemetry.Gap{From: start.Add(7*time.Hour + 100*time.Second), To: start.Add(8 * time.Hour)})
	f.ledger("after a restart", telemetry.Ledger{Counts: telemetry.Counts{Received: 49, Stored: 49, Late: 1, Gaps: 3}, Gaps: gaps})
}

func TestClockRules(t *testing.T) {
	f := setup(t, seriesmem.New())
	ahead := 3600
	f.must(f.send(ahead, nil))
	f.ledger("accepted and counted", telemetry.Ledger{Counts: telemetry.Counts{Received: 1, Stored: 1, Skewed: 1}})

	f.options["ingest/clock.action"] = "refuse"
	f.tick(start.Add(time.Minute)) // so that the options are read again
	f.kind("a clock that is an hour ahead", f.send(ahead, nil), fault.Invalid)
	f.must(f.send(-400*24*3600, nil)) // any age, unless there is a bound
	f.options["ingest/clock.behind.days"] = "30"
	f.options["ingest/clock.ahead.seconds"] = "7200"
	f.options["ingest/clock.action"] = "correct"
	f.tick(start.Add(2 * time.Minute))
	f.must(f.send(ahead, nil)) // within the tolerance now
	f.must(f.send(-400*24*3600, nil))
	found, _, err := f.tm.Measurements(ctx, admin, telemetry.MeasurementQuery{Source: f.dev, From: start.Add(2 * time.Minute), To: start.Add(3 * time.Minute), Limit: 10})
	f.must(err)
	if len(found) != 1 || string(found[0].Extra.Get(telemetry.DeviceTime)) != `"2024-11-28T03:04:05Z"` {
		t.Errorf("corrected: %+v", found)
	}
}

func TestDeliveriesAreStoredWithTheirReadings(t *testing.T) {
	f := setup(t, seriesmem.New())
	d := series.Delivery{Client: 7, Conn: 1, Packet: 2, Hash: 3}
	f.must(f.send(1, &d))
	f.must(f.send(2, nil))
	got, err := f.tm.Delivered(ctx, "acme", 7)
	f.must(err)
	if len(got) != 1 || got[0] != d {
		t.Errorf("delivered %v", got)
	}
}

// TestLateDataDoesNotHoldUpLiveData fills the late lane while a commit is under way: what is live then still shares the next commit.
func TestLateDataDoesNotHoldUpLiveData(t *testing.T) {
	g := newGate()
	f := setup(t, g)
	f.tick(start.Add(time.Hour)) // what is measured at the start is late
	late, live := make(chan error, 5000), make(chan error, 5000)
	f.submit(g, 0, late)
	<-g.entered
	for i := range 2048 {
		f.submit(g, i, late)
	}
	for i := range 900 {
		f.submit(g, 3600+i, live)
	}
	g.outcome <- nil
	f.must(<-late)
	if n := <-g.entered; n < 900+250 || n > 900+251 { // one late one may have come first
		t.Errorf("the next commit holds %d, want all live ones and a share of the late ones", n)
	}
	g.outcome <- nil
	for range 900 {
		f.must(<-live)
	}
	go func() {
		for range g.entered {
			g.outcome <- nil
		}
	}()
	for range 2048 {
		f.must(<-late)
	}
	f.tm.Close()
	close(g.entered)
}

func TestRecordSaysWhenToComeAgain(t *testing.T) {
	g := newGate()
	f := setup(t, g)
	results, n := f.fill(g)
	_, err := f.tm.Record(ctx, device, iot.Persistent, []iot.Measurement{reading(f.dev, 1, "1")})
	f.kind("while the queue stays full", err, fault.Exhausted)
	var told *fault.Error
	if !errors.As(err, &told) || told.Retry <= 0 {
		t.Errorf("%v does not say when to come again", err)
	}
	go g.free()
	for range n {
		f.must(<-results)
	}
	f.tm.Close()
	close(g.entered)
}
