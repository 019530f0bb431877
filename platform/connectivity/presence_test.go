package connectivity_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/connectivity"
	"github.com/isobar-iot/isobar/platform/registry"
)

func TestSignsOfLifeAreWrittenTogether(t *testing.T) {
	b := setup(t, nil)
	id := b.device("d1", `{}`)
	before := b.states.count()
	for range 1000 {
		b.clock.Advance(time.Millisecond)
		b.Heard(tenant, id)
	}
	b.flush()
	if n := b.states.count() - before; n != 1 {
		t.Errorf("%d writes of one device, want 1", n)
	}
	if got := b.state(id).LastMessage; !got.Equal(b.clock.Now()) {
		t.Errorf("last heard of at %v, want the last time", got)
	}
	b.flush()
	if n := b.states.count() - before; n != 1 {
		t.Error("written again without a message")
	}
}

func TestADeviceThatKeepsSendingIsAnnouncedNowAndThen(t *testing.T) {
	b := setup(t, nil)
	id := b.device("d1", `{}`)
	var mu sync.Mutex
	updates := 0
	mark := make(chan struct{})
	stop, err := b.bus.Subscribe("isobar.main.inventory.>", func(_ iot.TenantID, _ string, data []byte) {
		var c registry.Change
		if json.Unmarshal(data, &c) != nil {
			mark <- struct{}{}
			return
		}
		mu.Lock()
		defer mu.Unlock()
		updates++
	})
	b.must(err)
	defer stop()
	for range 61 {
		b.Heard(tenant, id)
		b.flush()
		b.clock.Advance(time.Second)
	}
	b.bus.Publish("isobar.main.inventory.mark", []byte("mark"))
	receive(t, mark)
	if updates != 3 { // at 0, 30 and 60 seconds
		t.Errorf("announced %d times in a minute, want 3", updates)
	}
}

func TestWhatCouldNotBeWrittenIsWrittenLater(t *testing.T) {
	b := setup(t, nil)
	id := b.device("d1", `{}`)
	b.states.set(errNo)
	b.PushConnected(tenant, id)
	b.flush()
	b.clock.Advance(time.Minute)
	b.PushDisconnected(tenant, id)
	b.flush()
	b.states.set(nil)
	b.flush()
	if s := b.state(id); s.Connection != registry.Disconnected || !s.LastMessage.Equal(start) {
		t.Errorf("state %+v", s)
	}
}

func TestConnectionsAreCounted(t *testing.T) {
	b := setup(t, nil)
	id := b.device("d1", `{}`)
	for _, x := range []struct {
		do   func(iot.TenantID, iot.ID)
		want string
	}{{b.PushConnected, registry.Connected}, {b.PushConnected, registry.Connected}, {b.PushDisconnected, registry.Connected}, {b.PushDisconnected, registry.Disconnected},
		{b.PushConnected, registry.Connected}} {
		x.do(tenant, id)
		b.flush()
		if got := b.state(id).Connection; got != x.want {
			t.Errorf("%s, want %s", got, x.want)
		}
	}
}

func TestConnectionsThatComeAndGoAtOnceEndAsTheyAre(t *testing.T) {
	b := setup(t, nil)
	id := b.device("d1", `{}`)
	for range 50 {
		var wg sync.WaitGroup
		b.PushConnected(tenant, id)
		for range 8 {
			wg.Go(func() { b.PushDisconnected(tenant, id); b.PushConnected(tenant, id) })
		}
		wg.Wait()
		b.flush()
		if got := b.state(id).Connection; got != registry.Connected {
			t.Fatalf("%s although connected", got)
		}
		b.PushDisconnected(tenant, id)
	}
}

func TestCloseWritesWhatWaits(t *testing.T) {
	b := setup(t, nil)
	id := b.device("d1", `{}`)
	b.Heard(tenant, id)
	b.Close()
	if got := b.state(id).LastMessage; !got.Equal(start) {
		t.Errorf("last heard of at %v", got)
	}
	b.begin()
}

const monitored = `{"c8y_IsDevice":{},"c8y_RequiredAvailability":{"responseInterval":10}}`

func TestOverdueDevices(t *testing.T) {
	b := setup(t, nil)
	id, calm := b.device("d1", monitored), b.device("d2", `{"c8y_IsDevice":{}}`)
	b.clock.Advance(11 * time.Minute)
	b.overdue()
	b.overdue()
	if s := b.state(id); s.Availability != registry.Unavailable {
		t.Errorf("a silent device is %q", s.Availability)
	}
	open := b.open(id)
	if len(open) != 1 || open[0].Type != connectivity.UnavailabilityAlarm || open[0].Severity != iot.Major || open[0].Count != 1 {
		t.Errorf("alarms %+v", open)
	}
	if s := b.state(calm); s.Availability != "" || len(b.open(calm)) != 0 {
		t.Errorf("a device that is not watched: %+v", s)
	}
	b.Heard(tenant, id)
	b.flush()
	if s := b.state(id); s.Availability != registry.Available || len(b.open(id)) != 0 {
		t.Errorf("heard of again: %+v %v", s, b.open(id))
	}
}

func TestTheAlarmIsNotForgottenIfItCouldNotBeRaised(t *testing.T) {
	b := setup(t, nil)
	id := b.device("d1", monitored)
	b.clock.Advance(11 * time.Minute)
	b.alarms.set(errNo)
	b.overdue()
	b.alarms.set(nil)
	b.overdue()
	if len(b.open(id)) != 1 || b.state(id).Availability != registry.Unavailable {
		t.Errorf("%v %+v", b.open(id), b.state(id))
	}
}

func TestOtherAlarmsStayWhenADeviceIsHeardOf(t *testing.T) {
	b := setup(t, nil)
	id := b.device("d1", monitored)
	_, _, err := b.telemetry.RaiseAlarm(ctx, iot.System(tenant), iot.Alarm{Source: id, Type: "own", Text: "x", Severity: iot.Major, Time: start})
	b.must(err)
	b.Heard(tenant, id)
	b.flush()
	if open := b.open(id); len(open) != 1 || open[0].Type != "own" {
		t.Errorf("alarms %+v", open)
	}
}

func TestDevicesHaveTimeToComeBackAfterAStart(t *testing.T) {
	b := setup(t, nil)
	id := b.device("d1", monitored)
	b.Close()
	b.clock.Advance(time.Hour) // nobody could be heard of
	b.begin()
	b.overdue()
	if len(b.open(id)) != 0 {
		t.Error("an alarm right after the start")
	}
	b.clock.Advance(3 * time.Minute)
	b.overdue() // nobody was heard of in this process, but the tenant is known
	if len(b.open(id)) != 1 {
		t.Error("no alarm for a device that did not come back")
	}
}

func TestTenantsAreThoseThatWereHeardOfIfTheyCannotBeListed(t *testing.T) {
	b := setup(t, func(d *connectivity.Deps) {
		d.Tenants = func(context.Context) ([]iot.TenantID, error) { return nil, errNo }
	})
	id := b.device("d1", monitored)
	b.clock.Advance(11 * time.Minute)
	b.overdue()
	if len(b.open(id)) != 0 {
		t.Error("a tenant that nobody named")
	}
	b.Heard(tenant, b.device("d2", `{}`))
	b.overdue()
	if len(b.open(id)) != 1 {
		t.Error("no alarm")
	}
}

func TestDevicesThatADeadProcessLeftConnected(t *testing.T) {
	for _, sole := range []bool{false, true} {
		t.Run(fmt.Sprint("sole=", sole), func(t *testing.T) {
			b := setup(t, func(d *connectivity.Deps) { d.Sole = sole })
			const n = 503 // more than a page
			touches := map[iot.ID]registry.Touch{}
			var last iot.ID
			for i := 0; i < n; i += registry.MaxBulk {
				drafts := make([]registry.Draft, min(registry.MaxBulk, n-i))
				made, err := b.registry.Create(ctx, device, registry.Place{}, drafts...)
				b.must(err)
				for _, o := range made {
					touches[o.ID], last = registry.Touch{LastMessage: start, Connection: registry.Connected}, o.ID
				}
			}
			b.must(b.registry.Touch(ctx, tenant, touches))
			b.Close()
			b.begin()
			connected := 0
			for id := range touches {
				if b.state(id).Connection == registry.Connected {
					connected++
				}
			}
			if want := map[bool]int{true: 0, false: n}[sole]; connected != want {
				t.Errorf("%d devices are connected, want %d", connected, want)
			}
			b.PushConnected(tenant, last)
			b.flush()
			if got := b.state(last).Connection; got != registry.Connected {
				t.Errorf("a new connection is %s", got)
			}
		})
	}
}

func TestADeviceThatIsGoneHarmsNobody(t *testing.T) {
	b := setup(t, nil)
	id, other := b.device("d1", monitored), b.device("d2", `{}`)
	b.PushConnected(tenant, id)
	_, err := b.registry.Delete(ctx, device, id, registry.DeleteOptions{})
	b.must(err)
	b.Heard(tenant, id)
	b.Heard(tenant, other)
	b.PushDisconnected(tenant, id)
	b.flush()
	if _, err := b.registry.Get(ctx, iot.System(tenant), id); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	if b.state(other).LastMessage.IsZero() {
		t.Error("the other device was not heard of")
	}
}
