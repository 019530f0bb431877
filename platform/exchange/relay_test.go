package exchange_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriesmem"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/bus"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/exchange"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

func (f *fixture) intend(m ...iot.Measurement) bus.Promise {
	f.Helper()
	p, err := f.bus.Intend(ctx, admin.Tenant, iot.KindMeasurement, iot.Created, func() []byte { return batch(m...) })
	f.must(err)
	if p == nil {
		f.Fatal("nobody waits for measurements")
	}
	return p
}

func (f *fixture) want(what string, got []string, want ...string) {
	f.Helper()
	if !slices.Equal(got, want) {
		f.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// TestOrderIsThatOfTheIntents: several commits are under way at once and end in any order.
func TestOrderIsThatOfTheIntents(t *testing.T) {
	each(t, func(f *fixture) {
		c := f.subscribe()
		a, b, gone, d := f.intend(f.reading(1)), f.intend(f.reading(2)), f.intend(f.reading(3)), f.intend(f.reading(4))
		d.Happened(batch(f.reading(4)))
		gone.Failed()
		b.Happened(batch(f.reading(2), f.reading(5))) // as it is in the end, not as it was intended
		a.Happened(batch(f.reading(1)))
		f.want("order", f.types(c, 4), "m1", "m2", "m5", "m4")
	})
}

// TestManyCommitters: what one device sends arrives in its order, however the batches are made up.
func TestManyCommitters(t *testing.T) {
	each(t, func(f *fixture) {
		c := f.subscribe()
		const n = 3000
		var answers sync.WaitGroup
		want := make([]string, n)
		for i := range n {
			m := f.reading(i)
			want[i] = m.Type
			answers.Add(1)
			f.tm.Submit(ctx, admin.Tenant, &m, iot.Persistent, nil, func(err error) {
				if err != nil {
					t.Error(err)
				}
				answers.Done()
			})
		}
		got := f.types(c, n)
		answers.Wait()
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%s came where %s was expected", got[i], want[i])
			}
		}
	})
}

// TestWhatEndedProcessesLeft: of what they were about to store, only what is stored is told, and nothing twice.
func TestWhatEndedProcessesLeft(t *testing.T) {
	each(t, func(f *fixture) {
		c := f.subscribe()
		stored, lost := f.reading(1), f.reading(2)
		f.must(f.series.Append(ctx, []series.Entry{{Tenant: admin.Tenant, M: &stored}}))
		dead := &sqlkit.Notes{Tenant: string(admin.Tenant), Node: "dead"}
		subject := bus.Subject(admin.Tenant, string(iot.KindMeasurement), string(iot.Created))
		for _, n := range []struct {
			subject string
			data    []byte
		}{
			{"?" + subject, batch(stored, lost)}, {"?" + subject, batch(f.reading(3))}, {subject, batch(f.reading(4))}, {"nonsense", []byte("x")}, {subject, []byte("{")},
			{"?" + bus.Subject(admin.Tenant, string(iot.KindMeasurement), string(iot.Deleted)), removed(stored, lost)},
		} {
			_, err := f.store.LeaveNote(ctx, dead, n.subject, n.data)
			f.must(err)
		}
		c.Detach()
		f.restart()
		f.want("left", f.types(f.attach(), 3), "m1", "m4", "") // of what is deleted only the ids are told
		f.noNotes()
	})
}

// TestNotesThatWerePassedOnBefore: the process died between the stream and the removal of the notes.
func TestNotesThatWerePassedOnBefore(t *testing.T) {
	each(t, func(f *fixture) {
		c := f.subscribe()
		f.intend(f.reading(1)).Happened(batch(f.reading(1)))
		f.want("before", f.types(c, 1), "m1")
		f.noNotes()
		c.Detach()
		// The same note again, under the same number.
		f.must(f.db.Write(ctx, func(tx *sqlkit.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO note (tenant, id, node, created, subject, data) VALUES (?, ?, ?, ?, ?, ?)`, string(admin.Tenant), int64(1), "dead", int64(0),
				bus.Subject(admin.Tenant, string(iot.KindMeasurement), string(iot.Created)), batch(f.reading(1)))
			return err
		}))
		f.restart()
		c = f.attach()
		f.intend(f.reading(2)).Happened(batch(f.reading(2)))
		f.want("after", f.types(c, 1), "m2")
	})
}

// TestWhatCannotBeNotedIsNotStored: an acknowledgement of it would promise what is not kept.
func TestWhatCannotBeNotedIsNotStored(t *testing.T) {
	each(t, func(f *fixture) {
		c := f.subscribe()
		submit := func(n int) error {
			result := make(chan error, 1)
			m := f.reading(n)
			f.tm.Submit(ctx, admin.Tenant, &m, iot.Persistent, nil, func(err error) { result <- err })
			return <-result
		}
		f.store.refuse(fault.E(fault.Op("test"), fault.Exhausted, "no more notes"))
		if err := submit(1); !fault.Is(err, fault.Exhausted) {
			t.Errorf("answer: %v", err)
		}
		f.store.refuse(errors.New("the disk is gone"))
		if err := submit(2); err == nil {
			t.Error("stored without a note")
		}
		f.store.refuse(nil)
		f.must(submit(3))
		f.want("got", f.types(c, 1), "m3")
		n := 0
		f.must(f.series.Scan(ctx, admin.Tenant, series.Query{Source: f.dev}, func(*iot.Measurement) bool { n++; return true }))
		if n != 1 {
			t.Errorf("%d are stored, want 1", n)
		}
	})
}

// TestNobodyIsConnectedToMemory: then the bus has nobody more to serve.
func TestNobodyIsConnectedToMemory(t *testing.T) {
	each(t, func(f *fixture) {
		before := f.bus.Conn().NumSubscriptions()
		_, err := f.x.Subscribe(ctx, admin, exchange.Subscription{Scope: exchange.OfObject, Source: f.dev, Name: "live", Volatile: true})
		f.must(err)
		if n := f.bus.Conn().NumSubscriptions(); n != before {
			t.Errorf("a subscription that nobody consumes: %d instead of %d subscribers of the bus", n, before)
		}
		live := exchange.Pass{Tenant: admin.Tenant, Topic: "live", Subscriber: "me", Volatile: true}
		c, err := f.x.Attach(ctx, live, "")
		f.must(err)
		if n := f.bus.Conn().NumSubscriptions(); n != before+5 {
			t.Errorf("%d subscribers of the bus, want five more than %d", n, before)
		}
		c.Detach()
		f.must(f.x.Unsubscribe(ctx, live)) // waits until the consumer has ended
		if n := f.bus.Conn().NumSubscriptions(); n != before {
			t.Errorf("after the end: %d instead of %d subscribers of the bus", n, before)
		}
	})
}

// BenchmarkNobodyConsumes is what this component costs every event, alarm and commit of measurements of a platform without consumers.
func BenchmarkNobodyConsumes(b *testing.B) {
	f := &fixture{T: &testing.T{}, db: sqltest.SQLite(b), dir: b.TempDir(), series: seriesmem.New(), clock: clock.NewManual(start)}
	f.start()
	defer f.stop()
	b.Run("commit", func(b *testing.B) {
		for b.Loop() {
			if f.bus.Keeps() {
				b.Fatal("somebody waits")
			}
		}
	})
	b.Run("document", func(b *testing.B) {
		for b.Loop() {
			if f.bus.Noting(ctx, admin.Tenant) != ctx {
				b.Fatal("somebody waits")
			}
		}
	})
}

// TestWhatFollowsFromOtherThings: an object is updated when its alarms are counted.
func TestWhatFollowsFromOtherThings(t *testing.T) {
	each(t, func(f *fixture) {
		c := f.subscribe()
		f.must(f.reg.SetAlarms(ctx, admin.Tenant, f.dev, registry.Counters{Major: 1}))
		f.want("got", f.types(c, 1), "managedobjects UPDATE")
		f.noNotes()
	})
}

// TestNobodyConsumes: then nothing is noted.
func TestNobodyConsumes(t *testing.T) {
	each(t, func(f *fixture) {
		if f.bus.Keeps() {
			t.Error("somebody waits for facts")
		}
		if n := testing.AllocsPerRun(100, func() {
			if f.bus.Keeps() || f.bus.Noting(ctx, admin.Tenant) != ctx {
				t.Error("somebody waits for facts")
			}
		}); n != 0 {
			t.Errorf("asking costs %v allocations", n)
		}
		c := f.subscribe()
		if !f.bus.Keeps() {
			t.Error("nobody waits for facts")
		}
		c.Detach()
		f.must(f.x.Unsubscribe(ctx, pass))
		if f.bus.Keeps() {
			t.Error("somebody waits after all have unsubscribed")
		}
		if p, err := f.bus.Intend(ctx, admin.Tenant, iot.KindMeasurement, iot.Created, func() []byte { t.Error("the fact is made"); return nil }); p != nil || err != nil {
			t.Errorf("intent %v, %v", p, err)
		}
	})
}

// removed is the fact that measurements are to be deleted.
func removed(m ...iot.Measurement) []byte {
	out := telemetry.MeasurementBatch{Action: iot.Deleted}
	for _, x := range m {
		out.Measurements = append(out.Measurements, iot.Measurement{Source: x.Source, Time: x.Time, Seq: x.Seq})
	}
	return out.AppendTo(nil)
}

// noNotes waits until all notes are passed on and removed.
func (f *fixture) noNotes() {
	f.Helper()
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(time.Millisecond) {
		notes, err := f.store.Notes(ctx, string(admin.Tenant), "", 0, 10)
		f.must(err)
		if len(notes) == 0 {
			return
		}
		if time.Now().After(end) {
			f.Fatalf("notes that stay: %v", notes)
		}
	}
}
