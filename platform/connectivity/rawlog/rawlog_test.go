package rawlog_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/isobar-iot/isobar/engine/mqtt"
	"github.com/isobar-iot/isobar/engine/mqtt/packet"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/clock"
	"github.com/isobar-iot/isobar/platform/connectivity/rawlog"
)

var (
	ctx   = context.Background()
	start = time.Date(2026, 3, 4, 5, 30, 0, 0, time.UTC)
)

type fixture struct {
	t       *testing.T
	l       *rawlog.Log
	fs      vfs.FS
	clock   *clock.Manual
	mu      sync.Mutex // guards options
	options map[string]string
}

func setup(t *testing.T) *fixture {
	f := &fixture{t: t, fs: vfs.NewCrashableMem(), clock: clock.NewManual(start), options: map[string]string{"acme/" + rawlog.KeepHours: "24", "other/" + rawlog.KeepHours: "24"}}
	f.open()
	return f
}

func (f *fixture) open() {
	f.t.Helper()
	l, err := rawlog.Open("raw", &pebble.Options{FS: f.fs, Logger: quiet{}}, rawlog.Deps{Clock: f.clock, Log: slog.New(slog.DiscardHandler),
		Option: func(_ context.Context, t iot.TenantID, category, key string) (string, bool) {
			f.mu.Lock()
			defer f.mu.Unlock()
			v, ok := f.options[string(t)+"/"+key]
			return v, ok && category == rawlog.Category
		}})
	f.must(err)
	f.l = l
	f.t.Cleanup(func() { _ = l.Close() })
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) set(key, value string) {
	f.mu.Lock()
	f.options[key] = value
	f.mu.Unlock()
	f.clock.Advance(11 * time.Second) // changed options count after ten
}

func record(payload string) rawlog.Record {
	return rawlog.Record{Transport: "mqtt", Client: "dev-1", User: "main/device_dev-1", Topic: "s/us", ContentType: "text/csv", QoS: 2, Payload: []byte(payload)}
}

func (f *fixture) append(t iot.TenantID, payloads ...string) {
	f.t.Helper()
	result := make(chan error, len(payloads))
	for _, p := range payloads {
		f.l.Append(t, record(p), func(err error) { result <- err })
	}
	for range payloads {
		f.must(<-result)
	}
}

func (f *fixture) payloads(t iot.TenantID, from, to time.Time) (out []string) {
	f.t.Helper()
	f.must(f.l.Scan(ctx, t, from, to, func(r rawlog.Record) bool {
		out = append(out, string(r.Payload))
		return true
	}))
	return out
}

func (f *fixture) expect(what string, t iot.TenantID, want ...string) {
	f.t.Helper()
	if d := cmp.Diff(want, f.payloads(t, start.Add(-24*time.Hour), start.Add(1000*time.Hour))); d != "" {
		f.t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	f := setup(t)
	f.append("acme", "1", "", "\x00\xff")
	f.clock.Advance(time.Hour)
	f.append("acme", "4")
	f.append("other", "x")
	f.expect("in order", "acme", "1", "", "\x00\xff", "4")
	f.expect("the other tenant's", "other", "x")
	f.expect("nobody's", "acm")
	if got := f.payloads("acme", start, start.Add(time.Hour)); len(got) != 3 {
		t.Errorf("a span holds %q", got)
	}
	var got rawlog.Record
	f.must(f.l.Scan(ctx, "acme", start, start.Add(time.Second), func(r rawlog.Record) bool { got = r; return false }))
	want := record("1")
	want.Time, want.Seq = start, got.Seq
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestNothingIsKeptUnlessItIsAskedFor(t *testing.T) {
	f := setup(t)
	if f.l.Keeps(ctx, "third") {
		t.Error("a tenant that did not ask keeps")
	}
	f.set("acme/"+rawlog.KeepHours, "0")
	if f.l.Keeps(ctx, "acme") {
		t.Error("switched off, and still keeps")
	}
	f.set("acme/"+rawlog.KeepHours, "-5")
	if f.l.Keeps(ctx, "acme") {
		t.Error("a bad number keeps")
	}
}

func TestOldHoursGo(t *testing.T) {
	f := setup(t)
	f.append("acme", "old")
	f.append("other", "old")
	f.clock.Advance(20 * time.Hour)
	f.append("acme", "young")
	f.set("other/"+rawlog.KeepHours, "100")
	f.clock.Advance(6 * time.Hour)
	f.must(f.l.Sweep(ctx))
	f.expect("after a day", "acme", "young")
	f.expect("with a longer time", "other", "old")
	f.set("acme/"+rawlog.KeepHours, "0")
	f.clock.Advance(2 * time.Hour)
	f.must(f.l.Sweep(ctx))
	f.expect("switched off", "acme")
}

func TestTheOldestGoWhenTheBoundIsReached(t *testing.T) {
	f := setup(t)
	f.set("acme/"+rawlog.KeepMB, "1")
	for i := range 4 {
		f.append("acme", fmt.Sprint(i), string(bytes.Repeat([]byte{'x'}, 400_000)))
		f.clock.Advance(time.Hour)
	}
	check := func() {
		t.Helper()
		f.must(f.l.Sweep(ctx))
		got := f.payloads("acme", start, start.Add(100*time.Hour))
		if len(got) != 4 || got[0] != "2" {
			t.Errorf("%d records are left, the first is %.10q", len(got), got[0])
		}
	}
	check()
	f.must(f.l.Close())
	f.open() // what the hours hold is known again
	check()
	n, err := f.l.DropTenant(ctx, "acme")
	f.must(err)
	if n < 800_000 {
		t.Errorf("%d bytes were dropped", n)
	}
	f.expect("dropped", "acme")
}

// TestWhatWasAnsweredSurvivesAPowerCut clones the disk without what was not synced, while records come in.
func TestWhatWasAnsweredSurvivesAPowerCut(t *testing.T) {
	f := setup(t)
	var mu sync.Mutex // guards answered
	answered := map[string]bool{}
	var clones []*vfs.MemFS
	var known []map[string]bool
	var wg sync.WaitGroup
	first := make(chan struct{}, 400)
	for i := range 400 {
		p := fmt.Sprint("p", i)
		wg.Add(1)
		f.l.Append("acme", record(p), func(err error) {
			defer wg.Done()
			mu.Lock()
			defer mu.Unlock()
			answered[p] = err == nil
			first <- struct{}{}
		})
		if i%40 == 39 {
			<-first // so that every cut comes after some answers, and in the midst of others
			mu.Lock()
			now := map[string]bool{}
			for p := range answered {
				now[p] = true
			}
			mu.Unlock()
			clones, known = append(clones, f.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})), append(known, now)
		}
	}
	wg.Wait()
	total := 0
	for i, fs := range clones {
		f.fs = fs
		f.open()
		got := map[string]bool{}
		for _, p := range f.payloads("acme", start, start.Add(time.Hour)) {
			got[p] = true
		}
		for p := range known[i] {
			if total++; !got[p] {
				t.Errorf("cut %d: %s was answered and is gone", i, p)
			}
		}
	}
	if total == 0 {
		t.Error("nothing was answered before a cut: this shows nothing")
	}
}

func TestDamageIsReported(t *testing.T) {
	f := setup(t)
	f.append("acme", "one")
	f.must(f.l.Close())
	db, err := pebble.Open("raw", &pebble.Options{FS: f.fs, Logger: quiet{}})
	f.must(err)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{'r'}, UpperBound: []byte{'s'}})
	f.must(err)
	it.First()
	key, v := bytes.Clone(it.Key()), bytes.Clone(it.Value())
	f.must(it.Close())
	v[len(v)-1] ^= 4
	f.must(db.Set(key, v, pebble.Sync))
	f.must(db.Close())
	f.open()
	err = f.l.Scan(ctx, "acme", start, start.Add(time.Hour), func(rawlog.Record) bool { t.Error("a damaged record is shown"); return true })
	if !fault.Is(err, fault.Corrupt) {
		t.Errorf("%v, want corrupt", err)
	}
}

func TestAfterClose(t *testing.T) {
	f := setup(t)
	f.must(f.l.Close())
	f.l.Append("acme", record("x"), func(err error) {
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("%v, want unavailable", err)
		}
	})
}

// accepts is a gate whose handler accepts what does not start with "bad".
type accepts struct{}

func (accepts) Connect(context.Context, *mqtt.ConnectRequest) (mqtt.Handler, error) {
	return inner{}, nil
}

type inner struct{ mqtt.Handler }

func (inner) Realm() string { return "acme" }
func (inner) Publish(m *mqtt.Message, done func(mqtt.Verdict)) {
	v := mqtt.Verdict{Route: true}
	if bytes.HasPrefix(m.Payload, []byte("bad")) {
		v = mqtt.Verdict{Reason: packet.NotAuthorized}
	}
	done(v)
}

func TestTheGateKeepsWhatIsAccepted(t *testing.T) {
	f := setup(t)
	h, err := f.l.Gate(accepts{}).Connect(ctx, &mqtt.ConnectRequest{ClientID: "c", User: "acme/u"})
	f.must(err)
	for _, p := range []string{"good", "bad", "better"} {
		verdict := make(chan mqtt.Verdict, 1)
		h.Publish(&mqtt.Message{Topic: "t", Payload: []byte(p), QoS: 1}, func(v mqtt.Verdict) { verdict <- v })
		if v := <-verdict; v.Reason.Failed() != (p == "bad") || !v.Reason.Failed() && !v.Route {
			t.Errorf("%s: %+v", p, v)
		}
	}
	f.expect("accepted ones", "acme", "good", "better")
	f.must(f.l.Close())
	verdict := make(chan mqtt.Verdict, 1)
	h.Publish(&mqtt.Message{Topic: "t", Payload: []byte("good")}, func(v mqtt.Verdict) { verdict <- v })
	if v := <-verdict; !v.Reason.Failed() {
		t.Error("what could not be kept is acknowledged")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("key with a time."), []byte("value"))
	r := record("payload")
	key := rawlog.RecordKey("acme", 1_770_000_000_000, 7)
	f.Add(key, r.Encode(key))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		got, err := rawlog.Decode(key, rawlog.Reseal(key, value))
		if err != nil && !fault.Is(err, fault.Corrupt) {
			t.Fatal(err)
		}
		if err == nil && len(got.Payload) > len(value) {
			t.Fatal("more came out than went in")
		}
	})
}
