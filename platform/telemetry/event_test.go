package telemetry_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

func (f *fixture) event(p iot.Principal, source iot.ID, typ string, seconds int) iot.Event {
	f.t.Helper()
	e, err := f.tm.CreateEvent(ctx, p, iot.Persistent, iot.Event{Source: source, Type: typ, Text: typ, Time: start.Add(time.Duration(seconds) * time.Second), Fragments: parse(f.t, `{"a":1,"n":null}`)})
	f.must(err)
	return e
}

func change[C any](f *fixture, m fact) (c C) {
	f.t.Helper()
	f.must(json.Unmarshal(m.data, &c))
	return c
}

func TestLifeOfAnEvent(t *testing.T) {
	f := simple(t)
	facts := f.listen("event.>")
	e := f.event(device, f.dev, "open", 1)
	m := f.next(facts)
	if c := change[telemetry.EventChange](f, m); m.subject != "event.CREATE."+f.dev.String() || c.Action != iot.Created || c.Event.ID != e.ID || string(c.Event.Fragments.Get("a")) != "1" || c.Event.Fragments.Has("n") {
		t.Errorf("fact %s %s", m.subject, m.data)
	}
	text := "closed"
	f.clock.Advance(time.Minute)
	e, err := f.tm.PatchEvent(ctx, device, e.ID, telemetry.EventPatch{Text: &text, Fragments: parse(t, `{"a":null,"b":{"c":1}}`)})
	if err != nil || e.Text != text || e.Fragments.Has("a") || !e.Fragments.Has("b") || !e.LastUpdated.Equal(start.Add(time.Minute)) {
		t.Errorf("patched %+v, %v", e, err)
	}
	if c := change[telemetry.EventChange](f, f.next(facts)); c.Action != iot.Updated || c.Event.Text != text {
		t.Errorf("fact %+v", c)
	}
	_, err = f.tm.PatchEvent(ctx, device, e.ID, telemetry.EventPatch{Text: &text})
	f.must(err)
	f.quiet(facts, "event.x")
	f.must(f.tm.DeleteEvent(ctx, device, e.ID))
	if m := f.next(facts); m.subject != "event.DELETE."+f.dev.String() || change[telemetry.EventChange](f, m).Event.ID != e.ID {
		t.Errorf("fact %s %s", m.subject, m.data)
	}
	_, err = f.tm.Event(ctx, device, e.ID)
	f.kind("a deleted event", err, fault.NotFound)
}

func TestWhoMayDoWhatWithEvents(t *testing.T) {
	f := simple(t)
	mine, theirs := f.event(device, f.dev, "x", 1), f.event(admin, f.other, "x", 2)
	_, err := f.tm.CreateEvent(ctx, device, iot.Persistent, iot.Event{Source: f.other, Type: "x", Time: start})
	f.denied("a foreign source", err)
	_, err = f.tm.Event(ctx, device, theirs.ID)
	f.denied("a foreign event", err)
	_, err = f.tm.PatchEvent(ctx, device, theirs.ID, telemetry.EventPatch{})
	f.denied("changing a foreign event", err)
	f.denied("deleting a foreign event", f.tm.DeleteEvent(ctx, device, theirs.ID))
	f.denied("deleting everything", f.tm.DeleteEvents(ctx, device, telemetry.EventQuery{From: start}))
	_, err = f.tm.Event(ctx, foreign, mine.ID)
	f.kind("a foreign tenant", err, fault.NotFound)
	if events, n, err := f.tm.Events(ctx, device, telemetry.EventQuery{Limit: 9, Count: true}); err != nil || n != 1 || len(events) != 1 || events[0].ID != mine.ID {
		t.Errorf("the device sees %v, %d, %v", events, n, err)
	}
	if events, _, err := f.tm.Events(ctx, device, telemetry.EventQuery{Source: f.other, Limit: 9}); err != nil || len(events) != 0 {
		t.Errorf("the device sees %v of a foreign source, %v", events, err)
	}
	_, _, err = f.tm.Events(ctx, nobody, telemetry.EventQuery{Limit: 9})
	f.denied("who owns nothing", err)
	_, err = f.tm.CreateEvent(ctx, admin, iot.Persistent, iot.Event{Text: "x"})
	if got := fault.Message(err); got != "Following mandatory fields should be included: source, time, type" {
		t.Errorf("message %q", got)
	}
	_, err = f.tm.CreateEvent(ctx, admin, iot.Persistent, iot.Event{Source: f.dev, Time: start, Type: "a\x00b"})
	f.kind("U+0000", err, fault.Invalid)
	f.kind("no bound", f.tm.DeleteEvents(ctx, admin, telemetry.EventQuery{Type: "x"}), fault.Invalid)
}

func TestEventsOfAGroup(t *testing.T) {
	f := simple(t)
	group := f.object(admin, `{"name":"g","c8y_IsDeviceGroup":{}}`)
	child := f.object(admin, `{"name":"c"}`)
	f.must(f.reg.Link(ctx, admin, group, iot.ChildAsset, []iot.ID{f.dev, f.other}))
	f.must(f.reg.Link(ctx, admin, f.dev, iot.ChildDevice, []iot.ID{child}))
	f.event(admin, f.dev, "dev", 1)
	f.event(admin, f.other, "other", 2)
	f.event(admin, child, "child", 3)
	f.event(admin, f.object(admin, `{}`), "else", 4)
	for want, q := range map[string]telemetry.EventQuery{
		"": {}, "other dev": {WithAssets: true}, "child other dev": {WithAssets: true, WithDevices: true},
	} {
		q.Source, q.Limit = group, 10
		events, _, err := f.tm.Events(ctx, admin, q)
		f.must(err)
		var got []string
		for _, e := range events {
			got = append(got, e.Type)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%+v: got %v", q, got)
		}
	}
	if e, err := f.tm.LatestEvent(ctx, device, f.dev, "dev"); err != nil || e.Type != "dev" {
		t.Errorf("latest %+v, %v", e, err)
	}
	_, err := f.tm.LatestEvent(ctx, device, f.dev, "nope")
	f.kind("no such type", err, fault.NotFound)
}

func TestProcessingModesOfEvents(t *testing.T) {
	f := simple(t)
	facts := f.listen("event.>")
	in := iot.Event{Source: f.dev, Type: "x", Time: start}
	e, err := f.tm.CreateEvent(ctx, device, iot.Transient, in)
	if f.next(facts); err != nil || e.ID != 0 {
		t.Errorf("transient: %+v, %v", e, err)
	}
	_, err = f.tm.CreateEvent(ctx, device, iot.Quiescent, in)
	f.must(err)
	if m := f.next(facts); m.subject != "event.CREATE."+f.dev.String()+".rules" {
		t.Errorf("quiescent: %s", m.subject)
	}
	_, err = f.tm.CreateEvent(ctx, device, iot.CEP, in)
	if m := f.next(facts); err != nil || m.subject != "event.CREATE."+f.dev.String()+".rules" {
		t.Errorf("CEP: %s, %v", m.subject, err)
	}
	if _, n, err := f.tm.Events(ctx, admin, telemetry.EventQuery{Count: true}); err != nil || n != 1 {
		t.Errorf("%d stored, %v", n, err)
	}
}

func TestAttachments(t *testing.T) {
	f := simple(t)
	e := f.event(device, f.dev, "x", 1)
	content := bytes.Repeat([]byte("0123456789"), 60_000)
	_, err := f.tm.Attach(ctx, nobody, e.ID, "n", "t", bytes.NewReader(content), false)
	f.denied("nobody", err)

	// Of several uploads at once, one wins.
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() { _, errs[i] = f.tm.Attach(ctx, device, e.ID, "", "", bytes.NewReader(content), false) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			f.kind("a second attachment", err, fault.Exists)
		}
	}
	if won != 1 {
		t.Errorf("%d uploads won", won)
	}
	a, b, err := f.tm.Attachment(ctx, device, e.ID)
	f.must(err)
	r, err := b.Reader(ctx, 0)
	f.must(err)
	got, err := io.ReadAll(r)
	f.must(err)
	f.must(r.Close())
	if !bytes.Equal(got, content) || a != (telemetry.Attachment{Event: e.ID, Name: e.ID.String(), Length: int64(len(content)), Type: "application/octet-stream"}) {
		t.Errorf("%d bytes, %+v", len(got), a)
	}
	a, err = f.tm.Attach(ctx, device, e.ID, "log.txt", "text/plain", strings.NewReader("hello"), true)
	if err != nil || a.Name != "log.txt" || a.Length != 5 {
		t.Errorf("replaced %+v, %v", a, err)
	}
	e, err = f.tm.Event(ctx, device, e.ID)
	if err != nil || string(e.Fragments.Get(iot.FragmentIsBinary)) != `{"name":"log.txt","length":5,"type":"text/plain"}` {
		t.Errorf("event %+v, %v", e, err)
	}
	_, err = f.tm.Attach(ctx, device, e.ID, "", "", io.LimitReader(zeros{}, telemetry.MaxAttachment+1), true)
	f.kind("a file too large", err, fault.TooLarge)
	f.must(f.tm.Detach(ctx, device, e.ID))
	f.kind("again", f.tm.Detach(ctx, device, e.ID), fault.NotFound)
	_, _, err = f.tm.Attachment(ctx, device, e.ID)
	f.kind("a file that is gone", err, fault.NotFound)
	if e, _ = f.tm.Event(ctx, device, e.ID); e.Fragments.Has(iot.FragmentIsBinary) {
		t.Error("the fragment stayed")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestDataFollowsADeletedObject(t *testing.T) {
	f := simple(t)
	e := f.event(device, f.dev, "x", 1)
	f.event(admin, f.other, "stays", 1)
	_, err := f.tm.Attach(ctx, device, e.ID, "", "", strings.NewReader("hello"), false)
	f.must(err)
	_, _, err = f.tm.RaiseAlarm(ctx, device, iot.Alarm{Source: f.dev, Type: "x", Severity: iot.Major, Time: start})
	f.must(err)
	_, err = f.tm.Record(ctx, device, iot.Persistent, []iot.Measurement{reading(f.dev, 1, "1"), reading(f.dev, 2, "1")})
	f.must(err)
	gone := f.listen("inventory.DELETE.*")
	_, err = f.reg.Delete(ctx, device, f.dev, registry.DeleteOptions{})
	f.must(err)
	f.next(gone)
	f.bus.Publish("isobar.acme.inventory.DELETE.x", []byte("no JSON"))
	// Close finishes what the remover has heard of; both subscriptions heard the same.
	f.waitRemoved()
	if events, _, err := f.tm.Events(ctx, admin, telemetry.EventQuery{Limit: 9}); err != nil || len(events) != 1 || events[0].Type != "stays" {
		t.Errorf("events %v, %v", events, err)
	}
	if n, err := f.tm.CountAlarms(ctx, admin, telemetry.AlarmQuery{}); err != nil || n != 0 {
		t.Errorf("%d alarms, %v", n, err)
	}
	if _, n, err := f.tm.Measurements(ctx, admin, telemetry.MeasurementQuery{Count: true}); err != nil || n != 0 {
		t.Errorf("%d measurements, %v", n, err)
	}
}

// waitRemoved waits until no alarm is left, which go last.
func (f *fixture) waitRemoved() {
	f.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		n, err := f.tm.CountAlarms(ctx, admin, telemetry.AlarmQuery{})
		f.must(err)
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatal("the data stayed")
		}
	}
}
